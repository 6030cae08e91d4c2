"""Footage with sound as a recorder keeps it: packets in the order they came, in pieces.

The pictures are of no codec, for nobody who listens decodes them.
"""

from collections.abc import Collection
from dataclasses import dataclass, field

from tests.fakes.sounds import EncodedSound

from kilocam.analyse.pictures import Footage
from kilocam.core import Piece, PieceFlag, Session, Track
from kilocam.rtsp import RtpPacket, build_rtp, frame, packetize_aac
from kilocam.simulate.reports import sender_report

T0 = 1_700_000_000_000_000
VIDEO_CLOCK = 90_000
_FPS, _TURN_US = 20, 500_000
_VIDEO_BASE, _SOUND_BASE = 0xFFFF_0000, 0xFFFF_F000
"""Both clocks wrap within the first seconds."""
_CAMERA_CLOCK_US = -7_000_000
"""The camera's wall clock is off by this."""


@dataclass(frozen=True, kw_only=True)
class Scene:
    """What a camera sends; times count from its start."""

    sound: EncodedSound
    seconds: float
    video: bool = True
    picture_packets: int = 1
    picture_bytes: int = 200
    late_us: int = 0
    """Sound arrives so much later than it was heard."""
    reports_off_us: int | None = None
    """Sender reports that place sound so much later than it was heard; None: there are none."""
    lost: Collection[int] = ()
    """Frames of sound that never came."""
    session: int = 1
    start_us: int = T0
    broken_at_us: int | None = None
    """From here on the camera's clock of pictures is another; the piece is flagged."""


@dataclass
class _Sent:
    """(when it arrives, packet in its frame, timestamp of a picture)."""

    packets: list[tuple[int, bytes, int | None]] = field(default_factory=list)
    numbers: dict[int, int] = field(default_factory=lambda: {0: 65_500, 2: 65_530})

    def rtp(self, at_us: int, channel: int, kind: int, ts: int, bodies: list[bytes]) -> None:
        for body in bodies:
            self.numbers[channel] += 1
            packet = RtpPacket(kind, body is bodies[-1], self.numbers[channel] & 0xFFFF,
                               ts & 0xFFFFFFFF, channel + 1, body)  # fmt: skip
            first = ts if channel == 0 and body is bodies[0] else None
            self.packets.append((at_us, frame(channel, build_rtp(packet)), first))

    def report(self, at_us: int, channel: int, wall_us: int, ts: int) -> None:
        data = sender_report(ssrc=1, wall_us=wall_us + _CAMERA_CLOCK_US, timestamp=ts & 0xFFFFFFFF,
                             packets=1, octets=1, cname=b"camera")  # fmt: skip
        self.packets.append((at_us, frame(channel + 1, data), None))


def sounding(scene: Scene) -> Footage:
    """What is kept of a camera that sent a scene."""
    tracks = _tracks(scene)
    sent = _Sent()
    rate = scene.sound.rate
    jump = 5_000_000
    for number in range(int(scene.seconds * _FPS) if scene.video else 0):
        at_us = number * 1_000_000 // _FPS
        ts = _VIDEO_BASE + at_us * 9 // 100
        if scene.broken_at_us is not None and at_us >= scene.broken_at_us:
            ts += jump
        body = bytes(scene.picture_bytes)
        sent.rtp(at_us, 0, 96, ts, [body] * scene.picture_packets)
        if number % _FPS == 0 and scene.reports_off_us is not None:
            sent.report(at_us, 0, scene.start_us + at_us, ts)
            heard = (at_us - scene.reports_off_us) * rate // 1_000_000
            sent.report(at_us, 2, scene.start_us + at_us, _SOUND_BASE + heard)
    for number, (ticks, data) in enumerate(scene.sound.frames):
        at_us = ticks * 1_000_000 // rate + scene.late_us
        if not 0 <= at_us < scene.seconds * 1_000_000:
            continue
        if number in scene.lost:
            sent.numbers[2] += 1
            continue
        bodies = packetize_aac(data) if scene.sound.codec == "mpeg4-generic" else [data]
        sent.rtp(at_us, 2, 97, _SOUND_BASE + ticks, bodies)
    session = Session(
        tenant="default", camera="yard", session=scene.session, epoch=1,
        started_us=scene.start_us, source="rtsp://x", sdp=b"", tracks=tracks,
    )  # fmt: skip
    return tuple((session, piece) for piece in _pieces(scene, sent))


def _tracks(scene: Scene) -> tuple[Track, ...]:
    video = Track(index=0, media="video", codec="h264", payload_type=96, clock_rate=VIDEO_CLOCK,
                  channels=0, rtp_channel=0, rtcp_channel=1, fmtp="")  # fmt: skip
    sound = Track(index=1, media="audio", codec=scene.sound.codec, payload_type=97,
                  clock_rate=scene.sound.rate, channels=scene.sound.channels, rtp_channel=2,
                  rtcp_channel=3, fmtp=scene.sound.fmtp)  # fmt: skip
    return (video, sound) if scene.video else (sound,)


def _pieces(scene: Scene, sent: _Sent) -> list[Piece]:
    pieces: list[Piece] = []
    arrived = sorted(sent.packets, key=lambda packet: packet[0])
    media_ts, wall_us = 0, scene.start_us
    for turn in range(int(scene.seconds * 1_000_000) // _TURN_US):
        begin = turn * _TURN_US
        part = [p for p in arrived if begin <= p[0] < begin + _TURN_US]
        if scene.video:
            marked = next(((at, ts) for at, _, ts in part if ts is not None), None)
        else:  # sound tells its own time
            heard = [ticks for ticks, _ in scene.sound.frames if ticks >= 0]
            ticks = next(t for t in heard if t * 1_000_000 // scene.sound.rate >= begin)
            marked = (ticks * 1_000_000 // scene.sound.rate, _SOUND_BASE + ticks)
        if marked is not None:
            wall_us, media_ts = scene.start_us + marked[0], marked[1]
        flags = PieceFlag.DISCONTINUITY if begin == scene.broken_at_us else PieceFlag.NONE
        pieces.append(
            Piece(
                tenant="default", camera="yard", session=scene.session, wall_us=wall_us,
                duration_us=_TURN_US, media_ts=media_ts, key_offset=-1, key_us=0,
                flags=flags, packets=len(part), frames=0, complexity=0.0, sampled=0,
                payload=b"".join(data for _, data, _ in part),
            )
        )  # fmt: skip
    return pieces
