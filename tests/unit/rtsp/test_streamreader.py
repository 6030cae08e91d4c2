"""Stored payloads to access units: several tracks, cut anywhere, joined anywhere."""

from dataclasses import dataclass, field, replace
from fractions import Fraction

import av
import numpy as np
import pytest

from kilocam.bitstream import split_annex_b
from kilocam.core import Track
from kilocam.rtsp.depacketize import AccessUnit, UnitKind
from kilocam.rtsp.packetize import packetize_aac, packetize_h264
from kilocam.rtsp.rtp import RtpPacket, build_rtp
from kilocam.rtsp.sdp import parse_sdp
from kilocam.rtsp.streamreader import StreamReader
from kilocam.simulate.reports import sender_report

VIDEO = Track(index=0, media="video", codec="h264", payload_type=96, clock_rate=90_000, channels=0,
              rtp_channel=0, rtcp_channel=1, fmtp="packetization-mode=1")  # fmt: skip
AUDIO = Track(index=1, media="audio", codec="mpeg4-generic", payload_type=97, clock_rate=16_000,
              channels=1, rtp_channel=2, rtcp_channel=3,
              fmtp="mode=AAC-hbr;config=1408")  # fmt: skip
PCMU = Track(index=2, media="audio", codec="pcmu", payload_type=0, clock_rate=8_000, channels=1,
             rtp_channel=4, rtcp_channel=5, fmtp="")  # fmt: skip
BASE = 0xFFFF_F000
"""The camera's timestamps wrap within the first frames."""


@dataclass
class Camera:
    """Packs access units as a camera would send them."""

    base: int = BASE
    sequence: dict[int, int] = field(default_factory=lambda: {0: 65_500, 2: 9, 4: 0})

    def send(self, channel: int, payload_type: int, payloads: list[bytes], ts: int) -> list[bytes]:
        frames = []
        for payload in payloads:
            number = self.sequence[channel] = self.sequence[channel] + 1
            packet = RtpPacket(payload_type, payload is payloads[-1], number & 0xFFFF,
                               ts & 0xFFFFFFFF, 1, payload)  # fmt: skip
            frames.append(framed(channel, build_rtp(packet)))
        return frames

    def picture(self, nals: list[bytes], ts: int) -> list[bytes]:
        return self.send(0, 96, packetize_h264(nals, 300), self.base + ts)

    def sound(self, frame: bytes, ts: int) -> list[bytes]:
        return self.send(2, 97, packetize_aac(frame), ts)


def framed(channel: int, packet: bytes) -> bytes:
    return b"$" + bytes((channel,)) + len(packet).to_bytes(2, "big") + packet


@pytest.fixture(scope="module")
def film() -> list[tuple[int, bool, list[bytes]]]:
    """Three GOPs with B-frames and slices: presentation time, key frame, NAL units."""
    codec = av.CodecContext.create("libx264", "w")
    assert isinstance(codec, av.VideoCodecContext)
    codec.width, codec.height, codec.pix_fmt = 160, 120, "yuv420p"
    codec.time_base, codec.framerate = Fraction(1, 90_000), Fraction(25)
    codec.options = {"x264-params": "keyint=12:bframes=2:slices=2:qp=24:scenecut=0"}
    scene = np.random.default_rng(1).integers(0, 255, (120, 160, 3), dtype=np.uint8)
    packets = []
    for number in range(36):
        frame = av.VideoFrame.from_ndarray(np.roll(scene, number, 1), format="rgb24")
        frame = frame.reformat(format="yuv420p")
        frame.pts = number * 3600
        packets += codec.encode(frame)
    packets += codec.encode(None)
    return [(p.pts or 0, p.is_keyframe, split_annex_b(bytes(p))) for p in packets]


Film = list[tuple[int, bool, list[bytes]]]


def told(units: list[AccessUnit]) -> list[tuple[int, bool, list[bytes]]]:
    return [(unit.ts - BASE, unit.key, list(unit.units)) for unit in units]


