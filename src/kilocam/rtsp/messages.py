"""RTSP messages (RFC 2326 sections 4 to 7): encoding, and a tolerant incremental reader.

The reader takes what cameras send: LF-only line ends, odd case and spaces, no reason phrase
(quirks 3 and 24), and interleaved frames that stand between messages (quirk 14). What it holds
back is bounded by `Limits`, and the end of a header is never searched in the same bytes twice.
Control characters in header values become spaces, so that what we echo cannot break a message.
"""

import re
from collections.abc import Iterable
from dataclasses import dataclass
from enum import Enum
from typing import Final, Literal

from kilocam.rtsp.errors import LocalProtocolError, RemoteProtocolError, shown


class _Need(Enum):
    DATA = "NEED_DATA"

    def __repr__(self) -> str:
        return self.value


NEED_DATA: Final = _Need.DATA
"""No event: more bytes are needed."""
type_of_need_data = Literal[_Need.DATA]


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """Bounds of what a machine keeps of a peer's bytes."""

    max_head: int = 16_384
    max_body: int = 262_144
    max_unread: int = 1 << 20
    """Answers that the peer does not read, and packets that came before the answer to PLAY."""


DEFAULT_LIMITS: Final = Limits()


@dataclass(frozen=True, slots=True)
class Headers:
    """Header fields in order; names compare without case (RFC 2326 section 4.2)."""

    items: tuple[tuple[str, str], ...] = ()

    @classmethod
    def of(cls, **fields: str) -> "Headers":
        """`Headers.of(content_type="application/sdp")` is `Content-Type: application/sdp`."""
        return cls(tuple((name.replace("_", "-").title(), text) for name, text in fields.items()))

    def get(self, name: str) -> str | None:
        """The first field of that name."""
        return next(iter(self.get_all(name)), None)

    def get_all(self, name: str) -> tuple[str, ...]:
        """All fields of that name, in order."""
        wanted = name.lower()
        return tuple(text for key, text in self.items if key.lower() == wanted)

    def with_first(self, *pairs: tuple[str, str]) -> "Headers":
        """The same with `pairs` in front."""
        return Headers((*pairs, *self.items))

    @property
    def cseq(self) -> int | None:
        """The sequence number, if there is a readable one."""
        text = (self.get("CSeq") or "").strip()
        return int(text) if text.isascii() and text.isdigit() and len(text) < 12 else None


NO_HEADERS: Final = Headers()


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """A request; `url` never holds credentials."""

    method: str
    url: str
    headers: Headers = NO_HEADERS
    body: bytes = b""
    version: str = "1.0"


@dataclass(frozen=True, slots=True, kw_only=True)
class Response:
    """An answer."""

    status: int
    reason: str = ""
    headers: Headers = NO_HEADERS
    body: bytes = b""
    odd: frozenset[str] = frozenset()
    """What was unusual about its form: `lf`, `case`, `reason`."""


@dataclass(frozen=True, slots=True)
class RawFrame:
    """An interleaved frame, header included, found where a message was looked for."""

    data: bytes

    @property
    def channel(self) -> int:
        """Its interleaved channel."""
        return self.data[1]


REASONS = {
    200: "OK",
    400: "Bad Request",
    401: "Unauthorized",
    404: "Not Found",
    406: "Not Acceptable",
    451: "Parameter Not Understood",
    454: "Session Not Found",
    455: "Method Not Valid In This State",
    459: "Aggregate Operation Not Allowed",
    461: "Unsupported Transport",
    500: "Internal Server Error",
    501: "Not Implemented",
    503: "Service Unavailable",
    505: "RTSP Version Not Supported",
    551: "Option Not Supported",
}

_CONTROL = re.compile(r"[\x00-\x1f\x7f]")
_STATUS_LINE = re.compile(r"RTSP/\d+\.\d+\s+(\d{3})(?!\d)\s*(.*)")
_REQUEST_LINE = re.compile(r"([A-Za-z_]{1,32})\s+(\S+)\s+RTSP/(\d+\.\d+)\s*")
_BLANK = re.compile(rb"[\r\n]+")
_END_OF_HEAD = re.compile(rb"\n\r?\n")
_ENCODING = ("utf-8", "surrogateescape")


def encode(message: Request | Response) -> bytes:
    """The message as bytes; Content-Length is added when there is a body.

    Raises:
        LocalProtocolError: a name or value holds a control character.
    """
    if isinstance(message, Request):
        first = f"{message.method} {message.url} RTSP/{message.version}"
    else:
        first = f"RTSP/1.0 {message.status} {message.reason}"
    lines = [first, *(f"{name}: {text}" for name, text in message.headers.items)]
    if message.body and message.headers.get("Content-Length") is None:
        lines.append(f"Content-Length: {len(message.body)}")
    if bad := next((line for line in lines if _CONTROL.search(line)), None):
        raise LocalProtocolError(
            f"header {bad.split(':')[0][:40]!a} holds a control character; remove it"
        )
    return "\r\n".join((*lines, "", "")).encode(*_ENCODING) + message.body


