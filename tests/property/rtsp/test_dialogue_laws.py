"""Laws of the two machines on a fake wire: any split, any quirks, and garbage."""

from hypothesis import given, settings
from hypothesis import strategies as st

from kilocam.rtsp import (
    NEED_DATA,
    Credentials,
    Demultiplexer,
    Description,
    Failed,
    Frame,
    Handshake,
    Playing,
    PlayRequested,
    Redirected,
    RemoteProtocolError,
    RtpInfo,
    RtspServer,
    SdpMedia,
    ServerQuirk,
    TornDown,
    build_sdp,
    frame,
)
from kilocam.rtsp.messages import (
    Headers,
    Limits,
    MessageReader,
    RawFrame,
    Request,
    Response,
    encode,
)

VIDEO = SdpMedia(
    media="video",
    payload_type=96,
    codec="h264",
    clock_rate=90_000,
    fmtp="packetization-mode=1;sprop-parameter-sets=Z0LAHg==,aM48gA==",
    control="track0",
)
AUDIO = SdpMedia(
    media="audio",
    payload_type=97,
    codec="mpeg4-generic",
    clock_rate=48_000,
    channels=2,
    fmtp="mode=AAC-hbr;config=1190",
    control="track1",
)
DESCRIPTION = Description(sdp=build_sdp([VIDEO, AUDIO]), controls=("track0", "track1"))
LOGIN = Credentials(user="us er", password="p:@%/w")
PACKET = b"\x80\x60" + bytes(20)

sizes = st.lists(st.integers(1, 80), min_size=1, max_size=12)
server_quirks = st.frozensets(st.sampled_from(list(ServerQuirk)))


def pieces(data: bytes, lengths: list[int]) -> list[bytes]:
    """`data` cut into pieces of the given lengths, over and over."""
    cut: list[bytes] = []
    at = turn = 0
    while at < len(data):
        step = lengths[turn % len(lengths)]
        cut.append(data[at : at + step])
        at, turn = at + step, turn + 1
    return cut


def serving(quirks: frozenset[ServerQuirk], *, locked: bool, digest: bool = True) -> RtspServer:
    return RtspServer(
        lambda path: DESCRIPTION if path == "/cam/0" else None,
        session_id="5E55",
        nonce="90",
        credentials=LOGIN if locked else None,
        digest=digest,
        quirks=quirks,
    )


class Wire:
    """A client and a server that hear each other in pieces."""

    def __init__(self, handshake: Handshake, server: RtspServer, lengths: list[int]) -> None:
        self.handshake, self.server, self.lengths = handshake, server, lengths
        self.played: PlayRequested | None = None
        self.torn_down = False

    def to_server(self, data: bytes) -> bytes:
        for piece in pieces(data, self.lengths):
            self.server.receive_data(piece)
            while (event := self.server.next_event()) is not NEED_DATA:
                self.server.check_invariants()
                match event:
                    case PlayRequested():
                        self.played = event
                        self.server.play([RtpInfo(index=0, seq=5, rtptime=9)])
                    case TornDown():
                        self.torn_down = True
            self.server.check_invariants()
        return self.server.data_to_send()

    def run(self) -> Playing | Failed | Redirected:
        waiting = self.to_server(self.handshake.start())
        for _ in range(20):
            for piece in pieces(waiting, self.lengths):
                self.handshake.receive_data(piece)
            event = self.handshake.next_event()
            self.handshake.check_invariants()
            if event is not NEED_DATA:
                return event
            waiting = self.to_server(self.handshake.data_to_send())
        raise AssertionError("the dialogue does not end")


