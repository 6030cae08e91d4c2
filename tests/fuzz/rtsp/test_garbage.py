"""Mutated real messages and streams: events or our own errors, nothing else, in bounded memory.

Each file of `corpus/` is a seed; a crash found stays there.
"""

import contextlib
from pathlib import Path

from hypothesis import given, settings
from hypothesis import strategies as st

from kilocam.rtsp import (
    NEED_DATA,
    Demultiplexer,
    Failed,
    Handshake,
    LocalProtocolError,
    RemoteProtocolError,
    parse_sdp,
    parse_url,
)
from kilocam.rtsp.auth import parse_challenges
from kilocam.rtsp.messages import Limits, MessageReader
from kilocam.rtsp.transport import parse_session, read_transport

SEEDS = [path.read_bytes() for path in sorted((Path(__file__).parent / "corpus").iterdir())]


@st.composite
def mutated(draw: st.DrawFn) -> bytes:
    data = bytearray(draw(st.sampled_from(SEEDS)))
    for _ in range(draw(st.integers(0, 6))):
        at = draw(st.integers(0, len(data)))
        cut = draw(st.integers(0, 12))
        data[at : at + cut] = draw(
            st.one_of(st.binary(max_size=8), st.sampled_from([b"\r\n", b"\n\n", b"$", b"\0", b"="]))
        )
    return bytes(data)


@given(mutated(), st.integers(1, 50))
@settings(max_examples=300, deadline=None)
def test_reader_gives_messages_or_a_remote_protocol_error(data: bytes, piece: int) -> None:
    reader = MessageReader(Limits(max_head=2000, max_body=2000))
    with contextlib.suppress(RemoteProtocolError):
        for at in range(0, len(data), piece):
            reader.receive_data(data[at : at + piece])
            while reader.next_message() is not NEED_DATA:
                pass


@given(st.lists(mutated(), max_size=6))
@settings(max_examples=200, deadline=None)
def test_handshake_ends_in_an_event_whatever_is_answered(answers: list[bytes]) -> None:
    handshake = Handshake("rtsp://user:secret@camera/live", cnonce="c")
    handshake.start()
    for answer in answers:
        handshake.receive_data(answer or b"\n")
        event = handshake.next_event()
        handshake.check_invariants()
        if event is not NEED_DATA:
            assert not isinstance(event, Failed) or "secret" not in event.text
            return


@given(mutated(), st.integers(1, 50))
@settings(max_examples=300, deadline=None)
def test_demultiplexer_takes_anything(data: bytes, piece: int) -> None:
    demultiplexer = Demultiplexer(frozenset({0, 1}))
    for at in range(0, len(data), piece):
        demultiplexer.feed(data[at : at + piece])
        demultiplexer.check_invariants()


@given(mutated())
@settings(max_examples=300, deadline=None)
def test_small_parsers_take_anything(data: bytes) -> None:
    text = data.decode("utf-8", "surrogateescape")
    parse_sdp(data)
    parse_challenges([text])
    read_transport(text, 0)
    parse_session(text)
    with contextlib.suppress(LocalProtocolError):
        parse_url(f"rtsp://{text}")