def test_what_the_camera_sent_comes_out_exactly(film: Film) -> None:
    camera = Camera()
    reader = StreamReader([VIDEO])
    units = []
    for ts, _, nals in film:
        units += reader.feed(b"".join(camera.picture(nals, ts)))
    assert told(units) == film
    assert not any(unit.damaged for unit in units)
    assert reader.flush() == []
    assert (reader.lost, reader.malformed, reader.ignored) == (0, 0, 0)


@pytest.mark.parametrize("size", [1, 3, 7, 50])
def test_payloads_may_be_cut_between_any_two_packets(film: Film, size: int) -> None:
    camera = Camera()
    frames = [frame for ts, _, nals in film for frame in camera.picture(nals, ts)]
    reader = StreamReader([VIDEO])
    units = []
    for at in range(0, len(frames), size):
        units += reader.feed(b"".join(frames[at : at + size]))
    assert told(units + reader.flush()) == film


def test_parameter_sets_come_with_every_key_frame(film: Film) -> None:
    camera = Camera()
    units = StreamReader([VIDEO]).feed(
        b"".join(frame for ts, _, nals in film for frame in camera.picture(nals, ts))
    )
    sets = tuple(film[0][2][:2])
    assert [unit.parameter_sets for unit in units if unit.key] == [sets] * 3
    assert not any(unit.parameter_sets for unit in units if not unit.key)


def test_reading_from_the_middle_has_the_session_s_timestamps(film: Film) -> None:
    camera = Camera()
    payloads = [b"".join(camera.picture(nals, ts)) for ts, _, nals in film]
    whole = StreamReader([VIDEO])
    expected = [unit for payload in payloads for unit in whole.feed(payload, None)]
    late = StreamReader([VIDEO])
    first = next(n for n, (_, key, _) in enumerate(film) if n and key)
    units = late.feed(payloads[first], 7 * 2**32 + expected[first].ts)
    assert [unit.ts for unit in units] == [7 * 2**32 + expected[first].ts]


def test_media_time_of_each_payload_keeps_a_long_session_on_its_timeline() -> None:
    camera = Camera(base=0)
    reader = StreamReader([VIDEO])
    step = 2**31 + 5
    times = []
    for n in range(5):
        payload = b"".join(camera.picture([b"\x65\x88\x80"], n * step))
        times += [unit.ts for unit in reader.feed(payload, n * step)]
    assert times == [n * step for n in range(5)]


def test_sound_and_pictures_are_read_side_by_side(film: Film) -> None:
    camera = Camera()
    frames = []
    for n, (ts, _, nals) in enumerate(film):
        frames += camera.picture(nals, ts) + camera.sound(b"\x01" + bytes((n,)) * 60, n * 1024)
        frames += camera.send(4, 0, [bytes((n,)) * 320], n * 320)
    reader = StreamReader([AUDIO, VIDEO, PCMU])
    assert reader.reference == 0
    units = reader.feed(b"".join(frames)) + reader.flush()
    assert told([unit for unit in units if unit.track == 0]) == film
    sound = [unit for unit in units if unit.track == 1]
    assert [unit.ts for unit in sound] == [n * 1024 for n in range(36)]
    assert sound[5].units == (b"\x01" + b"\x05" * 60,)
    assert [unit.parameter_sets for unit in sound[:2]] == [(b"\x14\x08",), ()]
    pcm = [unit for unit in units if unit.track == 2]
    assert [(unit.ts, unit.units, unit.kind) for unit in pcm] == [
        (n * 320, (bytes((n,)) * 320,), UnitKind.PCMU) for n in range(36)
    ]


