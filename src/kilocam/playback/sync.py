"""Sound to pictures: where a sound's timestamp lies on the pictures' time line.

RTP clocks of two tracks start anywhere and drift apart, so the relation is measured anew every five
minutes, from what was stored in the 15 s before: by sender reports (RFC 3550 section 6.4.1) where
both tracks have them and they agree with arrival within 0.5 s, else by arrival. What it is measured
from depends on the moment alone, so every reader of the same footage finds the same.
"""

import threading
from collections import OrderedDict
from collections.abc import Iterable
from dataclasses import dataclass
from statistics import median

from kilocam.core import CameraKey, Piece, Session
from kilocam.playback.source import FootageSource
from kilocam.playback.tracks import playable
from kilocam.rtsp import StreamReader

PERIOD_US = 300_000_000
WINDOW_US = 15_000_000
_TRUSTED_S = 0.5
_MASK, _HALF = 0xFFFFFFFF, 0x80000000
_KEPT = 4096


@dataclass(frozen=True, slots=True, kw_only=True)
class Sync:
    """At one moment the sound's timestamp was `sound_ts` and the pictures' `video_ts`."""

    sound_ts: int
    video_ts: int
    sound_rate: int
    video_rate: int

    def ticks(self, ts: int) -> int:
        """The sound's time on the pictures' time line, in ticks of the sound.

        Timestamps of sound are known modulo 2^32 only: readers start anywhere.
        """
        step = (ts - self.sound_ts) & _MASK
        step -= (1 << 32) if step >= _HALF else 0
        return self.heard_at(self.video_ts) + step

    def heard_at(self, video_ts: int) -> int:
        """A time of the pictures in ticks of the sound."""
        return round(video_ts * self.sound_rate / self.video_rate)


class SyncFinder:
    """Measures the relation once per camera, session and period."""

    def __init__(self, source: FootageSource) -> None:
        self._source = source
        self._lock = threading.Lock()
        self._found: OrderedDict[tuple[CameraKey, int, int, int], Sync | None] = OrderedDict()

    def at(self, session: Session, at_us: int, end_us: int) -> Sync | None:
        """The relation that holds at `at_us`; what is stored up to `end_us` may be read.

        None when the session has no AAC, or no sound arrived.
        """
        if playable(session).sound is None:
            return None
        key = CameraKey(session.tenant, session.camera)
        for window in _windows(session, at_us, end_us):
            name = (key, session.session, *window)
            with self._lock:
                known, found = name in self._found, self._found.get(name)
            if not known:
                found = self._measured(key, session, *window)
                self._keep(name, found)
            if found is not None:
                return found
        return None

    def _measured(self, key: CameraKey, session: Session, from_us: int, to_us: int) -> Sync | None:
        pieces = self._source.pieces(key, from_us, to_us, exact=True)
        return measure(session, (p for s, p in pieces if s.session == session.session))

    def _keep(self, name: tuple[CameraKey, int, int, int], found: Sync | None) -> None:
        with self._lock:
            self._found[name] = found
            if len(self._found) > _KEPT:
                self._found.popitem(last=False)


def _windows(session: Session, at_us: int, end_us: int) -> list[tuple[int, int]]:
    """Where to look, the best place first."""
    period = at_us // PERIOD_US * PERIOD_US
    if period - WINDOW_US >= session.started_us:
        best = (period - WINDOW_US, period)
    else:
        start = session.started_us - 1_000_000
        best = (start, min(start + WINDOW_US, end_us))
    return [best, (at_us, end_us)]


def measure(session: Session, pieces: Iterable[Piece]) -> Sync | None:
    """The relation in some pieces of a session, in order."""
    tracks = playable(session)
    if tracks.sound is None:
        return None
    reader = StreamReader((tracks.video, tracks.sound))
    sound_rate, video_rate = tracks.sound.clock_rate, tracks.video.clock_rate
    behind: list[float] = []
    newest: int | None = None
    reference: tuple[int, int] | None = None
    for piece in pieces:
        for unit in reader.feed(piece.payload, piece.media_ts):
            if unit.track == tracks.video.index:
                newest = unit.ts
            elif newest is not None:
                reference = reference or (unit.ts, newest)
                behind.append(newest / video_rate - (unit.ts - reference[0]) / sound_rate)
    if reference is None:
        return None
    arrived = Sync(
        sound_ts=reference[0],
        video_ts=round(median(behind) * video_rate),
        sound_rate=sound_rate,
        video_rate=video_rate,
    )
    return _reported(reader, tracks.video.index, tracks.sound.index, arrived) or arrived


def _reported(reader: StreamReader, video: int, sound: int, arrived: Sync) -> Sync | None:
    """What the sender reports say, if they are to be believed."""
    pictures, sounds = reader.sender_clock(video), reader.sender_clock(sound)
    if pictures is None or sounds is None:
        return None
    told = Sync(
        sound_ts=sounds.ts,
        video_ts=pictures.ts_of(sounds.ntp_us),
        sound_rate=arrived.sound_rate,
        video_rate=arrived.video_rate,
    )
    apart = told.ticks(arrived.sound_ts) - arrived.ticks(arrived.sound_ts)
    return told if abs(apart) <= _TRUSTED_S * arrived.sound_rate else None
