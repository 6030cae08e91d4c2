"""Our machines against others': gst-rtsp-server, ffprobe, GStreamer's rtspsrc."""

import json
import socket
import subprocess
import time
from collections import Counter
from collections.abc import Callable

import pytest
from tests.integration.rtsp.servers import GstServer, SocketServer

from kilocam.bitstream import h265_kind, join_avcc
from kilocam.core import Track
from kilocam.media import KeyFrameDecoder, Sample, h265_format
from kilocam.rtsp import (
    NEED_DATA,
    AccessUnit,
    Credentials,
    Demultiplexer,
    Failed,
    FailureReason,
    Frame,
    Handshake,
    Playing,
    Redirected,
    ServerQuirk,
    Skipped,
    StreamReader,
    frame,
    h265_parameter_sets,
)

Ended = Playing | Failed | Redirected


def shake(handshake: Handshake, connection: socket.socket) -> Ended:
    connection.sendall(handshake.start())
    while True:
        event = handshake.next_event()
        connection.sendall(handshake.data_to_send())
        if event is not NEED_DATA:
            return event
        handshake.receive_data(connection.recv(65536))
        handshake.check_invariants()


def connect(url: str) -> tuple[Handshake, socket.socket, Ended]:
    handshake = Handshake(url, cnonce="c0ffee")
    connection = socket.create_connection(handshake.address, timeout=20)
    return handshake, connection, shake(handshake, connection)


@pytest.mark.parametrize("gst_server", ["none", "basic", "digest"], indirect=True)
def test_client_plays_video_and_audio_of_gst_rtsp_server(gst_server: GstServer) -> None:
    url = f"rtsp://user:pass:w@rd@127.0.0.1:{gst_server.port}/test"
    handshake, connection, playing = connect(url)
    with connection:
        assert isinstance(playing, Playing)
        assert [m.codec for m in playing.media] == ["h264", "mpeg4-generic"]
        assert playing.session_timeout_s == 60
        channels = {c for m in playing.media for c in (m.rtp_channel, m.rtcp_channel)}
        demultiplexer = Demultiplexer(frozenset(channels))
        seen = Counter[int]()
        data = handshake.rest()
        until = time.monotonic() + 30
        while min(seen[m.rtp_channel] for m in playing.media) < 20 and time.monotonic() < until:
            events = demultiplexer.feed(data)
            assert not [e for e in events if isinstance(e, Skipped)]
            seen.update(e.channel for e in events if isinstance(e, Frame))
            data = connection.recv(65536)
        assert min(seen[m.rtp_channel] for m in playing.media) >= 20
        assert handshake.keep_alive(0) is None
        connection.sendall(handshake.keep_alive(60_000_000) or b"")
        connection.sendall(handshake.teardown())


@pytest.mark.parametrize("gst_server", ["h265"], indirect=True)
def test_h265_of_gst_rtsp_server_comes_out_as_pictures(gst_server: GstServer) -> None:
    handshake, connection, playing = connect(f"rtsp://127.0.0.1:{gst_server.port}/test")
    units: list[AccessUnit] = []
    with connection:
        assert isinstance(playing, Playing)
        (medium,) = playing.media
        assert medium.codec == "h265"
        fmtp = medium.fmtp
        assert [h265_kind(nal) for nal in h265_parameter_sets(fmtp)] == [32, 33, 34]
        track = Track(
            index=0, media="video", codec=medium.codec, payload_type=medium.payload_type,
            clock_rate=medium.clock_rate, channels=0, rtp_channel=medium.rtp_channel,
            rtcp_channel=medium.rtcp_channel, fmtp=fmtp,
        )  # fmt: skip
        demultiplexer = Demultiplexer(frozenset({medium.rtp_channel, medium.rtcp_channel}))
        reader = StreamReader([track])
        data = handshake.rest()
        until = time.monotonic() + 30
        forms = set()
        while len(units) < 40 and time.monotonic() < until:
            for event in demultiplexer.feed(data):
                assert isinstance(event, Frame)
                if event.channel == medium.rtp_channel:
                    forms.add(event.packet[12] >> 1 & 63)
                units += reader.feed(frame(event.channel, event.packet))
            data = connection.recv(65536)
        connection.sendall(handshake.teardown())
    assert {48, 49} <= forms
    assert not any(unit.damaged for unit in units)
    keys = [unit for unit in units if unit.key]
    assert len(keys) >= 2
    decoder = KeyFrameDecoder()
    for unit in keys:
        form = h265_format(unit.parameter_sets)
        assert form is not None
        sample = Sample(
            track=1, pts=unit.ts, dts=unit.ts, duration=0, key=True, data=join_avcc(unit.units)
        )
        assert decoder.decode(sample, form).display_size == (320, 240)


