"""The quantiser of a slice from its first bytes, as fast as Python can (H.264 section 7.3.3).

A recorder asks this some 2000 times a second, in three steps of which one nearly always does:
1. A header of a known shape (`shapes.py`): all of its bits but frame number and picture order equal
   those of an earlier one, so the quantiser stands where it stood there.
2. Else the head becomes a string of "0" and "1", and a field is stepped over by one search: an
   Exp-Golomb code at `pos` whose first 1 stands at `i` ends at `2 * i - pos + 1` (section 9.1).
3. What is rare takes the full parser.
"""

from kilocam.bitstream.errors import BitstreamError
from kilocam.bitstream.pps import parse_pps
from kilocam.bitstream.shapes import HeaderShapes
from kilocam.bitstream.slices import parse_slice_header
from kilocam.bitstream.sps import parse_sps

_P, _B, _I = range(3)
_KIND = {"1": _P, "010": _B, "011": _I, "00110": _P, "00111": _B, "0001000": _I}
"""Codes of slice_type 0, 1, 2, 5, 6, 7: the kinds that cameras send."""
_IDR = 5
_ESCAPE = b"\x00\x00\x03"
_SHAPES = 4
"""Shapes kept; an encoder has one or two, which differ in the number of reference pictures."""


class QpReader:
    """Reads 26 + pic_init_qp_minus26 + slice_qp_delta.

    Args:
        sps: sequence parameter set, a NAL unit.
        pps: picture parameter set, likewise. With sets that cannot be read every answer is None.
    """

    __slots__ = ("_cabac", "_chroma", "_fixed", "_frames_only", "_init_qp", "_lsb_bits", "_plain",
                 "_pps", "_pps_code", "_refs", "_shapes", "_sps", "_two_deltas",
                 "_weighted")  # fmt: skip

    def __init__(self, sps: bytes, pps: bytes) -> None:
        self._plain = False
        self._sps = self._pps = None
        self._shapes = HeaderShapes(_SHAPES)
        try:
            sequence, picture = parse_sps(sps), parse_pps(pps)
        except BitstreamError:
            return
        self._sps, self._pps = sequence, picture
        self._plain = not (
            sequence.separate_planes
            or picture.redundant_pictures
            or (sequence.poc_type == 1 and not sequence.delta_pic_order_always_zero)
        )
        code = f"{picture.id + 1:b}"
        self._pps_code = "0" * (len(code) - 1) + code
        self._frames_only = sequence.frame_mbs_only
        self._fixed = sequence.frame_num_bits
        self._lsb_bits = sequence.poc_lsb_bits
        self._two_deltas = picture.bottom_field_order and sequence.poc_type == 0
        self._refs = picture.refs_l0
        self._weighted = (picture.weighted, picture.weighted_bipred == 1, False)
        self._chroma = sequence.chroma_array_type != 0
        self._cabac = picture.cabac
        self._init_qp = picture.init_qp

    @property
    def usable(self) -> bool:
        """Whether both parameter sets could be read."""
        return self._sps is not None

    def qp(self, head: bytes) -> int | None:
        """The quantiser of a slice of which `head` is the first 40 bytes or more, or None."""
        if self._plain:
            code = self._shapes.code(head)
            if code is not None:
                return self._quantiser(code)
            qp = self._usual(head)
            if qp is not None:
                return qp
        if self._sps is None or self._pps is None:
            return None
        try:
            return parse_slice_header(head, self._sps, self._pps).qp
        except BitstreamError:
            return None

    def _quantiser(self, code: int) -> int:
        return self._init_qp + ((code + 1) >> 1 if code & 1 else -(code >> 1))

    def _usual(self, head: bytes) -> int | None:
        """The quantiser of a usual header; None leaves it to the full parser.

        Beyond the end a search raises ValueError and a flag IndexError.
        """
        escaped = _ESCAPE in head
        if escaped:
            head = head.replace(_ESCAPE, b"\x00\x00")
        try:
            first = head[0]
            # The NAL unit's header stays, a 1 in front of it keeps its zero bits.
            bits = f"{int.from_bytes(head[:64], 'big') | 1 << 8 * min(len(head), 64):b}"
            find = bits.index
            pos = 2 * find("1", 9) - 8  # first_mb_in_slice
            end = 2 * find("1", pos) - pos + 1
            kind = _KIND[bits[pos:end]]
            pos = end + len(self._pps_code)
            if bits[end:pos] != self._pps_code:
                return None
            frame_num = pos
            pos += self._fixed
            if not self._frames_only:
                if bits[pos] == "1":  # field_pic_flag
                    return None
                pos += 1
            if first & 31 == _IDR:
                pos = 2 * find("1", pos) - pos + 1
            lsb = pos
            pos += self._lsb_bits
            if self._two_deltas:
                pos = 2 * find("1", pos) - pos + 1
            if kind != _I:
                pos = self._references(bits, pos, kind)
            if first & 0x60:
                if first & 31 == _IDR:
                    pos += 2
                elif bits[pos] == "1":  # adaptive_ref_pic_marking_mode_flag
                    return None
                else:
                    pos += 1
            if kind != _I and self._cabac:
                pos = 2 * find("1", pos) - pos + 1
            one = find("1", pos)
            end = 2 * one - pos + 1
            if end > len(bits):
                return None
            code = int(bits[one:end], 2) - 1
        except (ValueError, IndexError, KeyError):
            return None
        if not escaped:
            values = ((frame_num - 1, self._fixed), (lsb - 1, self._lsb_bits))
            self._shapes.learn(head, pos - 1, values)
        return self._quantiser(code)

    def _references(self, bits: str, pos: int, kind: int) -> int:
        """Where reference lists and weights end."""
        find = bits.index
        refs = self._refs
        if kind == _B:
            if self._weighted[_B]:
                raise ValueError  # explicit weights of both lists are left to the full parser
            pos += 1
        pos += 1
        if bits[pos - 1] == "1":  # num_ref_idx_active_override_flag
            one = find("1", pos)
            end = 2 * one - pos + 1
            refs = int(bits[one:end], 2)
            pos = 2 * find("1", end) - end + 1 if kind == _B else end
        for _ in range(kind + 1):
            pos += 1
            if bits[pos - 1] == "0":  # ref_pic_list_modification_flag
                continue
            end = 2 * find("1", pos) - pos + 1
            while bits[pos:end] != "00100":  # modification_of_pic_nums_idc 3 ends the list
                pos = 2 * find("1", end) - end + 1
                end = 2 * find("1", pos) - pos + 1
            pos = end
        return self._weights(bits, pos, refs) if self._weighted[kind] else pos

    def _weights(self, bits: str, pos: int, refs: int) -> int:
        """Where the weights of a P slice end."""
        find = bits.index
        pos = 2 * find("1", pos) - pos + 1
        if self._chroma:
            pos = 2 * find("1", pos) - pos + 1
        for _ in range(refs):
            for values in (2, 4) if self._chroma else (2,):
                pos += 1
                if bits[pos - 1] == "1":
                    for _ in range(values):
                        pos = 2 * find("1", pos) - pos + 1
        return pos
