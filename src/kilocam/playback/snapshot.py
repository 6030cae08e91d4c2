"""The picture shown at a moment, exactly."""

from collections.abc import Iterator
from dataclasses import dataclass

from kilocam.core import CameraKey, format_time
from kilocam.media import DecodedPicture, DecodeError, Sample, VideoFormat, decode_until
from kilocam.playback.errors import NoFootage, NoPicture
from kilocam.playback.library import Library, Range
from kilocam.playback.outline import check_playable
from kilocam.playback.samples import VideoSamples
from kilocam.playback.source import FootageSource
from kilocam.playback.timeline import gap_at
from kilocam.playback.tracks import format_of, playable, reorder_depth
from kilocam.playback.units import Unit, read_units

_AFTER_US = 5_000_000
"""Pictures shown up to the moment arrive at most this much after it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Snapshot:
    """A picture and when it was taken."""

    picture: DecodedPicture
    taken_us: int


def snapshot(library: Library, key: CameraKey, at_us: int) -> Snapshot:
    """The picture that a viewer of the camera saw at `at_us`.

    Raises:
        NoFootage: nothing was recorded then; the error says why.
        NoPicture: there is footage, but no picture up to then can be decoded.
        NotPlayable: the camera does not send H.264.
    """
    source = library.source
    gap = gap_at(source, key, at_us)
    if gap is not None:
        reason = f"{gap.cause}" + (f", {gap.detail}" if gap.detail else "")
        raise NoFootage(
            f"camera {key.camera!r} has no footage at {format_time(at_us)} ({reason})", gap
        )
    units = _until(source, key, at_us, at_us)
    if not any(unit.wall_us <= at_us for unit in units):
        # The nearest key frame is not whole: the picture of an earlier GOP stood still then.
        earlier = library.keys.before(key, at_us)
        units = _until(source, key, earlier.at_us, at_us) if earlier else []
    shown = [unit for unit in units if unit.wall_us <= at_us]
    entry = format_of(units[0].session, units[0].unit) if units else None
    if not shown or entry is None:
        check_playable(source, Range(key=key, from_us=at_us, to_us=at_us + 1))
        raise _no_picture(key, at_us)
    wanted = max(shown, key=lambda unit: unit.wall_us)
    try:
        picture = decode_until(_samples(units, entry), (entry,), wanted.unit.ts)
    except DecodeError:
        raise _no_picture(key, at_us) from None
    return Snapshot(picture=picture, taken_us=wanted.wall_us)


def _until(source: FootageSource, key: CameraKey, from_us: int, at_us: int) -> list[Unit]:
    """From the last key frame at or before the moment; no more than decoding it takes."""
    pieces = source.pieces(key, from_us, at_us + _AFTER_US)
    units: list[Unit] = []
    later = depth = 0
    for unit in read_units(pieces, decodable_only=True, sound=False):
        if unit.wall_us > at_us and units and (unit.unit.key or unit.run != units[0].run):
            break
        if unit.unit.key:
            units = []
            entry = format_of(unit.session, unit.unit)
            depth = reorder_depth(entry) if entry else 0
        units.append(unit)
        later += unit.wall_us > at_us
        if later > depth:
            break
    return units


def _samples(units: list[Unit], entry: VideoFormat) -> Iterator[Sample]:
    rate = playable(units[0].session).video.clock_rate
    pictures = VideoSamples(entry, rate)
    for unit in units:
        yield from pictures.push(unit.unit)
    yield from pictures.finish()


def _no_picture(key: CameraKey, at_us: int) -> NoPicture:
    return NoPicture(
        f"camera {key.camera!r} has footage at {format_time(at_us)}, but no whole key frame "
        "precedes it; try a little later"
    )