class MessageReader:
    """Cuts messages and stray interleaved frames out of a stream of bytes."""

    def __init__(self, limits: Limits) -> None:
        self._limits = limits
        self._buffer = bytearray()
        self._searched = 0
        self._head: Request | Response | None = None
        self._body_size = 0

    def receive_data(self, data: bytes) -> None:
        """Take bytes that were read."""
        self._buffer += data

    def take_rest(self) -> bytes:
        """All bytes not yet cut; the reader is empty after this."""
        rest = bytes(self._buffer)
        self._buffer.clear()
        self._searched = 0
        return rest

    def next_message(self) -> Request | Response | RawFrame | type_of_need_data:
        """The next whole thing.

        Raises:
            RemoteProtocolError: what came is no message, or is longer than a bound.
        """
        if self._head is None:
            self._skip_blank()
            if self._buffer[:1] == b"$":
                return self._next_frame()
            if not self._find_head():
                return NEED_DATA
        return self._finish()

    def _skip_blank(self) -> None:
        """CR and LF before a message mean nothing (RFC 2326 section 4, quirk 15)."""
        if blank := _BLANK.match(self._buffer):
            del self._buffer[: blank.end()]
            self._searched = 0

    def _next_frame(self) -> RawFrame | type_of_need_data:
        if len(self._buffer) < 4:
            return NEED_DATA
        end = 4 + int.from_bytes(self._buffer[2:4], "big")
        if len(self._buffer) < end:
            return NEED_DATA
        return RawFrame(self._cut(end))

    def _find_head(self) -> bool:
        if self._buffer and not _may_begin(self._buffer[0]):
            raise RemoteProtocolError(
                f"the peer sent {shown(bytes(self._buffer[:24]))} where an RTSP message should "
                "begin; check that it is an RTSP server"
            )
        found = _END_OF_HEAD.search(self._buffer, max(0, self._searched - 2))
        self._searched = len(self._buffer)
        if (found.end() if found else len(self._buffer)) > self._limits.max_head:
            raise RemoteProtocolError(
                f"the peer's message header is longer than {self._limits.max_head} bytes "
                "(max_head); check that it is an RTSP server"
            )
        if found is None:
            self._check_first_line()
            return False
        self._head = parse_head(self._cut(found.end()))
        self._body_size = self._content_length(self._head.headers)
        return True

    def _check_first_line(self) -> None:
        """A peer that speaks something else is told apart before it falls silent."""
        line, newline, _ = self._buffer[:1024].partition(b"\n")
        if newline:
            _parse_first_line(line.decode(*_ENCODING).strip())

    def _content_length(self, headers: Headers) -> int:
        text = (headers.get("Content-Length") or "0").strip()
        if not (text.isascii() and text.isdigit()):
            raise RemoteProtocolError(f"the peer's Content-Length {shown(text)} is not a number")
        if len(text) > 12 or int(text) > self._limits.max_body:
            raise RemoteProtocolError(
                f"the peer announced a body of {shown(text, 20)} bytes; the most accepted is "
                f"{self._limits.max_body} (max_body)"
            )
        return int(text)

    def _finish(self) -> Request | Response | type_of_need_data:
        head = self._head
        assert head is not None
        if len(self._buffer) < self._body_size:
            return NEED_DATA
        body = self._cut(self._body_size)
        self._head = None
        return with_body(head, body)

    def _cut(self, end: int) -> bytes:
        data = bytes(self._buffer[:end])
        del self._buffer[:end]
        self._searched = 0
        return data


def parse_message(data: bytes) -> Request | Response:
    """One whole message, as `resync` cuts it out.

    Raises:
        RemoteProtocolError: it is none.
    """
    found = _END_OF_HEAD.search(data)
    if found is None:
        raise RemoteProtocolError(f"{shown(data)} is no whole RTSP message")
    return with_body(parse_head(data[: found.end()]), data[found.end() :])


def with_body(head: Request | Response, body: bytes) -> Request | Response:
    """`head` together with its body."""
    if isinstance(head, Request):
        return Request(
            method=head.method, url=head.url, headers=head.headers, body=body, version=head.version
        )
    return Response(
        status=head.status, reason=head.reason, headers=head.headers, body=body, odd=head.odd
    )


def parse_head(data: bytes) -> Request | Response:
    """First line and header fields; `data` ends with the empty line."""
    text = data.decode(*_ENCODING)
    first, *lines = text.split("\n")
    start = _parse_first_line(first.strip())
    headers = Headers(tuple(_fields(lines)))
    if isinstance(start, Request):
        return Request(method=start.method, url=start.url, version=start.version, headers=headers)
    odd = {name for name, met in _oddities(text, start, headers) if met}
    return Response(status=start.status, reason=start.reason, headers=headers, odd=frozenset(odd))


def _oddities(text: str, start: Response, headers: Headers) -> Iterable[tuple[str, bool]]:
    yield "lf", "\r\n" not in text
    yield "reason", not start.reason
    yield "case", any(name != "CSeq" for name, _ in headers.items if name.lower() == "cseq")


def _fields(lines: list[str]) -> list[tuple[str, str]]:
    fields: list[tuple[str, str]] = []
    for line in lines:
        name, colon, value = line.partition(":")
        if line[:1] in (" ", "\t") and fields:  # folded, RFC 2068 section 4.2
            fields[-1] = (
                fields[-1][0],
                f"{fields[-1][1]} {_CONTROL.sub(' ', line).strip()}".strip(),
            )
        elif colon and name.strip():
            fields.append((name.strip(), _CONTROL.sub(" ", value).strip()))
    return fields


def _parse_first_line(line: str) -> Request | Response:
    if match := _STATUS_LINE.fullmatch(line):
        return Response(status=int(match[1]), reason=match[2].strip())
    if match := _REQUEST_LINE.fullmatch(line):
        return Request(method=match[1].upper(), url=match[2], version=match[3])
    raise RemoteProtocolError(
        f"the peer sent {shown(line)}, which is not RTSP; check host, port and that it is a camera"
    )


def _may_begin(byte: int) -> bool:
    return 65 <= byte <= 90 or 97 <= byte <= 122
