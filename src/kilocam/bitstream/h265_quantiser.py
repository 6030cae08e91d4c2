"""The quantiser of an H.265 slice from its first bytes.

A recorder asks this as often as of H.264; nearly always the header's shape is known, else it is
read in full.
"""

from kilocam.bitstream.errors import BitstreamError
from kilocam.bitstream.h265_pps import parse_h265_pps
from kilocam.bitstream.h265_slices import parse_h265_slice
from kilocam.bitstream.h265_sps import parse_h265_coding
from kilocam.bitstream.shapes import HeaderShapes

_ESCAPE = b"\x00\x00\x03"
_SHAPES = 8
"""A pyramid of B slices has one for each place in it."""


class H265QpReader:
    """Reads 26 + init_qp_minus26 + slice_qp_delta.

    Args:
        sps: sequence parameter set, a NAL unit.
        pps: picture parameter set, likewise. With sets that cannot be read every answer is None.
    """

    __slots__ = ("_coding", "_pps", "_shapes")

    def __init__(self, sps: bytes, pps: bytes) -> None:
        self._shapes = HeaderShapes(_SHAPES)
        self._coding = self._pps = None
        try:
            coding, picture = parse_h265_coding(sps), parse_h265_pps(pps)
        except BitstreamError:
            return
        if picture.sps_id == coding.sps_id:
            self._coding, self._pps = coding, picture

    @property
    def usable(self) -> bool:
        """Whether both parameter sets could be read and belong together."""
        return self._pps is not None

    def qp(self, head: bytes) -> int | None:
        """The quantiser of a slice of which `head` is the first 64 bytes or more, or None."""
        if self._coding is None or self._pps is None:
            return None
        code = self._shapes.code(head)
        if code is not None:
            return self._pps.init_qp + ((code + 1) >> 1 if code & 1 else -(code >> 1))
        try:
            header = parse_h265_slice(head, self._coding, self._pps)
        except BitstreamError:
            return None
        if _ESCAPE not in head:
            order = (header.poc_lsb_at, self._coding.poc_lsb_bits)
            self._shapes.learn(head, header.qp_at, (order,))
        return header.qp
