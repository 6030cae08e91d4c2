"""From stored pieces to pictures: packets, access units, decoder; only what is asked for.

The usual look wants one key frame, for which a decoder is kept. Whoever asks for a second picture
gets the whole GOP decoded in order.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import chain, groupby

import numpy as np
from numpy.typing import NDArray

from kilocam.analyse.errors import FootageError
from kilocam.analyse.pictures import Footage
from kilocam.bitstream import join_avcc
from kilocam.core import Piece, PieceFlag, Session
from kilocam.media import (
    DecodedPicture,
    DecodeError,
    KeyFrameDecoder,
    PictureFormat,
    Sample,
    decode_all,
    h265_format,
    video_format,
)
from kilocam.rtsp import AccessUnit, StreamReader, UnitKind

_FORMATS = {UnitKind.H264: video_format, UnitKind.H265: h265_format}


@dataclass(frozen=True, slots=True)
class StoredPicture:
    """A picture out of the log."""

    at_us: int
    decoded: DecodedPicture

    @property
    def width(self) -> int:
        """For square pixels."""
        return self.decoded.display_size[0]

    @property
    def height(self) -> int:
        """For square pixels."""
        return self.decoded.display_size[1]

    def rgb(self, width: int, height: int) -> NDArray[np.uint8]:
        """The whole picture squashed to height x width x 3."""
        return self.decoded.rgb(width, height)

    def grey(self, width: int, height: int) -> NDArray[np.uint8]:
        """The whole picture squashed to height x width, averaged."""
        return self.decoded.grey(width, height)


@dataclass(frozen=True, slots=True)
class _Coded:
    """A coded picture; its sample's times are microseconds of wall time."""

    sample: Sample
    form: PictureFormat

    @property
    def at_us(self) -> int:
        return self.sample.pts


class StoredPictures:
    """A `PictureSource` over H.264 and H.265 as the log keeps it."""

    def __init__(self, *, deblocking: bool = True) -> None:
        """Without `deblocking` a key frame alone is decoded faster: its blocks show."""
        self._key_frames = KeyFrameDecoder(deblocking=deblocking)

    def __call__(self, footage: Footage, from_us: int) -> Iterator[StoredPicture]:
        """Pictures shown from `from_us` on, in the order shown.

        Raises:
            FootageError: the first one is a key frame and cannot be decoded.
        """
        run: list[_Coded] = []
        coded = _coded(footage)
        for each in coded:
            if each.sample.key:
                run.clear()
            run.append(each)
            if each.at_us >= from_us:
                break
        else:
            return
        if len(run) == 1:
            yield self._key_frame(run[0])
            from_us = run[0].at_us + 1
        for picture in _decoded(chain(run, coded)):
            if picture.at_us >= from_us:
                yield picture

    def _key_frame(self, coded: _Coded) -> StoredPicture:
        try:
            return StoredPicture(coded.at_us, self._key_frames.decode(coded.sample, coded.form))
        except DecodeError as error:
            raise FootageError(str(error)) from None


def _decoded(coded: Iterable[_Coded]) -> Iterator[StoredPicture]:
    """In the order shown; a change of format drains the decoder before it."""
    for form, run in groupby(coded, key=lambda each: each.form):
        for picture in decode_all((each.sample for each in run), (form,)):
            yield StoredPicture(picture.pts, picture)


def _coded(footage: Footage) -> Iterator[_Coded]:
    """Coded pictures from the first key frame on, in the order sent."""
    for _, pieces in groupby(footage, key=lambda each: (each[0].epoch, each[0].session)):
        yield from _of_session(pieces)


def _of_session(footage: Iterable[tuple[Session, Piece]]) -> Iterator[_Coded]:
    reader: StreamReader | None = None
    rates: dict[int, int] = {}
    form: PictureFormat | None = None
    for session, piece in footage:
        payload = piece.payload
        if reader is None:
            reader = StreamReader(session.tracks, decodable_only=True)
            rates = {track.index: track.clock_rate for track in session.tracks}
            payload = payload[max(0, piece.key_offset) :]  # what is before it cannot be decoded
        broken = bool(piece.flags & PieceFlag.DISCONTINUITY)
        for unit in reader.read(payload, piece.media_ts, discontinuity=broken):
            format_of = _FORMATS.get(unit.kind)
            if unit.track != reader.reference or format_of is None:
                continue
            if unit.key and unit.parameter_sets:
                form = format_of(unit.parameter_sets) or form
            if form is not None:
                since = (unit.ts - piece.media_ts) * 1_000_000 // rates[unit.track]
                yield _Coded(_sample(unit, piece.wall_us + since), form)


def _sample(unit: AccessUnit, at_us: int) -> Sample:
    return Sample(
        track=1, pts=at_us, dts=at_us, duration=0, key=unit.key, data=join_avcc(unit.units)
    )
