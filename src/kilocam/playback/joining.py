"""Runs joined on the time line of one file, for clips and exports.

Within a run the file's times are the camera's own, to the tick; between runs they go on by wall
time, so gaps keep their length: the picture before a gap stands still.
"""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import replace

from kilocam.core import Session
from kilocam.media import Mp4Sound, Sample, VideoFormat
from kilocam.playback.samples import SoundSamples, VideoSamples
from kilocam.playback.sync import SyncFinder
from kilocam.playback.tracks import (
    VIDEO_ID,
    format_of,
    frame_length,
    playable,
    reorder_depth,
    sound_of,
)
from kilocam.playback.units import Unit
from kilocam.rtsp import SYNC_PERIOD_US, Sync

_EARLY = 256
"""Frames of sound that wait for their run's first picture: 5 s."""


class Joiner:
    """Turns the units of one camera into the samples of one file, whose time 0 is a wall time.

    Args:
        sync: places the sound.
        end_us: up to where footage may be read to place it.
        delay: ticks by which all pictures are presented late; the file's edit list takes it back.
        sound: the file's format of sound; sound of another format is left out. None: no sound.
        add_format: the file's index of a format of pictures; None: the file knows one format, and
            key frames carry their parameter sets.
        origin_us: wall time of time 0, in place of the first picture's.
        hold: wait for the sample after, so that durations are exact; else they are guessed.
    """

    def __init__(
        self,
        sync: SyncFinder,
        *,
        end_us: int,
        delay: int,
        sound: Mp4Sound | None,
        add_format: Callable[[VideoFormat], int] | None = None,
        origin_us: int | None = None,
        hold: bool = True,
    ) -> None:
        self._sync = sync
        self._end_us = end_us
        self._delay = delay
        self._sound_format = sound
        self._add_format = add_format
        self._held: dict[int, Sample] = {}
        self._run = 0
        self._entry: VideoFormat | None = None
        self._video: VideoSamples | None = None
        self._sound: SoundSamples | None = None
        self._shift = 0
        self._early: list[Unit] = []
        self._syncs: dict[tuple[int, int], Sync | None] = {}
        self._hold = hold
        self.origin_us = origin_us
        """Wall time of time 0, once it is known."""
        self.before_key = 0
        """Pictures left out because no key frame had come."""

    def push(self, unit: Unit) -> list[Sample]:
        """Take the next unit; the samples that are complete now."""
        if unit.video:
            return self._complete(self._picture(unit))
        return self._complete(self._hear(unit))

    def finish(self) -> list[Sample]:
        """The rest."""
        out = self._complete(self._end_run())
        if self._hold:
            out += self._held.values()
        self._held = {}
        return out

    def _picture(self, unit: Unit) -> Iterator[Sample]:
        entry = self._entry
        if unit.unit.key:
            entry = format_of(unit.session, unit.unit) or entry
        if unit.run != self._run or self._video is None:
            if entry is None:
                self.before_key += 1
                return
            yield from self._begin_run(unit, entry)
        elif entry is not None and entry != self._entry:
            yield from self._video.finish()
            self._video = self._pictures(unit.session, entry)
        assert self._video is not None
        yield from self._video.push(unit.unit)

    def _begin_run(self, unit: Unit, entry: VideoFormat) -> Iterator[Sample]:
        yield from self._end_run()
        self._run = unit.run
        if self.origin_us is None:
            self.origin_us = unit.wall_us
        tracks = playable(unit.session)
        rate = tracks.video.clock_rate
        start = (unit.wall_us - self.origin_us) * rate // 1_000_000
        before = self._held.get(VIDEO_ID)
        if before is not None:
            # Camera clocks differ by a little: a run must not begin inside the one before it.
            start = max(start, before.dts + 1)
        self._shift = start - unit.unit.ts
        self._video = self._pictures(unit.session, entry)
        if tracks.sound is not None and sound_of(unit.session) == self._sound_format:
            self._sound = SoundSamples(frame_length(tracks.sound), hold=False)
        early, self._early = self._early, []
        for heard in early:
            yield from self._hear(heard)

    def _pictures(self, session: Session, entry: VideoFormat) -> VideoSamples:
        self._entry = entry
        return VideoSamples(
            entry,
            playable(session).video.clock_rate,
            shift=self._shift,
            format_index=self._add_format(entry) if self._add_format else 0,
            delay=self._delay,
            in_band=self._add_format is None,
            hold=False,
        )

    def _end_run(self) -> list[Sample]:
        out = self._video.finish() if self._video is not None else []
        self._video = self._sound = None
        return out

    def _hear(self, unit: Unit) -> Iterator[Sample]:
        if unit.run != self._run:
            # Sound is complete at once, a picture when the next one begins: its time is to come.
            self._early = [e for e in self._early[1 - _EARLY :] if e.run == unit.run] + [unit]
            return
        sync = self._sync_of(unit) if self._sound is not None else None
        if sync is None or self._sound is None:
            return
        time = sync.ticks(unit.unit.ts) + sync.heard_at(self._shift)
        if time >= 0:
            yield from self._sound.push(unit.unit, time)

    def _sync_of(self, unit: Unit) -> Sync | None:
        name = unit.run, unit.wall_us // SYNC_PERIOD_US
        if name not in self._syncs:
            self._syncs[name] = self._sync.at(unit.session, unit.wall_us, self._end_us)
        return self._syncs[name]

    def _complete(self, samples: Iterable[Sample]) -> list[Sample]:
        """Samples of a track last until the next one begins."""
        out = []
        for following in samples:
            sample = following
            before = self._held.get(sample.track)
            if before is not None:
                if sample.dts < before.dts:
                    sample = replace(sample, dts=before.dts)
                if self._hold:
                    out.append(replace(before, duration=sample.dts - before.dts))
            if not self._hold:
                out.append(sample)
            self._held[sample.track] = sample
        return out


def up_to(units: Iterable[Unit], to_us: int) -> Iterator[Unit]:
    """Units up to the last one that is needed to show what is before `to_us`."""
    later = depth = 0
    run = 0
    for unit in units:
        if unit.video:
            if unit.unit.key:
                entry = format_of(unit.session, unit.unit)
                depth = reorder_depth(entry) if entry else depth
            if unit.wall_us >= to_us:
                if unit.unit.key or unit.run != run or later >= depth:
                    return
                later += 1
            run = unit.run
        yield unit
