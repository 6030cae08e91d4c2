"""A camera whose answers a test writes."""

import re
from collections.abc import Callable

import pytest

from kilocam.rtsp import NEED_DATA, Credentials, Failed, Handshake, Playing, Redirected

SDP = (
    "v=0\r\nm=video 0 RTP/AVP 96\r\na=rtpmap:96 H264/90000\r\n"
    "a=fmtp:96 sprop-parameter-sets=Z0LAHg==,aM48gA==\r\na=control:t1\r\n"
)
ANSWERS = {
    "OPTIONS": ("200 OK", "Public: OPTIONS, DESCRIBE, SETUP, PLAY, GET_PARAMETER\r\n", ""),
    "DESCRIBE": (
        "200 OK",
        "Content-Base: rtsp://camera/live/\r\nContent-Type: application/sdp\r\n",
        SDP,
    ),
    "SETUP": (
        "200 OK",
        "Session: 5E55;timeout=60\r\nTransport: RTP/AVP/TCP;unicast;interleaved=0-1\r\n",
        "",
    ),
    "PLAY": ("200 OK", "Session: 5E55\r\nRTP-Info: url=rtsp://camera/live/t1;seq=1\r\n", ""),
    "GET_PARAMETER": ("200 OK", "", ""),
}
Answer = tuple[str, str, str]
Event = Playing | Failed | Redirected


class Camera:
    """Answers each request with the next of its own answers, else as a good camera would."""

    def __init__(self, handshake: Handshake) -> None:
        self.handshake = handshake
        self.answers: dict[str, list[Answer]] = {}
        self.requests: list[str] = []

    def will_answer(
        self, method: str, status: str, *fields: str, body: str = "", times: int = 1
    ) -> None:
        answer = (status, "".join(f"{field}\r\n" for field in fields), body)
        self.answers.setdefault(method, []).extend([answer] * times)

    def answer(self, request: bytes) -> bytes:
        text = request.decode()
        self.requests.append(text)
        method = text.split(" ", 1)[0]
        scripted = self.answers.get(method)
        status, fields, body = scripted.pop(0) if scripted else ANSWERS[method]
        cseq = re.findall(r"CSeq: (\d+)", text)[0]
        head = f"RTSP/1.0 {status}\r\nCSeq: {cseq}\r\n{fields}Content-Length: {len(body)}\r\n\r\n"
        return (head + body).encode()

    def play(self) -> Event:
        """Run the dialogue until it ends."""
        waiting = self.answer(self.handshake.start())
        while True:
            self.handshake.receive_data(waiting)
            event = self.handshake.next_event()
            self.handshake.check_invariants()
            if event is not NEED_DATA:
                return event
            waiting = self.answer(self.handshake.data_to_send())

    @property
    def methods(self) -> list[str]:
        return [request.split(" ", 1)[0] for request in self.requests]


@pytest.fixture
def camera() -> Callable[..., Camera]:
    def make(
        url: str = "rtsp://user:secret@camera/live", credentials: Credentials | None = None
    ) -> Camera:
        return Camera(Handshake(url, credentials, cnonce="c0ffee"))

    return make