@pytest.mark.parametrize(
    ("medium", "kind"),
    [
        (b"m=audio 0 RTP/AVP 0", UnitKind.PCMU),
        (b"m=audio 0 RTP/AVP 8", UnitKind.PCMA),
        (b"m=audio 0 RTP/AVP 97\na=rtpmap:97 PCMA/16000", UnitKind.PCMA),
        (b"m=audio 0 RTP/AVP 97\na=rtpmap:97 OPUS/48000/2", UnitKind.OPUS),
        (b"m=audio 0 RTP/AVP 97\na=rtpmap:97 G726-32/8000", UnitKind.RAW),
    ],
)
def test_the_sdp_tells_the_kind_of_sound(medium: bytes, kind: UnitKind) -> None:
    (told,) = parse_sdp(medium).media
    track = replace(
        PCMU, codec=told.codec, payload_type=told.payload_type, clock_rate=told.clock_rate
    )
    frames = Camera().send(4, told.payload_type, [b"\xf8sound"], 960)
    (unit,) = StreamReader([track]).feed(b"".join(frames))
    assert (unit.kind, unit.units, unit.ts) == (kind, (b"\xf8sound",), 960)


def test_a_missing_packet_marks_its_unit_and_no_other(film: Film) -> None:
    camera = Camera()
    frames = [(ts, frame) for ts, _, nals in film for frame in camera.picture(nals, ts)]
    middle = next(n for n, (ts, _) in enumerate(frames) if ts == film[5][0]) + 1
    hurt, _ = frames.pop(middle)
    reader = StreamReader([VIDEO])
    units = reader.feed(b"".join(frame for _, frame in frames))
    assert [unit.ts - BASE for unit in units if unit.damaged] == [hurt]
    assert reader.lost == 1


def test_only_what_can_be_decoded_comes_when_asked_for(film: Film) -> None:
    camera = Camera()
    frames = [(ts, frame) for ts, _, nals in film for frame in camera.picture(nals, ts)]
    middle = next(n for n, (ts, _) in enumerate(frames) if ts == film[5][0]) + 1
    frames.pop(middle)
    reader = StreamReader([VIDEO], decodable_only=True)
    units = reader.feed(b"".join(frame for _, frame in frames[3:]))
    second_gop = next(n for n, (_, key, _) in enumerate(film) if n and key)
    assert told(units) == film[second_gop:]
    assert reader.withheld == second_gop
    units = StreamReader([VIDEO], decodable_only=True).feed(b"".join(frame for _, frame in frames))
    assert told(units) == film[:5] + film[second_gop:]


def test_duplicate_and_late_packets_are_dropped(film: Film) -> None:
    camera = Camera()
    frames = [frame for ts, _, nals in film for frame in camera.picture(nals, ts)]
    frames.insert(20, frames[19])
    frames.insert(30, frames[12])
    assert told(StreamReader([VIDEO]).feed(b"".join(frames))) == film


def test_a_discontinuity_ends_what_was_under_way(film: Film) -> None:
    camera = Camera()
    payloads = [camera.picture(nals, ts) for ts, _, nals in film]
    reader = StreamReader([VIDEO])
    units = reader.feed(b"".join(payloads[0] + payloads[1][:-1]))
    assert [unit.damaged for unit in units] == [False]
    second_gop = next(n for n, (_, key, _) in enumerate(film) if n and key)
    ts = BASE + film[second_gop][0]
    units = reader.feed(b"".join(payloads[second_gop]), ts, discontinuity=True)
    assert [(unit.ts - BASE, unit.damaged) for unit in units] == [
        (film[1][0], True),
        (film[second_gop][0], False),
    ]
    assert reader.lost == 0


def test_a_camera_that_starts_its_sequence_anew_marks_the_break(film: Film) -> None:
    camera = Camera()
    reader = StreamReader([VIDEO])
    reader.feed(b"".join(camera.picture(film[0][2], 0)))
    camera.sequence[0] = 20_000
    (unit,) = reader.feed(b"".join(camera.picture(film[1][2], film[1][0])))
    assert unit.damaged
    assert reader.lost == 0


