"""Interleaved framing of a live stream (RFC 2326 section 10.12) and finding it again.

Frames, RTSP messages and, from broken cameras, garbage, stray CRLF and frames on channels never
set up share one stream of bytes (quirks 14 and 15). A frame found in garbage is believed when what
follows it belongs in the stream, and else when it is short and nothing better begins within it.
"""

import re
from dataclasses import dataclass

from kilocam.rtsp.errors import LocalProtocolError

MAX_MESSAGE_HEAD = 4096
MAX_MESSAGE_BODY = 65_536
MAX_FRAME = 65_535
_HEADER = 4
_LIKELY_FRAME = 2048
_LIKELY_CHANNELS = frozenset(range(20))
"""What may follow a frame, though it was not set up (quirk 14)."""
_VERSIONED = 5
"""Bytes that tell whether a frame is plausible: `$`, channel, length, first byte of the packet."""

_METHODS = (
    b"RTSP/", b"OPTIONS ", b"GET_PARAMETER ", b"SET_PARAMETER ", b"ANNOUNCE ", b"REDIRECT ",
    b"TEARDOWN ", b"DESCRIBE ", b"PLAY ", b"PAUSE ",
)  # fmt: skip
_LONGEST_METHOD = max(map(len, _METHODS))
_CANDIDATE = re.compile(rb"\$|" + b"|".join(map(re.escape, _METHODS)))
_END_OF_HEAD = re.compile(rb"\n\r?\n")
_LENGTH = re.compile(rb"(?i)\ncontent-length[ \t]*:[ \t]*(\d{1,9})[ \t]*\r?\n")
_BLANK = re.compile(rb"[\r\n]+")
_FEW_BLANK = re.compile(rb"[\r\n]{0,8}")

_MOST_KEPT = 64
_NO, _YES, _UNKNOWN = range(3)

Bytes = bytes | bytearray


@dataclass(frozen=True, slots=True)
class Resync:
    """Where to go on, and what was stepped over."""

    pos: int
    skipped: int = 0
    """Bytes of garbage."""
    ignored: int = 0
    """Bytes of whole frames on channels never set up, of odd packets, and of stray CRLF."""
    message: bytes | None = None
    need_more: bool = False


def frame(channel: int, packet: bytes) -> bytes:
    """A packet framed for its channel."""
    if not 0 <= channel < 256 or len(packet) > MAX_FRAME:
        raise LocalProtocolError(
            f"a packet of {len(packet)} bytes on channel {channel} cannot be framed; "
            "channels are 0 to 255, packets at most 65535 bytes"
        )
    return b"$%c%b%b" % (channel, len(packet).to_bytes(2, "big"), packet)


def resync(
    data: Bytes, pos: int, channels: frozenset[int], *, max_frame: int = MAX_FRAME
) -> Resync:
    """Step over whatever stands at `pos` and is not a frame of ours.

    Cuts out one whole message, or passes over frames that are not ours, CRLF and garbage up to the
    next frame that is. Bounded by the length of `data`; see `Resync` for what comes back.
    """
    if blank := _BLANK.match(data, pos):
        return Resync(blank.end(), ignored=blank.end() - pos)
    if pos == len(data):
        return Resync(pos, need_more=True)
    if data[pos] == 0x24:
        return _foreign_frame(data, pos, channels, max_frame)
    message = _message_end(data, pos)
    if message > 0:
        return Resync(message, message=bytes(data[pos:message]))
    if message == 0:
        return Resync(pos, need_more=True)
    return _search(data, pos, channels, max_frame)


def _foreign_frame(data: Bytes, pos: int, channels: frozenset[int], max_frame: int) -> Resync:
    """A `$` that does not begin a frame of ours: a frame of another channel, or garbage."""
    if len(data) - pos < _VERSIONED:
        return Resync(pos, need_more=True)
    if _is_frame(data, pos, channels, max_frame) == _YES:
        return Resync(pos)
    length = _length(data, pos)
    likely = data[pos + 1] in _LIKELY_CHANNELS and data[pos + 4] & 0xC0 == 0x80
    if length > _LIKELY_FRAME and not likely:  # not worth waiting for its end
        return _search(data, pos, channels, max_frame)
    after = _what_follows(data, pos, channels, max_frame, foreign=True)
    if after == _YES:
        end = pos + _HEADER + length
        return Resync(end, ignored=end - pos)
    if after == _UNKNOWN:
        return Resync(pos, need_more=True)
    return _search(data, pos, channels, max_frame)


def _search(data: Bytes, pos: int, channels: frozenset[int], max_frame: int) -> Resync:
    """Garbage at `pos`: find the next message, or frame of ours that is sure."""
    size = len(data)
    at = pos + 1
    while found := _CANDIDATE.search(data, at):
        at = found.start()
        if data[at] != 0x24:
            return Resync(at, skipped=at - pos)
        sure = _is_frame(data, at, channels, max_frame)
        if sure == _YES and data[at - 1] not in b"\r\n":
            sure = _is_sure(data, at, channels, max_frame)
        if sure == _YES:
            return Resync(at, skipped=at - pos)
        if sure == _UNKNOWN:
            # Garbage stays in front, so that a hot loop comes back to us.
            back = at - 1
            while back > max(pos, at - _MOST_KEPT) and data[back] == 0x24:
                back -= 1
            return Resync(back, skipped=back - pos, need_more=True)
        at += 1
    # What is left may be the beginning of a method, and stays garbage for the next call.
    end = min(max(at, size - _LONGEST_METHOD), size - 1)
    return Resync(end, skipped=end - pos, need_more=True)


