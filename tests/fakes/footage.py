"""An hour of footage in seconds, with the exact truth beside it.

A short encoded loop is repeated with shifted times, sent as a camera does, kept as a recorder does.

    spec = FootageSpec(seconds=3600, b_frames=2, changes=(Change(at_s=1800),))
    (truth,) = store_footage(path, spec)

The pictures are numbered (`read_frame_number`); a `Shot` says which number was sent when.
"""

import base64
import struct
from bisect import bisect_right
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Protocol

from kilocam.core import CameraKey, Gap, GapCause, Piece, Session, Track
from kilocam.ingest.gate import Gate
from kilocam.ingest.scanner import PieceScanner
from kilocam.media import MediaFile, PatternSpec, pattern_media
from kilocam.record import LogOptions, LogWriter
from kilocam.rtsp import frame, packetize_aac, packetize_h264
from kilocam.simulate.reports import sender_report

CLOCK = 90_000
SOUND_CLOCK = 48_000
T0 = 1_790_000_000_000_000
GATE = CameraKey("default", "gate")
_MASK = 0xFFFFFFFF
_HEAD = struct.Struct(">cBHBBHII")


@dataclass(frozen=True, slots=True, kw_only=True)
class Change:
    """From here on the camera sends other pictures: a new SPS."""

    at_s: float
    width: int = 480
    height: int = 272


@dataclass(frozen=True, slots=True, kw_only=True)
class Loss:
    """Packets of one picture that never arrived."""

    at_s: float
    packets: int = 3


@dataclass(frozen=True, slots=True, kw_only=True)
class Outage:
    """Nothing was received; afterwards a new session begins."""

    from_s: float
    to_s: float
    cause: GapCause = GapCause.TIMED_OUT