def test_sender_reports_tie_tracks_to_the_camera_s_clock() -> None:
    camera = Camera(base=0)
    now = 1_800_000_000_250_000
    reports = [
        framed(channel, sender_report(
            ssrc=99, wall_us=now, timestamp=ts, packets=1, octets=1, cname=b"camera"))
        for channel, ts in ((1, 90_000), (3, 160_000))
    ]  # fmt: skip
    reader = StreamReader([VIDEO, AUDIO])
    assert reader.sender_clock(0) is None
    frames = [reports[1], *camera.picture([b"\x65\x88\x80"], 45_000), *reports]
    frames += camera.sound(b"\x01sound", 176_000)
    units = reader.feed(b"".join(frames), 2**32 + 45_000)
    picture, sound = sorted(units, key=lambda unit: unit.track)
    video, audio = reader.sender_clock(0), reader.sender_clock(1)
    assert video is not None
    assert audio is not None
    assert (video.ts, video.ntp_us) == (2**32 + 90_000, now)
    assert video.ntp_of(picture.ts) == now - 500_000
    assert audio.ntp_of(sound.ts) == now + 1_000_000
    assert video.ts_of(audio.ntp_of(sound.ts)) == video.ts + 90_000
    reader.feed(b"", discontinuity=True)
    assert reader.sender_clock(0) is None


def test_q14_packets_of_channels_never_set_up_are_ignored() -> None:
    camera = Camera(base=0)
    reader = StreamReader([VIDEO])
    (picture,) = camera.picture([b"\x65\x88\x80"], 0)
    assert len(reader.feed(framed(9, b"whatever") + picture + framed(8, b""))) == 1
    assert reader.ignored == 2


@pytest.mark.parametrize("same_number", [True, False])
def test_q25_packets_of_another_payload_type_are_skipped(same_number: bool) -> None:
    """Geovision's of type 50 repeat the number of the packet before."""
    camera = Camera(base=0)
    frames = camera.picture([b"\x65\x88\x80"], 0)
    if same_number:
        camera.sequence[0] -= 1
    frames += camera.send(0, 50, [b"mystery"], 0)
    frames += camera.picture([b"\x41\x9a\x80"], 3600)
    reader = StreamReader([VIDEO])
    units = reader.feed(b"".join(frames))
    assert [(unit.units, unit.damaged) for unit in units] == [
        ((b"\x65\x88\x80",), False),
        ((b"\x41\x9a\x80",), False),
    ]
    assert (reader.ignored, reader.lost) == (1, 0)


def test_q25_a_camera_that_never_sends_the_type_of_its_sdp_is_read() -> None:
    """Bosch sends H.264 with payload type 35."""
    camera = Camera(base=0)
    frames = camera.send(0, 35, [b"\x65\x88\x80"], 0) + camera.send(0, 35, [b"\x41\x9a\x80"], 3600)
    assert len(StreamReader([VIDEO]).feed(b"".join(frames))) == 2


def test_bytes_that_are_no_packets_are_stepped_over() -> None:
    camera = Camera(base=0)
    (first,), (second,) = camera.picture([b"\x65\x88\x80"], 0), camera.picture([b"\x41\x9a\x80"], 9)
    reader = StreamReader([VIDEO])
    units = reader.feed(first + b"RTSP/1.0 200 OK $$\r\n$\x07\0\0\0" + second + b"$\0\0\x50cut")
    assert [unit.units[0] for unit in units] == [b"\x65\x88\x80", b"\x41\x9a\x80"]
    assert reader.malformed > 0
    assert reader.feed(framed(0, b"no RTP") + framed(1, b"no RTCP")) == []


def test_a_session_without_tracks_has_nothing_to_say() -> None:
    reader = StreamReader([])
    assert reader.reference == -1
    assert reader.feed(framed(0, b"x"), 7, discontinuity=True) == []


def test_audio_alone_is_its_own_reference() -> None:
    camera = Camera()
    reader = StreamReader([AUDIO])
    assert reader.reference == 1
    (unit,) = reader.feed(b"".join(camera.sound(b"\x01sound", 5)), 2**32 + 5)
    assert unit.ts == 2**32 + 5
