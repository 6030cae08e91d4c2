"""The low-level client: numbers and signs requests, matches answers, and knows no order of them.

`Handshake` says what to send when. Answers are matched by CSeq and, where a camera's CSeq is wrong
or missing, by order (ffmpeg only warns of that too).
"""

from collections import deque
from dataclasses import dataclass

from kilocam.rtsp.auth import Authenticator
from kilocam.rtsp.errors import LocalProtocolError
from kilocam.rtsp.messages import (
    Headers,
    Limits,
    MessageReader,
    RawFrame,
    Request,
    Response,
    encode,
    type_of_need_data,
)
from kilocam.rtsp.quirks import Quirk

MAX_PENDING = 8
"""Requests whose answer may come: some cameras never answer keep-alives (quirk 8)."""

_ODD = {"lf": Quirk.LF_ONLY, "reason": Quirk.EMPTY_REASON, "case": Quirk.ODD_HEADERS}


@dataclass(frozen=True, slots=True, kw_only=True)
class Answered:
    """An answer and the request it belongs to."""

    request: Request
    response: Response


@dataclass(frozen=True, slots=True, kw_only=True)
class Called:
    """A request of the camera's (quirk 9)."""

    request: Request


class RtspClient:
    """One connection's requests and answers.

    Args:
        user_agent: sent with each request; some cameras answer 401 without one (quirk 2).
        authenticator: signs requests once it was challenged; None without credentials.
        limits: bounds of what is kept.
    """

    def __init__(
        self, *, user_agent: str, authenticator: Authenticator | None, limits: Limits
    ) -> None:
        self.authenticator = authenticator
        self.quirks: set[Quirk] = set()
        self.session: str | None = None
        self._user_agent = user_agent
        self._reader = MessageReader(limits)
        self._cseq = 0
        self._pending: deque[tuple[int, Request]] = deque(maxlen=MAX_PENDING)

    def send(self, request: Request) -> bytes:
        """The request as bytes to write; its answer will come as `Answered`."""
        self._cseq += 1
        fields = [("CSeq", str(self._cseq)), ("User-Agent", self._user_agent)]
        if self.session is not None:
            fields.append(("Session", self.session))
        if self.authenticator is not None:
            signed = self.authenticator.header(request.method, request.url)
            if signed is not None:
                fields.append(("Authorization", signed))
        self._pending.append((self._cseq, request))
        return encode(
            Request(
                method=request.method,
                url=request.url,
                headers=request.headers.with_first(*fields),
                body=request.body,
            )
        )

    def receive_data(self, data: bytes) -> None:
        """Take bytes that were read."""
        self._reader.receive_data(data)

    def next_event(self) -> Answered | Called | RawFrame | type_of_need_data:
        """What has come.

        Raises:
            RemoteProtocolError: it is no RTSP, or longer than a bound.
        """
        while True:
            message = self._reader.next_message()
            if isinstance(message, Response | Request):
                event = self.take(message)
                if event is None:
                    continue
                return event
            return message

    def take(self, message: Request | Response) -> Answered | Called | None:
        """Match one message; None for an answer to nothing and for a provisional one."""
        if isinstance(message, Request):
            self.quirks.add(Quirk.CALLS_CLIENT)
            return Called(request=message)
        if message.status < 200:
            return None
        self.quirks.update(_ODD[name] for name in message.odd)
        request = self._match(message)
        return None if request is None else Answered(request=request, response=message)

    def _match(self, response: Response) -> Request | None:
        cseq = response.headers.cseq
        numbers = [number for number, _ in self._pending]
        if cseq in numbers:
            while self._pending[0][0] != cseq:
                self._pending.popleft()
            return self._pending.popleft()[1]
        self.quirks.add(Quirk.WRONG_CSEQ)
        return self._pending.popleft()[1] if self._pending else None

    def take_rest(self) -> bytes:
        """Bytes that were read and belong to no message yet taken."""
        return self._reader.take_rest()

    def answer(self, request: Request) -> bytes:
        """The answer to a camera's own request: 200 to what asks whether we live, else 501."""
        alive = request.method in ("OPTIONS", "GET_PARAMETER")
        fields = [("CSeq", request.headers.get("CSeq") or "0")]
        if session := request.headers.get("Session"):
            fields.append(("Session", session))
        if request.method == "OPTIONS":
            fields.append(("Public", "OPTIONS, GET_PARAMETER"))
        return encode(
            Response(
                status=200 if alive else 501,
                reason="OK" if alive else "Not Implemented",
                headers=Headers(tuple(fields)),
            )
        )

    def check_invariants(self) -> None:
        """For tests: what holds after every call."""
        assert len(self._pending) <= MAX_PENDING
        numbers = [number for number, _ in self._pending]
        assert numbers == sorted(set(numbers))
        assert not numbers or numbers[-1] <= self._cseq
        if self.session is not None and not self.session:
            raise LocalProtocolError("an empty session id was taken")
