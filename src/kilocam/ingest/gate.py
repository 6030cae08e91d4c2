"""The gate's eyes: key frames and rate complexity of H.264, from packet headers only.

Size x 2^(QP/6) of P-frames separates a quiet scene from a busy one even under constant bit rate,
where size alone is blind (measured: docs/design/analyse.md). The quantiser stands in the first 40
bytes of a slice, so nothing is decoded; a few P-frames per GOP are enough.
"""

from kilocam.bitstream import QpReader
from kilocam.ingest.sampling import BEGIN, KEY, OTHER, UNDECIDED, Passing, Sampler

HEAD_BYTES = 40

_SLICE, _IDR, _SPS, _PPS, _STAP_A, _FU_A = 1, 5, 7, 8, 24, 28
_START_CODE = 0
_TELLING = (_START_CODE, _SLICE, _IDR, _SPS, _PPS, _STAP_A, _FU_A)
"""Before each frame of a strictly constant rate stands a packet of another kind (SEI)."""


class Gate(Sampler):
    """Looks at the first packets of each access unit of one H.264 track; see `PacketGate`."""

    __slots__ = ("_pps", "_sets", "_sps")

    passing = Passing(
        slices=frozenset(head for head in range(256) if head & 31 == _SLICE),
        fragments=frozenset(head for head in range(256) if head & 31 == _FU_A),
        header=1,
        parts=frozenset(head for head in range(256) if head & 31 == _SLICE),
        silent=frozenset(head for head in range(256) if head & 31 not in _TELLING),
    )

    def __init__(self) -> None:
        super().__init__()
        self._sps = self._pps = b""
        self._sets = b""
        """The aggregate that announced the last key frame: cameras repeat it with each."""

    def look(self, data: bytes, body: int, end: int, *, packed: bool = False) -> int:
        """See `PacketGate`.

        One that was `packed` in another is not unpacked again: packets nested in packets, which RFC
        6184 section 5.7 forbids, must not nest our calls.
        """
        if body >= end:
            return UNDECIDED
        kind = data[body] & 31
        if kind == _SLICE:
            return self._slice(data[body : min(body + HEAD_BYTES, end)])
        if kind == _FU_A and end - body > 2:  # indicator, header
            header = data[body + 1]
            if header & 31 == _IDR:
                return self._key()
            if header & 0x80 and header & 31 == _SLICE:
                nal = (data[body] & 0xE0 | _SLICE).to_bytes(1, "big")
                return self._slice(nal + data[body + 2 : min(body + 1 + HEAD_BYTES, end)])
            return OTHER if header & 31 == _SLICE else UNDECIDED
        if kind == _IDR:
            return self._key()
        if kind in (_SPS, _PPS):
            return self._parameters(kind, data[body:end])
        if packed:
            return UNDECIDED
        if kind == _STAP_A:
            return self._aggregate(data, body, end)
        if kind == _START_CODE and data[body : body + 3] in (b"\0\0\1", b"\0\0\0"):
            return self._annex_b(data[body:end])
        return UNDECIDED

    def _aggregate(self, data: bytes, body: int, end: int) -> int:
        if data[body:end] == self._sets:
            self._key()
            return BEGIN
        verdict, pos = UNDECIDED, body + 1
        while pos + 2 < end:
            size = data[pos] << 8 | data[pos + 1]
            if size == 0:  # padding (quirk 29)
                break
            inner = self.look(data, pos + 2, min(pos + 2 + size, end), packed=True)
            verdict = _stronger(verdict, inner)
            pos += 2 + size
        self._sets = data[body:end] if verdict == BEGIN else b""
        return verdict

    def _annex_b(self, payload: bytes) -> int:
        """Start codes inside a payload (quirk 30): each NAL unit in turn."""
        verdict = UNDECIDED
        for nal in payload.split(b"\0\0\1"):
            verdict = _stronger(verdict, self.look(nal, 0, len(nal), packed=True))
        return verdict

    def _parameters(self, kind: int, nal: bytes) -> int:
        if kind == _SPS:
            if nal != self._sps:
                self._sps = nal
                self._renew()
            self._key()
            return BEGIN
        if nal != self._pps:
            self._pps = nal
            self._renew()
        return UNDECIDED

    def _renew(self) -> None:
        self._sets = b""
        self._reader = QpReader(self._sps, self._pps) if self._sps and self._pps else None


def _stronger(one: int, other: int) -> int:
    """Several NAL units in one packet: a slice decides, and a parameter set makes it a key."""
    if KEY in (one, other) or {one, other} == {BEGIN, OTHER}:
        return KEY
    return max(one, other)
