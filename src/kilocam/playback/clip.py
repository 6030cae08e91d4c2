"""`clip.mp4`: a range as one fragmented MP4, made while it is sent, in bounded memory."""

from collections.abc import Iterator
from dataclasses import dataclass

from kilocam.media import Sample, fragment, init_segment, mime_type
from kilocam.playback.errors import NoPicture
from kilocam.playback.joining import Joiner, up_to
from kilocam.playback.library import Library, Range
from kilocam.playback.outline import Outline, outline
from kilocam.playback.tracks import SOUND_ID, VIDEO_ID, media_tracks
from kilocam.playback.units import Unit, read_units

_FRAGMENT_BYTES = 1 << 20
"""A fragment is sent at the next key frame, or when it has grown to this."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Clip:
    """A clip on its way."""

    mime: str
    left_out: tuple[str, ...]
    """What is recorded but not in the clip, and why."""
    chunks: Iterator[bytes]
    """The file's bytes; read them in a worker thread."""


def clip(library: Library, wanted: Range) -> Clip:
    """The footage of a range.

    It begins with the key frame at or before the range; an edit list has players start in time.
    Damaged pictures are left out up to the next key frame.

    Raises:
        PlaybackError: nothing that can be played is recorded there.
    """
    found = outline(library, wanted)
    formats = (found.video, found.sound) if found.sound else (found.video,)
    return Clip(
        mime=mime_type(formats),
        left_out=found.left_out,
        chunks=_chunks(library, wanted, found),
    )


def _chunks(library: Library, wanted: Range, found: Outline) -> Iterator[bytes]:
    to_us = wanted.to_us
    joiner = Joiner(library.sync, end_us=to_us, delay=found.delay, sound=found.sound)
    pieces = library.source.pieces(wanted.key, found.start_us, to_us)
    units = up_to(read_units(pieces, decodable_only=True), to_us)
    waiting: list[Sample] = []
    size = sequence = 0
    for samples in _batches(joiner, units):
        if sequence == 0 and joiner.origin_us is not None:
            yield _init(found, joiner.origin_us, wanted)
            sequence = 1
        for sample in samples:
            begins = sample.key and sample.track == VIDEO_ID
            if waiting and (begins or size > _FRAGMENT_BYTES):
                yield fragment(waiting, sequence=sequence)
                waiting, size, sequence = [], 0, sequence + 1
            waiting.append(sample)
            size += len(sample.data)
    if waiting:
        yield fragment(waiting, sequence=sequence)
    if sequence == 0:
        raise NoPicture(
            f"camera {wanted.key.camera!r} has footage in this range, but no picture of it can be "
            "decoded; `kilocam verify` says what is damaged"
        )


def _batches(joiner: Joiner, units: Iterator[Unit]) -> Iterator[list[Sample]]:
    for unit in units:
        yield joiner.push(unit)
    yield joiner.finish()


def _init(found: Outline, origin_us: int, wanted: Range) -> bytes:
    """Playing starts where the range does; pictures are presented `delay` late."""
    skipped_us = max(0, wanted.from_us - origin_us)
    starts = {VIDEO_ID: found.delay + skipped_us * found.video_rate // 1_000_000}
    if found.sound is not None:
        starts[SOUND_ID] = skipped_us * found.sound_rate // 1_000_000
    tracks = media_tracks(
        found.video, found.sound, video_rate=found.video_rate, sound_rate=found.sound_rate
    )
    # A range may reach into what is to come: the file must not promise what is not in it.
    shown_us = found.end_us - max(wanted.from_us, origin_us)
    return init_segment(tracks, starts=starts, duration_us=max(0, shown_us))
