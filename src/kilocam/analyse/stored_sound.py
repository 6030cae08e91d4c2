"""From stored pieces to sound: packets, access units, decoder; pictures are passed over."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import dropwhile, takewhile
from typing import NamedTuple

import numpy as np

from kilocam.analyse.pictures import Footage
from kilocam.core import Piece, PieceFlag, Session, Track
from kilocam.media import (
    SOUND_RATE,
    HeardSound,
    SoundDecoder,
    SoundFormat,
    Waveform,
    sound_format,
)
from kilocam.rtsp import (
    SYNC_PERIOD_US,
    SYNC_WINDOW_US,
    AccessUnit,
    StreamReader,
    Sync,
    aac_config,
    measure_sync,
)

_BEFORE_US = 200_000
"""Decoded before what is asked for: Opus takes up to 80 ms to be right (RFC 7845 section 4.6)."""


@dataclass(frozen=True, slots=True, eq=False)
class Sound:
    """A stretch of sound without a break."""

    at_us: int
    """Wall time of its first sample."""
    pcm: Waveform
    """16 kHz, one channel, -1 to 1."""

    @property
    def end_us(self) -> int:
        """Wall time after its last sample."""
        return self.at_us + len(self.pcm) * 1_000_000 // SOUND_RATE


def has_sound(session: Session) -> bool:
    """Whether it has a track of sound that we decode; the camera may still send none."""
    return _heard_track(session) is not None


class StoredSound:
    """Sound over AAC, G.711 and Opus as the log keeps it; an instance for each camera listened to.

    Calls of one instance agree for five minutes on how sound lies to pictures, so what they give
    out for ranges that follow each other fits together to a millisecond.
    """

    def __init__(self) -> None:
        self._measured: tuple[tuple[int, int, int], Sync] | None = None
        self.skipped = 0
        """Frames so far that were damaged or could not be decoded."""

    def __call__(self, footage: Footage, from_us: int, to_us: int) -> Iterator[Sound]:
        """What is heard in [from_us, to_us), in order of time, a stretch at a time.

        A stretch ends where packets are lost or silence was not sent. Sound may arrive half a
        second after its time and decoders start up: give footage that reaches so far beyond the
        range. Where no sound follows a picture, nothing tells when it was heard, and none comes.
        """
        since = from_us
        for session, pieces in _runs(footage):
            for sound in self._of_run(session, pieces, from_us - _BEFORE_US, to_us):
                within = _between(sound, since, to_us)
                if within is not None:
                    yield within
                    since = within.end_us

    def _of_run(
        self, session: Session, pieces: list[Piece], from_us: int, to_us: int
    ) -> Iterator[Sound]:
        """Stretches made of the frames that begin in a range of a run."""
        found = _heard_track(session)
        sync = self._sync(session, found[0], pieces) if found is not None else None
        if found is None or sync is None:
            return
        track, entry = found
        reader = StreamReader((track,), decodable_only=True)
        decoder = SoundDecoder(entry, track.clock_rate)
        frames = (
            (_Clock(piece, sync), unit) for piece in pieces for unit in reader.feed(piece.payload)
        )
        later = dropwhile(lambda frame: frame[0].wall_us(frame[1].ts) < from_us, frames)
        within = takewhile(lambda frame: frame[0].wall_us(frame[1].ts) < to_us, later)
        at_us, parts = 0, list[Waveform]()
        for clock, heard in _decoded(decoder, within):
            if not heard.follows:
                if parts:
                    yield Sound(at_us, np.concatenate(parts))
                at_us, parts = clock.wall_us(heard.pts), []
            parts.append(heard.pcm)
        if parts:
            yield Sound(at_us, np.concatenate(parts))
        self.skipped += decoder.skipped + reader.withheld

    def _sync(self, session: Session, track: Track, pieces: list[Piece]) -> Sync | None:
        """How the track's times lie to those that pieces tell, which are the reference track's."""
        first = pieces[0]
        reference = _reference(session)
        if reference.index == track.index:
            rate, now = track.clock_rate, first.media_ts
            return Sync(sound_ts=now, video_ts=now, sound_rate=rate, video_rate=rate)
        name = session.epoch, session.session, first.wall_us // SYNC_PERIOD_US
        broken = first.flags & PieceFlag.DISCONTINUITY
        if self._measured is None or self._measured[0] != name or broken:
            until = first.wall_us + SYNC_WINDOW_US
            near = takewhile(lambda piece: piece.wall_us < until, pieces)
            found = measure_sync(reference, track, ((p.payload, p.media_ts) for p in near))
            self._measured = (name, found) if found is not None else None
        return self._measured[1] if self._measured is not None else None


class _Clock(NamedTuple):
    """Tells wall time to the sound that arrived in a piece."""

    piece: Piece
    sync: Sync

    def wall_us(self, ts: int) -> int:
        since = self.sync.ticks(ts) - self.sync.heard_at(self.piece.media_ts)
        return self.piece.wall_us + since * 1_000_000 // self.sync.sound_rate


def _decoded(
    decoder: SoundDecoder, frames: Iterable[tuple[_Clock, AccessUnit]]
) -> Iterator[tuple[_Clock, HeardSound]]:
    """Sound, each part with the clock of the frame that brought it."""
    clock = None
    for clock, unit in frames:
        for heard in decoder.decode(unit.units[0], unit.ts):
            yield clock, heard
    if clock is not None:
        for heard in decoder.finish():
            yield clock, heard


def _between(sound: Sound, from_us: int, to_us: int) -> Sound | None:
    """What of it is in a range."""
    first = max(0, -(-(from_us - sound.at_us) * SOUND_RATE // 1_000_000))
    end = max(0, -(-(to_us - sound.at_us) * SOUND_RATE // 1_000_000))
    pcm = sound.pcm[first:end]
    return Sound(sound.at_us + first * 1_000_000 // SOUND_RATE, pcm) if len(pcm) else None


def _runs(footage: Footage) -> Iterator[tuple[Session, list[Piece]]]:
    """Stretches of sessions in which media time goes on."""
    run: list[Piece] = []
    before: Session | None = None
    for session, piece in footage:
        same = before and (before.epoch, before.session) == (session.epoch, session.session)
        if before is not None and (not same or piece.flags & PieceFlag.DISCONTINUITY):
            yield before, run
            run = []
        before = session
        run.append(piece)
    if before is not None:
        yield before, run


def _reference(session: Session) -> Track:
    """The track whose times pieces tell: video, else the first."""
    return next((t for t in session.tracks if t.media == "video"), session.tracks[0])


def _heard_track(session: Session) -> tuple[Track, SoundFormat] | None:
    """The first track of sound that we decode."""
    for track in session.tracks:
        entry = sound_format(
            track.codec,
            rate=track.clock_rate,
            channels=track.channels,
            config=aac_config(track.fmtp),
        )
        if entry is not None:
            return track, entry
    return None
