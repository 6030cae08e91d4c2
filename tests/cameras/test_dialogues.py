"""Each camera's dialogue, played to the handshake: `dialogue.toml` says what to expect."""

import re
import tomllib
from pathlib import Path

import pytest

from kilocam.rtsp import NEED_DATA, Handshake, Playing, frame
from kilocam.rtsp.messages import Request, parse_message

CAMERAS = sorted(path.parent for path in Path(__file__).parent.glob("*/dialogue.toml"))
EARLY = frame(0, b"\x80\x60" + bytes(10))


def first_lines(wire: bytes) -> list[str]:
    """The first line of each message that the client wrote, without the version."""
    messages = [parse_message(part + b"\r\n\r\n") for part in wire.split(b"\r\n\r\n") if part]
    return [
        f"{m.method} {m.url}" if isinstance(m, Request) else f"RTSP/1.0 {m.status}"
        for m in messages
    ]


def cseq_of(wire: bytes) -> str:
    numbers: list[bytes] = re.findall(rb"CSeq: (\d+)", wire)
    return numbers[-1].decode()


def answered(answer: dict[str, str], cseq: str, line_end: str) -> bytes:
    body = answer.get("body", "").replace("\n", line_end).encode()
    head = answer["head"]
    if body:
        head += f"Content-Length: {len(body)}\n"
    wire = f"{head}\n".replace("{cseq}", cseq).replace("\n", line_end).encode()
    return wire.replace(b"{frame}", EARLY) + body


@pytest.mark.parametrize("camera", CAMERAS, ids=lambda path: path.name)
@pytest.mark.parametrize("piece", [1, 7, 100_000])
def test_camera_is_brought_to_play(camera: Path, piece: int) -> None:
    expected = tomllib.loads((camera / "dialogue.toml").read_text())
    line_end = "\n" if expected.get("line_end") == "lf" else "\r\n"
    handshake = Handshake(expected["url"], cnonce="c")
    asked, event = [handshake.start()], None
    for answer in expected["answer"]:
        wire = answered(answer, cseq_of(asked[-1]), line_end)
        for at in range(0, len(wire), piece):
            handshake.receive_data(wire[at : at + piece])
            event = handshake.next_event()
            handshake.check_invariants()
        asked.append(handshake.data_to_send())
    assert isinstance(event, Playing), event
    assert first_lines(b"".join(asked)) == expected["requests"]
    assert [[m.rtp_channel, m.rtcp_channel] for m in event.media] == expected["channels"]
    assert [m.codec for m in event.media] == expected["codecs"]
    assert handshake.quirks == set(expected["quirks"])
    early = any("{frame}" in answer["head"] for answer in expected["answer"])
    assert handshake.rest() == (EARLY if early else b"")
    assert handshake.next_event() is NEED_DATA
