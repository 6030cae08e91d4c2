"""`kilocam export`: a range as a plain MP4 file that holds all that was received."""

from dataclasses import dataclass
from pathlib import Path

from kilocam.media import Mp4Writer
from kilocam.playback.errors import PlaybackError
from kilocam.playback.joining import Joiner, up_to
from kilocam.playback.library import Library, Range
from kilocam.playback.outline import outline
from kilocam.playback.tracks import VIDEO_ID, media_tracks
from kilocam.playback.units import read_units


@dataclass(frozen=True, slots=True, kw_only=True)
class Exported:
    """What is in the file, and what is not."""

    file: Path
    start_us: int
    """Wall time of its first picture: the key frame at or before the range."""
    pictures: int
    sounds: int
    damaged: int
    """Pictures of which packets were lost; they are in the file."""
    before_key: int
    """Pictures left out because no key frame came before them."""
    left_out: tuple[str, ...]
    """Tracks that are recorded but cannot be put into MP4, and why."""


def export(library: Library, wanted: Range, file: Path) -> Exported:
    """Write a range to `file`, from the key frame at or before it on.

    Every access unit is kept, NAL units in their order, damaged ones too; presentation times are
    those of the camera; a change of picture gets a sample entry of its own.

    Raises:
        PlaybackError: nothing that can be played is recorded there.
        MediaError: the file cannot be written.
    """
    found = outline(library, wanted)
    tracks = media_tracks(
        found.video, found.sound, video_rate=found.video_rate, sound_rate=found.sound_rate
    )
    counts = [0, 0]
    damaged = 0
    with Mp4Writer(file, tracks, starts={VIDEO_ID: found.delay}) as out:
        joiner = Joiner(
            library.sync,
            end_us=wanted.to_us,
            delay=found.delay,
            sound=found.sound,
            add_format=lambda entry: out.add_format(VIDEO_ID, entry),
        )
        pieces = library.source.pieces(wanted.key, found.start_us, wanted.to_us)
        for unit in up_to(read_units(pieces, decodable_only=False), wanted.to_us):
            if joiner.origin_us is None and unit.wall_us < wanted.from_us and not unit.unit.key:
                continue  # of before the range, and of no use to show what is in it
            damaged += unit.video and unit.unit.damaged
            for sample in joiner.push(unit):
                out.write(sample)
                counts[sample.track == VIDEO_ID] += 1
        for sample in joiner.finish():
            out.write(sample)
            counts[sample.track == VIDEO_ID] += 1
        if joiner.origin_us is None:
            raise PlaybackError(
                f"camera {wanted.key.camera!r}: no key frame in the range; choose an earlier start"
            )
    return Exported(
        file=file,
        start_us=joiner.origin_us,
        pictures=counts[True],
        sounds=counts[False],
        damaged=damaged,
        before_key=joiner.before_key,
        left_out=found.left_out,
    )
