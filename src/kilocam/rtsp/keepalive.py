"""When and how to tell a camera that we still listen, and what it says meanwhile (quirk 8).

Every half of the session's timeout, at least every 30 s for the sake of NAT tables. GET_PARAMETER
if it is offered, else OPTIONS; SET_PARAMETER only where nothing else is. Answers are never awaited:
some cameras give none.
"""

from kilocam.rtsp.client import Answered, Called, RtspClient
from kilocam.rtsp.errors import RemoteProtocolError
from kilocam.rtsp.messages import Request, Response, parse_message
from kilocam.rtsp.quirks import Quirk

LONGEST_S = 30


class KeepAlive:
    """The rhythm of one playing session.

    Args:
        client: the connection's requests and answers.
        url: the stream's base URL: cameras do not answer at another.
        public: the methods that the camera offers.
        timeout_s: the session's timeout.
    """

    def __init__(
        self, client: RtspClient, url: str, public: frozenset[str], timeout_s: int
    ) -> None:
        self._client = client
        self._url = url
        self._interval_us = int(max(1, min(LONGEST_S, timeout_s / 2)) * 1_000_000)
        self._method = _method(public)
        self._repeated = False
        self.deadline_us: int | None = None

    def due(self, now_us: int) -> bytes | None:
        """The bytes to write if it is time; the first call starts the clock."""
        if self.deadline_us is not None and now_us < self.deadline_us:
            return None
        first = self.deadline_us is None
        self.deadline_us = now_us + self._interval_us
        self._repeated = False
        return None if first else self._client.send(Request(method=self._method, url=self._url))

    def hear(self, message: bytes) -> bytes:
        """Take a message found between frames; the bytes to write, mostly none."""
        try:
            event = self._client.take(parse_message(message))
        except RemoteProtocolError:
            self._client.quirks.add(Quirk.GARBAGE)
            return b""
        match event:
            case Called():
                return self._client.answer(event.request)
            case Answered():
                return self._hear_answer(event.request, event.response)
            case None:
                return b""

    def _hear_answer(self, request: Request, response: Response) -> bytes:
        if request.method != self._method or response.status < 400:
            return b""
        if response.status == 401:
            return self._sign_anew(request, response)
        if self._method != "OPTIONS":
            self._client.quirks.add(Quirk.KEEP_ALIVE_REFUSED)
            self._method = "OPTIONS"
        return b""

    def _sign_anew(self, request: Request, response: Response) -> bytes:
        """The nonce is stale: sign again, once for each keep-alive."""
        signer = self._client.authenticator
        if signer is None:
            return b""
        self._client.quirks.add(Quirk.STALE_NONCE)
        fresh = signer.challenged(response.headers.get_all("WWW-Authenticate"))
        again, self._repeated = fresh and not self._repeated, True
        return self._client.send(request) if again else b""


def _method(public: frozenset[str]) -> str:
    if "GET_PARAMETER" in public:
        return "GET_PARAMETER"
    only_set = "SET_PARAMETER" in public and "OPTIONS" not in public
    return "SET_PARAMETER" if only_set else "OPTIONS"