@dataclass(frozen=True, slots=True, kw_only=True)
class FootageSpec:
    """What the camera sent; every `*_s` counts from `start_us`."""

    key: CameraKey = GATE
    start_us: int = T0
    seconds: float = 20
    width: int = 320
    height: int = 180
    fps: int = 10
    key_interval_s: float = 2
    b_frames: int = 0
    loop_s: int = 10
    sound: bool = False
    sound_s: tuple[float, float] = (0, 1e9)
    """When there was any."""
    reports: bool = True
    """Sender reports, by a camera clock that is 7 s off."""
    sound_late_us: int = 0
    """How much later than its pictures the camera sends its sound."""
    codec: str = "h264"
    """What the session calls it; the packets are H.264's whatever this says."""
    in_band: bool = True
    """Parameter sets with each key frame, not only in the SDP."""
    piece_s: float = 0.5
    changes: tuple[Change, ...] = ()
    losses: tuple[Loss, ...] = ()
    outages: tuple[Outage, ...] = ()
    first_ts: int = 0xFFFF_0000
    """The first RTP timestamp: it wraps in the first second."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Shot:
    """One picture as it was sent."""

    wall_us: int
    number: int
    key: bool
    whole: bool
    """No packet of it was lost."""
    session: int
    width: int
    units: tuple[bytes, ...]


@dataclass(slots=True)
class Truth:
    """What was sent, pictures in decoding order."""

    spec: FootageSpec
    shots: list[Shot] = field(default_factory=list)
    sounds: list[tuple[int, bytes]] = field(default_factory=list)
    """Wall time at which it was heard, AAC frame."""
    sessions: list[Session] = field(default_factory=list)
    pieces: int = 0

    def shown_at(self, wall_us: int) -> Shot:
        """The picture a viewer of the camera saw at a moment."""
        shown = sorted(self.shots, key=lambda shot: shot.wall_us)
        return shown[bisect_right(shown, wall_us, key=lambda shot: shot.wall_us) - 1]


class Sink(Protocol):
    """Takes the footage; `LogWriter` is one."""

    def open_session(self, session: Session) -> None: ...
    def append(self, piece: Piece) -> None: ...
    def gap(self, tenant: str, camera: str, gap: Gap) -> None: ...


@cache
def _loop(spec: PatternSpec) -> MediaFile:
    return pattern_media(spec)


def loop_of(spec: FootageSpec, change: Change | None = None) -> MediaFile:
    """The encoded loop behind some footage."""
    width, height = (change.width, change.height) if change else (spec.width, spec.height)
    return _loop(
        PatternSpec(
            width=width, height=height, fps=spec.fps, seconds=spec.loop_s, sound=spec.sound,
            key_interval_s=spec.key_interval_s, b_frames=spec.b_frames,
        )
    )  # fmt: skip


def session_of(spec: FootageSpec, number: int, started_us: int, epoch: int = 1) -> Session:
    """A session as ingest opens one."""
    media = loop_of(spec)
    assert media.video is not None
    tracks = [
        Track(
            index=0, media="video", codec=spec.codec, payload_type=96, clock_rate=CLOCK, channels=0,
            rtp_channel=0, rtcp_channel=1,
            fmtp=f"packetization-mode=1;sprop-parameter-sets={_sprop(media.video.parameter_sets)}",
        )
    ]  # fmt: skip
    if media.audio is not None:
        config = media.audio.config.hex()
        tracks.append(
            Track(
                index=1, media="audio", codec="mpeg4-generic", payload_type=97,
                clock_rate=SOUND_CLOCK, channels=1, rtp_channel=2, rtcp_channel=3,
                fmtp=f"mode=AAC-hbr;sizelength=13;indexlength=3;indexdeltalength=3;config={config}",
            )
        )  # fmt: skip
    return Session(
        tenant=spec.key.tenant, camera=spec.key.camera, session=number, epoch=epoch,
        started_us=started_us, source="rtsp://camera.example/stream", sdp=b"v=0",
        tracks=tuple(tracks),
    )  # fmt: skip


def _sprop(sets: Sequence[bytes]) -> str:
    return ",".join(base64.b64encode(unit).decode() for unit in sets)


def write_footage(
    sink: Sink, spec: FootageSpec, *, epoch: int = 1, pause: Callable[[], object] | None = None
) -> Truth:
    """Give the footage to a sink; `pause` is called now and then (to let a log writer catch up)."""
    truth = Truth(spec=spec)
    for number, (start_s, end_s) in enumerate(_stretches(spec), 1):
        camera = CameraSession(spec, truth, number, start_s, epoch)
        sink.open_session(camera.session)
        for piece in camera.pieces(end_s):
            sink.append(piece)
            truth.pieces += 1
            if pause is not None and truth.pieces % 200 == 0:
                pause()
    for outage in spec.outages:
        start_us, end_us = (
            spec.start_us + round(at_s * 1e6) for at_s in (outage.from_s, outage.to_s)
        )
        gap = Gap(start_us=start_us, end_us=end_us, cause=outage.cause)
        sink.gap(spec.key.tenant, spec.key.camera, gap)
    return truth


def store_footage(path: Path, *specs: FootageSpec) -> list[Truth]:
    """Footage of some cameras in a real, sealed log."""
    writer = open_log(path)
    try:
        truths = [
            write_footage(writer, spec, epoch=writer.epoch, pause=writer.flush) for spec in specs
        ]
        assert writer.flush(60)
    finally:
        writer.close()
    return truths


def open_log(path: Path) -> LogWriter:
    """A started writer that keeps footage of any age; close it."""
    writer = LogWriter([path], "test", LogOptions(keep_us=20 * 365 * 86_400_000_000))
    writer.start()
    return writer


def _stretches(spec: FootageSpec) -> list[tuple[float, float]]:
    edges = [0.0]
    for outage in spec.outages:
        edges += [outage.from_s, outage.to_s]
    edges.append(spec.seconds)
    return list(zip(edges[::2], edges[1::2], strict=True))


class CameraSession:
    """One session of the camera: packets in order of arrival, cut into pieces as ingest does."""

    def __init__(
        self, spec: FootageSpec, truth: Truth, number: int, start_s: float, epoch: int
    ) -> None:
        self._spec, self._truth, self._number = spec, truth, number
        self._start_us = spec.start_us + round(start_s * 1e6)
        self._start_s = start_s
        self.session = session_of(spec, number, self._start_us, epoch)
        truth.sessions.append(self.session)
        self._sequences = [1000 * number, 5]
        self._first_ts = (spec.first_ts + 7_000_000 * (number - 1)) & _MASK
        self._sound_ts = 123_456_789 * number & _MASK
        self._payloads: dict[tuple[int, int], list[bytes]] = {}

    def pieces(self, end_s: float) -> Iterator[Piece]:
        """All pieces up to a second of the footage."""
        scanner = PieceScanner(
            reference=0, channels=frozenset({0, 1, 2, 3}), clock_rate=CLOCK, gate=Gate(),
            max_piece_s=self._spec.piece_s,
        )  # fmt: skip
        wall_us, ts = self._start_us, 0
        for chunk in self._chunks(end_s - self._start_s):
            for cut in scanner.feed(chunk):
                duration_us = key_us = 0
                if cut.media:
                    wall_us, ts = self._wall_of(cut.first_ts), cut.first_ts
                    ticks = max(0, cut.last_ts - cut.first_ts) + CLOCK // self._spec.fps
                    duration_us = ticks * 1_000_000 // CLOCK
                    key_us = self._wall_of(cut.key_ts) if cut.key_offset >= 0 else 0
                yield Piece(
                    tenant=self.session.tenant, camera=self.session.camera,
                    session=self._number, wall_us=wall_us, duration_us=duration_us, media_ts=ts,
                    key_offset=cut.key_offset, key_us=key_us, flags=cut.flags,
                    packets=cut.packets, frames=cut.frames, complexity=cut.complexity,
                    sampled=cut.sampled, payload=cut.payload,
                )  # fmt: skip

    def _wall_of(self, ts: int) -> int:
        return self._start_us + (ts - self._first_ts) * 1_000_000 // CLOCK

    def _chunks(self, seconds: float) -> Iterator[bytes]:
        """What each turn reads."""
        chunk: list[bytes] = []
        turn = 0
        for at_s, packets in self._arrivals(seconds):
            if at_s >= (turn + 1) * self._spec.piece_s:
                yield b"".join(chunk)
                chunk, turn = [], int(at_s / self._spec.piece_s)
            chunk += packets
        yield b"".join(chunk)

    def _arrivals(self, seconds: float) -> Iterator[tuple[float, list[bytes]]]:
        """Packets by the time they arrive, sound and pictures interleaved."""
        sounds = self._sounds(seconds) if self._spec.sound else iter(())
        sound = next(sounds, None)
        report = 0.5
        for at_s, packets in self._pictures(seconds):
            while sound is not None and sound[0] <= at_s:
                yield sound
                sound = next(sounds, None)
            if self._spec.reports and at_s >= report:
                report += 5
                yield at_s, self._reports(at_s)
            yield at_s, packets
        if sound is not None:
            self._truth.sounds.pop()  # made, but not sent

    def _pictures(self, seconds: float) -> Iterator[tuple[float, list[bytes]]]:
        interval = CLOCK // self._spec.fps
        sent = 0
        while sent * interval < seconds * CLOCK:
            at_s = self._start_s + sent / self._spec.fps
            current = [c for c in self._spec.changes if c.at_s <= at_s + 1e-9]
            video = loop_of(self._spec, current[-1] if current else None).video
            assert video is not None
            loop_ticks = sent * interval
            for index, sample in enumerate(video.samples):
                if sent * interval >= seconds * CLOCK:
                    return
                units = sample.units
                if self._spec.in_band and sample.key:
                    units = (*video.parameter_sets, *units)
                ticks, at_s = loop_ticks + sample.pts, sent / self._spec.fps
                packets, whole = self._picture((video.width, index), units, ticks, at_s)
                self._truth.shots.append(
                    Shot(
                        wall_us=self._wall_of(self._first_ts + ticks),
                        number=sample.pts // interval, key=sample.key, whole=whole,
                        session=self._number, width=video.width, units=units,
                    )
                )  # fmt: skip
                yield at_s, packets
                sent += 1

    def _picture(
        self, name: tuple[int, int], units: tuple[bytes, ...], ticks: int, at_s: float
    ) -> tuple[list[bytes], bool]:
        payloads = self._payloads.get(name)
        if payloads is None:
            payloads = self._payloads[name] = packetize_h264(units)
        at_s += self._start_s
        lost = sum(
            loss.packets
            for loss in self._spec.losses
            if loss.at_s - 1e-9 <= at_s < loss.at_s + 1 / self._spec.fps - 1e-9
        )
        packets = []
        for number, payload in enumerate(payloads):
            self._sequences[0] += 1
            if number < lost:
                continue
            marker = 0x80 if number == len(payloads) - 1 else 0
            packets.append(self._packet(0, 96 | marker, self._first_ts + ticks, payload))
        return packets, lost == 0

    def _sounds(self, seconds: float) -> Iterator[tuple[float, list[bytes]]]:
        audio = loop_of(self._spec).audio
        assert audio is not None
        frames = [sample.units[0] for sample in audio.samples]
        late_s = self._spec.sound_late_us / 1e6
        first_s, last_s = self._spec.sound_s
        number = 0
        while (at_s := number * 1024 / SOUND_CLOCK) + late_s < seconds:
            data = frames[number % len(frames)]
            ts = self._sound_ts + number * 1024
            number += 1
            if not first_s <= self._start_s + at_s < last_s:
                continue
            self._sequences[1] += 1
            (payload,) = packetize_aac(data)
            self._truth.sounds.append((self._start_us + round(at_s * 1e6), data))
            yield at_s + late_s, [self._packet(2, 97 | 0x80, ts, payload)]

    def _reports(self, at_s: float) -> list[bytes]:
        wall_us = self._start_us + round(at_s * 1e6) + 7_000_000
        reports = [(1, self._first_ts + round(at_s * CLOCK))]
        if self._spec.sound:
            reports.append((3, self._sound_ts + round(at_s * SOUND_CLOCK)))
        return [
            frame(
                channel,
                sender_report(
                    ssrc=1, wall_us=wall_us, timestamp=ts & _MASK, packets=1, octets=1, cname=b"c"
                ),
            )
            for channel, ts in reports
        ]

    def _packet(self, channel: int, kind: int, ts: int, payload: bytes) -> bytes:
        sequence = self._sequences[channel // 2] & 0xFFFF
        size = len(payload) + 12
        head = _HEAD.pack(b"$", channel, size, 0x80, kind, sequence, ts & _MASK, 7 + channel)
        return head + payload