@given(sizes, server_quirks, st.booleans(), st.booleans())
@settings(max_examples=150, deadline=None)
def test_client_and_server_agree_over_any_split_and_any_quirks(
    lengths: list[int], quirks: frozenset[ServerQuirk], locked: bool, digest: bool
) -> None:
    handshake = Handshake("rtsp://camera:8554/cam/0", LOGIN, cnonce="c")
    wire = Wire(handshake, serving(quirks, locked=locked, digest=digest), lengths)
    playing = wire.run()
    assert isinstance(playing, Playing)
    assert wire.played is not None
    assert wire.played.path == "/cam/0"
    assert [(t.index, t.rtp_channel, t.rtcp_channel) for t in wire.played.tracks] == [
        (m.index, m.rtp_channel, m.rtcp_channel) for m in playing.media
    ]
    assert [(m.codec, m.clock_rate, m.channels) for m in playing.media] == [
        ("h264", 90_000, 1),
        ("mpeg4-generic", 48_000, 2),
    ]
    # what follows the answer to PLAY is not lost, whatever was read together with it
    handshake.receive_data(frame(playing.media[0].rtp_channel, PACKET))
    assert handshake.rest().endswith(frame(playing.media[0].rtp_channel, PACKET))
    assert wire.to_server(handshake.teardown())
    # a farewell is not awaited, so one whose nonce has just gone stale is not repeated
    assert wire.torn_down or ServerQuirk.SHORT_NONCE in quirks


@given(sizes, st.binary(max_size=400))
@settings(max_examples=100, deadline=None)
def test_a_server_that_sends_garbage_makes_the_handshake_fail_and_nothing_else(
    lengths: list[int], garbage: bytes
) -> None:
    handshake = Handshake("rtsp://user:secret@camera/cam/0", cnonce="c")
    handshake.start()
    for piece in pieces(garbage, lengths):
        handshake.receive_data(piece)
        event = handshake.next_event()
        handshake.check_invariants()
        assert event is NEED_DATA or isinstance(event, Failed | Redirected)
        if event is not NEED_DATA:
            assert isinstance(event, Redirected) or "secret" not in event.text
            return


@given(sizes, st.data())
@settings(max_examples=100, deadline=None)
def test_answers_with_flipped_bytes_give_an_outcome_and_no_other_exception(
    lengths: list[int], data: st.DataObject
) -> None:
    server = serving(frozenset(), locked=False)
    handshake = Handshake("rtsp://camera/cam/0", cnonce="c")
    wire = Wire(handshake, server, lengths)
    waiting = bytearray(wire.to_server(handshake.start()))
    for _ in range(8):
        for _ in range(data.draw(st.integers(0, 2))):
            if waiting:
                waiting[data.draw(st.integers(0, len(waiting) - 1))] = data.draw(
                    st.integers(0, 255)
                )
        handshake.receive_data(bytes(waiting) or b"\r\n")
        event = handshake.next_event()
        handshake.check_invariants()
        if event is not NEED_DATA:
            return
        waiting = bytearray(wire.to_server(handshake.data_to_send()))


@given(sizes, st.binary(max_size=400), st.booleans())
@settings(max_examples=100, deadline=None)
def test_a_client_that_sends_garbage_gets_400_and_a_remote_protocol_error_at_most(
    lengths: list[int], garbage: bytes, locked: bool
) -> None:
    server = serving(frozenset(), locked=locked)
    try:
        for piece in pieces(garbage, lengths):
            server.receive_data(piece)
            server.next_event()
            server.check_invariants()
    except RemoteProtocolError:
        assert server.data_to_send().endswith(b"RTSP/1.0 400 Bad Request\r\n\r\n")


words = st.text("abcXYZ019-_", min_size=1, max_size=8)
values = st.text(st.characters(min_codepoint=33, max_codepoint=126), max_size=20)
headers = st.lists(st.tuples(words, values), max_size=5).map(lambda items: Headers(tuple(items)))
bodies = st.binary(max_size=60)
requests = st.builds(
    Request,
    method=st.sampled_from(["OPTIONS", "DESCRIBE", "GET_PARAMETER", "XYZ"]),
    url=values.map(lambda text: f"rtsp://h/{text}"),
    headers=headers,
    body=bodies,
)
responses = st.builds(
    Response, status=st.integers(100, 599), reason=words, headers=headers, body=bodies
)
frames = st.builds(RawFrame, st.binary(max_size=60).map(lambda packet: frame(4, packet)))


