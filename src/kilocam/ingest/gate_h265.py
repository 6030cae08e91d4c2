"""The gate's eyes for H.265: as for H.264 (`gate.py`), from packet headers only.

Packets are those of RFC 7798 section 4.4.
"""

from collections.abc import Iterable

from kilocam.bitstream import (
    H265Kind,
    H265QpReader,
    h265_kind,
    is_h265_base,
    is_h265_picture,
    is_irap,
    split_annex_b,
)
from kilocam.ingest.sampling import BEGIN, OTHER, UNDECIDED, Passing, Sampler
from kilocam.rtsp import aggregated

HEAD_BYTES = 64
"""Reference pictures stand in a slice's header: it is longer than one of H.264."""
_AGGREGATE, _FRAGMENT = 48, 49
_TRAILING = range(10)
"""Kinds of slices of pictures that are no key frames; those from 10 to 15 are reserved."""
_START_CODE = b"\0\0\1"


class H265Gate(Sampler):
    """Looks at the first packets of each access unit of one H.265 track; see `PacketGate`."""

    __slots__ = ("_pps", "_sps")

    passing = Passing(
        # Of kind 0 the first byte is that of a start code: it is left to `look`.
        slices=frozenset(kind << 1 for kind in _TRAILING if kind),
        fragments=frozenset((_FRAGMENT << 1,)),
        header=2,
        parts=frozenset(mark | kind for mark in (0, 0x40, 0x80, 0xC0) for kind in _TRAILING),
        silent=frozenset(),  # a start code may stand in any (quirk 30)
    )

    def __init__(self) -> None:
        super().__init__()
        self._sps = self._pps = b""

    def look(self, data: bytes, body: int, end: int) -> int:
        """See `PacketGate`: VPS and SPS announce a key frame, a fragment counts by its first.

        A packet inside of a packet is not opened.
        """
        if end - body < 3:
            return UNDECIDED
        kind = data[body] >> 1 & 63
        if kind == _FRAGMENT:
            return self._fragment(data, body, end)
        if kind == _AGGREGATE:
            return self._together(aggregated(data[body:end], 2))
        if data[body + 1] == 0 or (kind >= H265Kind.VPS and data.find(_START_CODE, body, end) >= 0):
            return self._together(split_annex_b(data[body:end]))  # quirk 30
        if is_h265_picture(kind):
            end = min(end, body + HEAD_BYTES)
        return self._unit(data[body:end])

    def _fragment(self, data: bytes, body: int, end: int) -> int:
        """The first one tells what the NAL unit is, whose header it holds in three bytes."""
        kind = data[body + 2] & 63
        if not data[body + 2] & 0x80:
            return OTHER if is_h265_picture(kind) else UNDECIDED
        if not is_h265_picture(kind):
            return BEGIN if kind in (H265Kind.VPS, H265Kind.SPS) else UNDECIDED
        header = bytes((data[body] & 0x81 | kind << 1, data[body + 1]))
        return self._unit(header + data[body + 3 : min(end, body + 1 + HEAD_BYTES)])

    def _together(self, nals: Iterable[bytes]) -> int:
        """Several NAL units in one packet: the first slice decides."""
        verdict = UNDECIDED
        for nal in nals:
            one = self._unit(nal)
            if one not in (BEGIN, UNDECIDED):
                return one
            verdict = max(verdict, one)
        return verdict

    def _unit(self, nal: bytes) -> int:
        if not is_h265_base(nal):
            return UNDECIDED
        kind = h265_kind(nal)
        if is_irap(kind):
            return self._key()
        if is_h265_picture(kind):
            return self._slice(nal[:HEAD_BYTES]) if kind in _TRAILING else OTHER
        if kind == H265Kind.SPS and nal != self._sps:
            self._sps = nal
            self._renew()
        elif kind == H265Kind.PPS and nal != self._pps:
            self._pps = nal
            self._renew()
        return BEGIN if kind in (H265Kind.VPS, H265Kind.SPS) else UNDECIDED

    def _renew(self) -> None:
        self._reader = H265QpReader(self._sps, self._pps) if self._sps and self._pps else None