def _is_sure(data: Bytes, pos: int, channels: frozenset[int], max_frame: int) -> int:
    """Whether a plausible frame in garbage is one.

    It is, when something that belongs in the stream follows it. Garbage may follow as well: then a
    frame of a likely length is believed, unless one that begins within it is followed better.
    """
    follows = _what_follows(data, pos, channels, max_frame)
    length = _length(data, pos)
    if follows != _NO or length > _LIKELY_FRAME:
        return follows
    end = pos + _HEADER + length
    inner = pos + 1
    while (inner := data.find(b"$", inner, end)) >= 0:
        better = _is_frame(data, inner, channels, max_frame)
        if better == _YES:
            better = _what_follows(data, inner, channels, max_frame)
        if better != _NO:
            return _NO if better == _YES else _UNKNOWN
        inner += 1
    return _YES


def _is_frame(data: Bytes, pos: int, channels: frozenset[int], max_frame: int) -> int:
    """Whether a plausible frame of ours begins at `pos`, as far as can be seen."""
    size = len(data)
    if data[pos] != 0x24 or (size - pos > 1 and data[pos + 1] not in channels):
        return _NO
    if size - pos < _VERSIONED:
        return _UNKNOWN
    plausible = data[pos + 4] & 0xC0 == 0x80 and 0 < _length(data, pos) <= max_frame
    return _YES if plausible else _NO


def _what_follows(
    data: Bytes, pos: int, channels: frozenset[int], max_frame: int, *, foreign: bool = False
) -> int:
    """Whether the bytes after the frame at `pos` begin something that belongs in the stream."""
    length = _length(data, pos)
    if length > max_frame:
        return _NO
    blank = _FEW_BLANK.match(data, pos + _HEADER + length)
    end = blank.end() if blank else len(data)
    if end >= len(data):
        return _UNKNOWN
    if data[end] != 0x24:
        return _begins_message(data, end)
    channel = data[end + 1] if end + 1 < len(data) else -1
    if channel < 0:
        return _UNKNOWN
    if foreign and channel == data[pos + 1]:
        return _YES  # another one of the same unknown channel
    known = channels if channel in channels else _LIKELY_CHANNELS
    return _is_frame(data, end, known, max_frame)


def _begins_message(data: Bytes, pos: int) -> int:
    head = data[pos : pos + _LONGEST_METHOD]
    if head.startswith(_METHODS):
        return _YES
    return _UNKNOWN if any(method.startswith(head) for method in _METHODS) else _NO


def _message_end(data: Bytes, pos: int) -> int:
    """Where the message at `pos` ends; 0 if more is needed, -1 if there is none."""
    begins = _begins_message(data, pos)
    if begins != _YES:
        return 0 if begins == _UNKNOWN else -1
    found = _END_OF_HEAD.search(data, pos, pos + MAX_MESSAGE_HEAD)
    if found is None:
        return 0 if len(data) - pos < MAX_MESSAGE_HEAD else -1
    length = _LENGTH.search(data, pos, found.end())
    body = int(length[1]) if length else 0
    if body > MAX_MESSAGE_BODY:
        return -1
    end = found.end() + body
    return end if end <= len(data) else 0


def _length(data: Bytes, pos: int) -> int:
    return data[pos + 2] << 8 | data[pos + 3]


@dataclass(frozen=True, slots=True)
class Frame:
    """A packet and the channel it came on."""

    channel: int
    packet: bytes


@dataclass(frozen=True, slots=True)
class Message:
    """A whole RTSP message that stood between frames."""

    data: bytes


@dataclass(frozen=True, slots=True)
class Skipped:
    """Bytes of garbage that were stepped over."""

    count: int


class Demultiplexer:
    """Cuts a playing stream into packets and messages.

    Args:
        channels: the channels that were set up; frames on others are ignored (quirk 14).
        max_frame: the longest packet that is believed.
    """

    def __init__(self, channels: frozenset[int], *, max_frame: int = MAX_FRAME) -> None:
        self._channels = channels
        self._max_frame = max_frame
        self._buffer = bytearray()

    def feed(self, data: bytes) -> list[Frame | Message | Skipped]:
        """What `data` completes; an unfinished frame or message waits for the next call."""
        self._buffer += data
        buffer = self._buffer
        events: list[Frame | Message | Skipped] = []
        pos, size = 0, len(buffer)
        while pos < size:
            sure = _is_frame(buffer, pos, self._channels, self._max_frame)
            if sure == _UNKNOWN:
                break
            if sure == _YES:
                end = pos + _HEADER + _length(buffer, pos)
                if end > size:
                    break
                events.append(Frame(buffer[pos + 1], bytes(buffer[pos + _HEADER : end])))
                pos = end
                continue
            found = resync(buffer, pos, self._channels, max_frame=self._max_frame)
            if found.skipped:
                _count(events, found.skipped)
            if found.message is not None:
                events.append(Message(found.message))
            pos = found.pos
            if found.need_more:
                break
        del buffer[:pos]
        return events

    def check_invariants(self) -> None:
        """For tests: what waits is bounded by one frame or one message and what verifies it."""
        longest = max(self._max_frame, MAX_MESSAGE_HEAD + MAX_MESSAGE_BODY)
        assert len(self._buffer) <= longest + _HEADER + _LONGEST_METHOD + 9


def _count(events: list[Frame | Message | Skipped], skipped: int) -> None:
    if events and isinstance(events[-1], Skipped):
        events[-1] = Skipped(events[-1].count + skipped)
    else:
        events.append(Skipped(skipped))
