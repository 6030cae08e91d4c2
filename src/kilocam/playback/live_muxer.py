"""Pieces as they come to fragmented MP4 that a browser plays as it comes.

Fragments hold what one piece completed, so the muxer adds no delay but that of pictures that are
shown in another order than they are sent.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import groupby, pairwise

from kilocam.core import Piece, Session
from kilocam.media import Mp4Sound, Sample, VideoFormat, fragment, init_segment, mime_type
from kilocam.playback.joining import Joiner
from kilocam.playback.sync import SyncFinder
from kilocam.playback.tracks import (
    VIDEO_ID,
    format_of,
    media_tracks,
    playable,
    sound_of,
)
from kilocam.playback.units import Unit, UnitReader


@dataclass(frozen=True, slots=True, kw_only=True)
class LiveInit:
    """What follows is of this MIME type; a player starts anew when the type differs."""

    mime: str
    data: bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class LiveFragment:
    """Some samples; playing can start at one that begins with a `key` frame."""

    data: bytes
    key: bool
    wall_us: int
    """When its newest picture was taken."""


LiveMessage = LiveInit | LiveFragment


class LiveMuxer:
    """Muxes what one camera sends. It may read stored footage, so call it in a worker thread.

    Args:
        sync: places the sound.
    """

    def __init__(self, sync: SyncFinder) -> None:
        self._sync = sync
        self._reader = UnitReader(decodable_only=True)
        self._joiner: Joiner | None = None
        self._formats: tuple[VideoFormat, Mp4Sound | None] | None = None
        self._origin_us = 0
        self._heard = False
        self._sequence = 0
        self._wall_us = 0

    def feed(self, session: Session, piece: Piece) -> list[LiveMessage]:
        """What can be played now.

        Raises:
            NotPlayable: the camera does not send H.264.
        """
        playable(session)
        out: list[LiveMessage] = []
        samples: list[Sample] = []
        for unit in self._reader.feed(session, piece):
            if unit.video and unit.unit.key:
                out += self._fragments(samples)
                samples = []
                out += self._turn(unit)
            self._heard |= not unit.video
            if unit.video:
                self._wall_us = unit.wall_us
            if self._joiner is not None:
                samples += self._joiner.push(unit)
        return out + self._fragments(samples)

    def _turn(self, key: Unit) -> list[LiveMessage]:
        """At a key frame: go on, or begin anew with other formats."""
        entry = format_of(key.session, key.unit)
        if entry is None:
            return []
        sound = self._sound(key)
        if (entry, sound) == self._formats:
            return []
        out: list[LiveMessage] = []
        if self._joiner is not None:
            out += self._fragments(self._joiner.finish())
        self._formats = (entry, sound)
        self._origin_us = self._origin_us or key.wall_us
        tracks = playable(key.session)
        video_rate = tracks.video.clock_rate
        self._joiner = Joiner(
            self._sync,
            end_us=key.wall_us,
            delay=0,
            sound=sound,
            add_format=lambda _: 0,
            origin_us=self._origin_us,
            hold=False,
        )
        sound_rate = tracks.sound.clock_rate if tracks.sound and sound else 0
        init = init_segment(
            media_tracks(entry, sound, video_rate=video_rate, sound_rate=sound_rate)
        )
        formats = (entry, sound) if sound else (entry,)
        return [*out, LiveInit(mime=mime_type(formats), data=init)]

    def _sound(self, key: Unit) -> Mp4Sound | None:
        """The format of the sound, if there is any: an announced track that is silent stalls."""
        entry = sound_of(key.session)
        if entry is None:
            return None
        heard, self._heard = self._heard, False
        if self._formats is not None and not heard:
            return None
        known = self._sync.at(key.session, key.wall_us - 2_000_000, key.wall_us)
        return entry if known is not None else None

    def _fragments(self, samples: Sequence[Sample]) -> list[LiveMessage]:
        if not samples:
            return []
        self._sequence += 1
        first = next((s for s in samples if s.track == VIDEO_ID), None)
        data = fragment(list(_filled(samples)), sequence=self._sequence)
        key = first is not None and first.key
        return [LiveFragment(data=data, key=key, wall_us=self._wall_us)]


def _filled(samples: Sequence[Sample]) -> Iterator[Sample]:
    """Samples that last until the next of their track; the last ones as long as guessed."""
    for _, group in groupby(sorted(samples, key=lambda s: s.track), key=lambda s: s.track):
        track = list(group)
        for sample, following in pairwise(track):
            yield replace(sample, duration=following.dts - sample.dts)
        yield track[-1]