@pytest.mark.parametrize("gst_server", ["digest"], indirect=True)
def test_client_is_refused_by_gst_rtsp_server_with_a_wrong_password(
    gst_server: GstServer,
) -> None:
    _, connection, failed = connect(f"rtsp://user:nonsense@127.0.0.1:{gst_server.port}/test")
    connection.close()
    assert isinstance(failed, Failed)
    assert failed.reason is FailureReason.UNAUTHORIZED
    assert "nonsense" not in failed.text


@pytest.mark.parametrize("gst_server", ["none"], indirect=True)
def test_client_learns_of_a_wrong_path_from_gst_rtsp_server(gst_server: GstServer) -> None:
    _, connection, failed = connect(f"rtsp://127.0.0.1:{gst_server.port}/nothing")
    connection.close()
    assert isinstance(failed, Failed)
    assert failed.reason is FailureReason.NOT_FOUND
    assert "check the path" in failed.text


def ffprobe(url: str) -> dict[str, object]:
    options = "-v error -rtsp_transport tcp -analyzeduration 500000 -of json -show_streams"
    done = subprocess.run(
        ["ffprobe", *options.split(), url], capture_output=True, timeout=60, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    stream: dict[str, object] = json.loads(done.stdout)["streams"][0]
    return stream


@pytest.mark.parametrize("digest", [True, False])
def test_ffprobe_reads_our_server_with_digest_and_basic(
    serve: Callable[..., SocketServer], digest: bool
) -> None:
    server = serve(Credentials(user="user", password="secret"), digest=digest)
    stream = ffprobe(f"rtsp://user:secret@127.0.0.1:{server.port}/cam/0")
    assert (stream["codec_name"], stream["width"], stream["height"]) == ("h264", 320, 240)
    assert "PlayRequested" in server.log


@pytest.mark.parametrize(
    "quirk",
    [
        ServerQuirk.OTHER_CHANNELS,
        ServerQuirk.LF_ONLY,
        ServerQuirk.SEVERAL_CHALLENGES,
        ServerQuirk.NO_CONTENT_BASE,
        ServerQuirk.NO_PARAMETER_SETS,
    ],
)
def test_ffprobe_stands_the_quirks_that_our_server_shows(
    serve: Callable[..., SocketServer], quirk: ServerQuirk
) -> None:
    server = serve(Credentials(user="user", password="secret"), quirks=frozenset({quirk}))
    assert ffprobe(f"rtsp://user:secret@127.0.0.1:{server.port}/cam/0")["width"] == 320


def test_ffprobe_is_told_of_a_wrong_path_by_our_server(
    serve: Callable[..., SocketServer],
) -> None:
    url = f"rtsp://127.0.0.1:{serve().port}/cam/1"
    command = ["ffprobe", "-v", "error", "-rtsp_transport", "tcp", url]
    done = subprocess.run(command, capture_output=True, timeout=60, text=True, check=False)
    assert "404 Not Found" in done.stderr


@pytest.mark.parametrize("protocols", ["tcp", "udp+tcp"])
def test_gstreamer_plays_our_server_and_falls_back_to_tcp(
    serve: Callable[..., SocketServer], protocols: str
) -> None:
    server = serve(Credentials(user="user", password="secret"))
    url = f"rtsp://127.0.0.1:{server.port}/cam/0"
    pipeline = (
        f"rtspsrc location={url} user-id=user user-pw=secret protocols={protocols} latency=0 "
        "! rtph264depay ! h264parse ! avdec_h264 ! fakesink num-buffers=15"
    )
    done = subprocess.run(
        ["gst-launch-1.0", "-q", *pipeline.split()],
        capture_output=True,
        timeout=60,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert server.log[:2] == ["PlayRequested", "TornDown"]
