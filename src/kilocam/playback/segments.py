"""Segments and their init segments: bytes that follow from a name and the footage alone.

A segment holds exactly what arrived from its first key frame's first packet up to the first packet
of the key frame after it. Times are the session's own: extended RTP timestamps, so that segments
made apart, by different machines, continue each other. The name of an init segment holds the
formats themselves, so it needs no footage at all.
"""

import re
from collections.abc import Iterable, Iterator

from kilocam.bitstream import BitstreamError, parse_avc_config
from kilocam.core import CameraKey, Piece, Session
from kilocam.media import Sample, fragment, init_segment, mp4_sound, video_format
from kilocam.playback.capability import bytes_of, text_of
from kilocam.playback.errors import NoSuchSegment
from kilocam.playback.keys import key_ts
from kilocam.playback.plan import Segment, SegmentName
from kilocam.playback.samples import SoundSamples, VideoSamples
from kilocam.playback.source import FootageSource, media_ts, pieces_break
from kilocam.playback.sync import SyncFinder
from kilocam.playback.tracks import (
    format_of,
    frame_length,
    media_tracks,
    playable,
)
from kilocam.rtsp import AccessUnit, StreamReader, Sync

_AROUND_US = 3_000_000
"""The pieces that hold a segment's first and last moment begin at most this far from them."""
_INIT = re.compile(r"init\.(\d{1,9})\.([\w-]{1,1500})\.(\d{1,9})\.([\w-]{0,100})\.mp4", re.ASCII)


def init_name(segment: Segment) -> str:
    """The name of a segment's init segment."""
    video = text_of(segment.video.config)
    sound = text_of(segment.sound.config) if segment.sound else ""
    return f"init.{segment.video_rate}.{video}.{segment.sound_rate}.{sound}.mp4"


def make_init(name: str) -> bytes:
    """The init segment of a name.

    Raises:
        NoSuchSegment: it is none.
    """
    match = _INIT.fullmatch(name)
    if match is None:
        raise NoSuchSegment(f"{name[:80]!r} is not the name of an init segment")
    video_rate, video_text, sound_rate, sound_text = match.groups()
    try:
        video = video_format(parse_avc_config(bytes_of(video_text))[1])
        sound = mp4_sound(bytes_of(sound_text)) if sound_text else None
    except (ValueError, BitstreamError):
        video = sound = None
    if video is None or not int(video_rate) or (sound_text and not (sound and int(sound_rate))):
        raise NoSuchSegment(f"{name[:80]!r} holds no formats that can be read")
    return init_segment(
        media_tracks(video, sound, video_rate=int(video_rate), sound_rate=int(sound_rate))
    )


class SegmentMaker:
    """Makes segments; safe for several threads."""

    def __init__(self, source: FootageSource, sync: SyncFinder) -> None:
        self._source = source
        self._sync = sync

    def make(self, key: CameraKey, name: SegmentName) -> bytes:
        """The bytes of a segment; the same each time.

        Raises:
            NoSuchSegment: no such footage is stored.
        """
        pieces = list(self._pieces(key, name))
        if not pieces:
            raise NoSuchSegment(f"camera {key}: segment {name} is not stored (any more)")
        session, last = pieces[0][0], pieces[-1][1]
        units, end_ts = _units(session, [piece for _, piece in pieces], name)
        samples = _pictures(session, units, end_ts)
        if not samples:
            raise NoSuchSegment(f"camera {key}: segment {name} holds no picture that can be shown")
        sync = self._sync.at(session, name.start_us, name.end_us) if name.sound else None
        if sync is not None:
            # Where a run ends sound stops before the last picture does: players want no hole there.
            end = 0 if last.key_us == name.end_us else sync.heard_at(end_ts)
            samples += _sounds(session, units, sync, end)
        return fragment(samples, sequence=name.start_us // 1_000_000 & 0xFFFFFFFF)

    def _pieces(self, key: CameraKey, name: SegmentName) -> Iterator[tuple[Session, Piece]]:
        """From the piece with the first key frame to the one with the key frame after the last."""
        before: tuple[Session, Piece] | None = None
        from_us, to_us = name.start_us - _AROUND_US, name.end_us + _AROUND_US
        for session, piece in self._source.pieces(key, from_us, to_us, exact=True):
            if session.session != name.session:
                continue
            if before is None:
                if piece.key_us != name.start_us:
                    continue
            elif pieces_break(before, (session, piece)):
                return
            if piece.key_us != name.end_us and piece.wall_us >= name.end_us:
                return
            before = (session, piece)
            yield before
            if piece.key_us == name.end_us:
                return


def _pictures(session: Session, units: Iterable[AccessUnit], end_ts: int) -> list[Sample]:
    video = playable(session).video
    pictures = [unit for unit in units if unit.track == video.index]
    entry = format_of(session, pictures[0]) if pictures else None
    if entry is None:
        return []
    made = VideoSamples(entry, video.clock_rate)
    samples = [sample for unit in pictures for sample in made.push(unit)]
    return samples + made.finish(end_ts)


def _sounds(session: Session, units: Iterable[AccessUnit], sync: Sync, end: int) -> list[Sample]:
    tracks = playable(session)
    if tracks.sound is None:
        return []
    made = SoundSamples(frame_length(tracks.sound))
    samples: list[Sample] = []
    for unit in units:
        if unit.track == tracks.sound.index:
            samples += made.push(unit, sync.ticks(unit.ts))
    return samples + made.finish(end)


def _units(
    session: Session, pieces: list[Piece], name: SegmentName
) -> tuple[list[AccessUnit], int]:
    """The access units of a segment, and the timestamp at which the next one begins."""
    tracks = playable(session)
    wanted = [tracks.video, tracks.sound] if tracks.sound and name.sound else [tracks.video]
    reader = StreamReader([t for t in wanted if t is not None], decodable_only=True)
    first, last = pieces[0], pieces[-1]
    units = reader.feed(first.payload[first.key_offset :], key_ts(session, first))
    for piece in pieces[1:-1]:
        units += reader.feed(piece.payload, piece.media_ts)
    if len(pieces) > 1 and last.key_us == name.end_us:
        end_ts = key_ts(session, last)
        units += reader.feed(last.payload[: last.key_offset], last.media_ts)
        # A picture whose end only the next one shows (no marker bit, quirk 28).
        units += [
            unit
            for unit in reader.feed(last.payload[last.key_offset :])
            if unit.track == tracks.video.index and unit.ts < end_ts
        ]
        return units, end_ts
    if len(pieces) > 1:
        units += reader.feed(last.payload, last.media_ts)
    return units + reader.flush(), media_ts(last, name.end_us, tracks.video.clock_rate)