def read_all(reader: MessageReader, parts: list[bytes]) -> list[Request | Response | RawFrame]:
    found: list[Request | Response | RawFrame] = []
    for part in parts:
        reader.receive_data(part)
        while (message := reader.next_message()) is not NEED_DATA:
            found.append(message)
    return found


def plain(message: Request | Response | RawFrame) -> object:
    """What must come back; Content-Length was added on the way."""
    if isinstance(message, RawFrame):
        return message
    fields = [pair for pair in message.headers.items if pair[0] != "Content-Length"]
    first = message.url if isinstance(message, Request) else f"{message.status} {message.reason}"
    return first, fields, message.body


@given(st.lists(st.one_of(requests, responses, frames), max_size=5), sizes)
@settings(max_examples=150, deadline=None)
def test_messages_and_frames_come_back_as_they_were_encoded_over_any_split(
    sent: list[Request | Response | RawFrame], lengths: list[int]
) -> None:
    wire = b"".join(m.data if isinstance(m, RawFrame) else encode(m) for m in sent)
    found = read_all(MessageReader(Limits()), pieces(wire, lengths))
    assert [plain(m) for m in found] == [plain(m) for m in sent]


rtp_packets = st.binary(min_size=1, max_size=60).map(lambda tail: b"\x80" + tail)
clean = st.tuples(st.sampled_from([0, 1, 2, 3]), rtp_packets).map(lambda t: frame(*t))
foreign = rtp_packets.map(lambda packet: frame(9, packet))
between = st.one_of(
    st.just(b"\r\n"),
    st.just(b"RTSP/1.0 200 OK\r\nCSeq: 9\r\n\r\n"),
    st.just(b"OPTIONS * RTSP/1.0\r\nCSeq: 1\r\n\r\n"),
    st.just(b"RTSP/1.0 200 OK\nCSeq: 9\nContent-Length: 3\n\nabc"),
    foreign,
)
OURS = frozenset({0, 1, 2, 3})


def packets(demultiplexer: Demultiplexer, parts: list[bytes]) -> list[bytes]:
    found: list[bytes] = []
    for part in parts:
        events = demultiplexer.feed(part)
        found += [frame(e.channel, e.packet) for e in events if isinstance(e, Frame)]
        demultiplexer.check_invariants()
    return found


@given(st.lists(st.one_of(clean, between), max_size=12), sizes)
@settings(max_examples=200, deadline=None)
def test_no_packet_is_lost_between_messages_blank_lines_and_foreign_frames(
    parts: list[bytes], lengths: list[int]
) -> None:
    ours = [part for part in parts if part[:1] == b"$" and part[1] in OURS]
    wire = b"".join(parts) + frame(0, PACKET) * 2  # what follows makes the last one sure
    found = packets(Demultiplexer(OURS), pieces(wire, lengths))
    assert found[: len(ours)] == ours
    assert found[len(ours) :] == [frame(0, PACKET)] * 2


garbage = st.binary(min_size=1, max_size=40).map(lambda b: bytes(x | 0x80 for x in b))


unmistakable = clean.filter(lambda framed: b"$" not in framed[1:])


@given(st.lists(st.tuples(garbage, unmistakable), max_size=8), sizes)
@settings(max_examples=150, deadline=None)
def test_no_packet_is_lost_when_garbage_surrounds_each_one(
    parts: list[tuple[bytes, bytes]], lengths: list[int]
) -> None:
    wire = b"".join(noise + good for noise, good in parts) + b"\xff" + frame(0, PACKET) * 2
    found = packets(Demultiplexer(OURS), pieces(wire, lengths))
    assert found[: len(parts)] == [good for _, good in parts]
    assert found[-2:] == [frame(0, PACKET)] * 2


@given(st.lists(st.one_of(clean, between, st.binary(max_size=50)), max_size=12), sizes, sizes)
@settings(max_examples=200, deadline=None)
def test_any_split_of_a_damaged_stream_gives_the_same_packets(
    parts: list[bytes], lengths: list[int], others: list[int]
) -> None:
    wire = b"".join(parts)
    one = packets(Demultiplexer(OURS), pieces(wire, lengths))
    assert packets(Demultiplexer(OURS), pieces(wire, others)) == one
