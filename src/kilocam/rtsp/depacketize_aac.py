"""AAC out of RTP (RFC 3640, modes AAC-hbr and AAC-lbr), as cameras send it."""

import binascii

from kilocam.bitstream import (
    AudioSpecificConfig,
    BitReader,
    BitstreamError,
    parse_adts,
    parse_audio_config,
    split_adts,
)
from kilocam.rtsp.depacketize import AccessUnit, UnitKind, format_parameters

_LENGTHS = {"aac-hbr": (13, 3, 3), "aac-lbr": (6, 2, 2)}
"""sizeLength, indexLength, indexDeltaLength of each mode (sections 3.3.5 and 3.3.6)."""
_MOST_FRAME = 1 << 13
_HEX = frozenset("0123456789abcdefABCDEF")


def aac_config(fmtp: str) -> bytes:
    """The AudioSpecificConfig of an SDP's `config=`; empty when it is missing or broken."""
    text = format_parameters(fmtp).get("config", "").strip("\"' ;")
    if len(text) % 2 or not _HEX.issuperset(text):
        return b""
    try:
        data = binascii.unhexlify(text)
        parse_audio_config(data)
    except BitstreamError:
        return b""
    return data


class AacDepacketizer:
    """Gathers AAC frames, one to an access unit.

    Args:
        track: index of the track.
        fmtp: SDP parameters; those that are missing have the mode's value, and AAC-hbr's without
            a mode (quirk 25).
        clock_rate: of the track's timestamps.
    """

    __slots__ = ("_clock_rate", "_config", "_extra", "_fragment", "_lengths", "_size", "_step",
                 "_told", "_track", "_ts")  # fmt: skip

    def __init__(self, track: int, fmtp: str, clock_rate: int) -> None:
        parameters = format_parameters(fmtp)
        mode = parameters.get("mode", "").lower()
        defaults = _LENGTHS.get(mode, _LENGTHS["aac-hbr"])
        self._track = track
        self._clock_rate = clock_rate
        names = ("sizelength", "indexlength", "indexdeltalength")
        self._lengths = tuple(
            _number(parameters, name, default)
            for name, default in zip(names, defaults, strict=True)
        )
        self._extra = tuple(
            _number(parameters, name, 0)
            for name in ("ctsdeltalength", "dtsdeltalength", "randomaccessindication",
                         "streamstateindication")
        )  # fmt: skip
        self._config = aac_config(fmtp)
        self._step = 1024
        if self._config:
            self._step = _frame_ticks(parse_audio_config(self._config), clock_rate)
        self._told = not self._config
        self._fragment = b""
        self._size = self._ts = 0

    def push(self, payload: bytes, ts: int, *, marker: bool, lost: int) -> list[AccessUnit]:
        """See `Depacketizer`."""
        out: list[AccessUnit] = []
        if self._fragment and (lost or ts != self._ts):
            out += self.flush()
        if not payload:
            return out
        try:
            sizes, deltas, start = self._headers(payload)
        except BitstreamError:
            return out + self._without_headers(payload, ts)
        if len(sizes) == 1 and (self._fragment or sizes[0] > len(payload) - start):
            return out + self._gather(payload[start:], sizes[0], ts, marker=marker)
        for size, delta in zip(sizes, deltas, strict=True):
            whole = start + size <= len(payload)
            if size and start < len(payload):
                frame = payload[start : start + size]
                out.append(self._unit(frame, ts + delta * self._step, damaged=not whole))
            start += size
        return out

    def settle(self) -> list[AccessUnit]:
        """See `Depacketizer`."""
        return []

    def flush(self) -> list[AccessUnit]:
        """See `Depacketizer`."""
        if not self._fragment:
            return []
        frame, self._fragment = self._fragment, b""
        return [self._unit(frame, self._ts, damaged=True)]

    def _headers(self, payload: bytes) -> tuple[list[int], list[int], int]:
        """Sizes and indices of the frames, and where the first begins (section 3.2.1)."""
        if len(payload) < 2:
            raise BitstreamError("AU header section is cut off")
        bits_of_headers = payload[0] << 8 | payload[1]
        start = 2 + (bits_of_headers + 7) // 8
        if bits_of_headers == 0 or start >= len(payload):
            raise BitstreamError("AU header section is empty or longer than the packet")
        bits = BitReader(payload[2:start])
        end = bits.left - bits_of_headers
        sizes: list[int] = []
        indices: list[int] = []
        size_length, index_length, delta_length = self._lengths
        smallest = size_length + (delta_length if sizes else index_length)
        while bits.left - end >= max(smallest, 1):
            sizes.append(bits.u(size_length))
            if indices:
                indices.append(indices[-1] + 1 + bits.u(delta_length))
            else:
                bits.u(index_length)
                indices.append(0)
            self._skip_extra(bits)
            smallest = size_length + delta_length
        if not sizes or sizes[0] == 0:
            raise BitstreamError("AU headers without a size")
        return sizes, indices, start

    def _skip_extra(self, bits: BitReader) -> None:
        """Fields of other modes: time offsets behind a flag each, and plain bits."""
        *offsets, random_access, state = self._extra
        for size in offsets:
            if size and bits.flag():
                bits.u(size)
        bits.u((1 if random_access else 0) + state)

    def _gather(self, data: bytes, size: int, ts: int, *, marker: bool) -> list[AccessUnit]:
        """A fragment; each repeats the size of the whole frame, the last has the marker."""
        self._ts, self._size = ts, size
        self._fragment += data
        if len(self._fragment) < size and not marker and len(self._fragment) < _MOST_FRAME:
            return []
        frame, self._fragment = self._fragment, b""
        return [self._unit(frame, ts, damaged=len(frame) != size)]

    def _without_headers(self, payload: bytes, ts: int) -> list[AccessUnit]:
        """Not to RFC 3640 (quirk 33): a run of ADTS frames, else nothing that can be read."""
        try:
            frames = split_adts(payload)
        except BitstreamError:
            return [self._unit(payload, ts, damaged=True)]
        return [self._unit(f, ts + n * self._step, damaged=False) for n, f in enumerate(frames)]

    def _unit(self, frame: bytes, ts: int, *, damaged: bool) -> AccessUnit:
        if frame[:1] == b"\xff":
            frame = self._strip_adts(frame)
        told, self._told = self._told, True
        return AccessUnit(
            track=self._track,
            kind=UnitKind.AAC,
            ts=ts,
            units=(frame,),
            key=True,
            damaged=damaged,
            parameter_sets=() if told else (self._config,),
        )

    def _strip_adts(self, frame: bytes) -> bytes:
        """Without an ADTS header that fits the frame (quirk 33); it also tells a missing config."""
        try:
            header = parse_adts(frame)
        except BitstreamError:
            return frame
        if header.frame_size != len(frame):
            return frame
        if not self._config:
            self._config, self._told = header.config.to_bytes(), False
            self._step = _frame_ticks(header.config, self._clock_rate)
        return frame[header.header_size :]


def _frame_ticks(config: AudioSpecificConfig, clock_rate: int) -> int:
    return config.frame_samples * clock_rate // config.sample_rate


def _number(parameters: dict[str, str], name: str, default: int) -> int:
    value = parameters.get(name, "")
    return min(int(value), 32) if value.isascii() and value.isdigit() else default
