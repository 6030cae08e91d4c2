"""A film as a recorder would keep it: pieces, cut into windows that go on for ever."""

import math
import struct
from collections.abc import Callable, Iterable, Iterator
from typing import TypeAlias

from kilocam.analyse import Footage
from kilocam.bitstream import (
    H265Kind,
    H265QpReader,
    NalKind,
    QpReader,
    h265_kind,
    is_h265_picture,
    nal_kind,
)
from kilocam.core import CameraKey, Piece, PieceFlag, Session, Track, Window
from kilocam.media import FileTrack
from kilocam.rtsp import frame, packetize_h264

_T0 = 1_700_000_000_000_000
_HEAD_US = 600_000
"""Of a window's footage, read for a look at its key frame."""
_MARKER = 0x80
_IsSlice: TypeAlias = Callable[[bytes], bool]
_Quantiser: TypeAlias = Callable[[bytes], int | None]
"""Of a slice by its first bytes."""
_TRACK = Track(
    index=0, media="video", codec="h264", payload_type=96, clock_rate=90_000, channels=0,
    rtp_channel=0, rtcp_channel=1, fmtp="",
)  # fmt: skip


class FilmWindows:
    """Windows 0, 1, 2 ... of a film that is played in a loop; each is a whole GOP.

    Args:
        name: the camera's id.
        video: a film of at least two GOPs; what follows its last key frame is not played.
    """

    def __init__(self, name: str, video: FileTrack) -> None:
        self.key = CameraKey("bench", name)
        self.complexities = tuple(complexities(video)[:-1])
        """Of each window of the film."""
        self._session = Session(
            tenant=self.key.tenant, camera=name, session=1, epoch=1, started_us=_T0, source="",
            sdp=b"", tracks=(_TRACK,),
        )  # fmt: skip
        self._gops: list[list[Piece]] = []
        for piece in self._pieces(video):
            if piece.key_us:
                self._gops.append([])
            self._gops[-1].append(piece)
        self._starts = [gop[0].key_us for gop in self._gops]
        self._loop_us = self._starts[-1] - self._starts[0]

    def window(self, number: int) -> Window:
        """When a window begins and ends."""
        loop, index = divmod(number, len(self.complexities))
        start_us, end_us = (us + loop * self._loop_us for us in self._starts[index : index + 2])
        key = self.key
        return Window(tenant=key.tenant, camera=key.camera, start_us=start_us, end_us=end_us)

    def complexity(self, number: int) -> float:
        """What the gate is told of a window."""
        return self.complexities[number % len(self.complexities)]

    def whole(self, number: int) -> Footage:
        """All of a window."""
        return tuple((self._session, piece) for piece in self._played(number))

    def footage(self, number: int, *, before: bool) -> Footage:
        """What a look at the key frame reads; with `before` the whole window before it too."""
        head_us = self.window(number).start_us + _HEAD_US
        pieces = [*self._played(number - 1)] if before else []
        pieces += [piece for piece in self._played(number) if piece.wall_us < head_us]
        return tuple((self._session, piece) for piece in pieces)

    def _played(self, number: int) -> Iterator[Piece]:
        loop, index = divmod(number, len(self.complexities))
        later_us = loop * self._loop_us
        for piece in self._gops[index]:
            key_us = piece.key_us + later_us if piece.key_us else 0
            yield piece._replace(wall_us=piece.wall_us + later_us, key_us=key_us)

    def _pieces(self, video: FileTrack) -> Iterator[Piece]:
        """One a picture."""
        sequence = 0
        for sample in video.samples:
            units = (*video.parameter_sets, *sample.units) if sample.key else sample.units
            wall_us = _T0 + sample.pts * 1_000_000 // video.clock_rate
            ts = sample.pts * _TRACK.clock_rate // video.clock_rate
            *bodies, last = packetize_h264(units)
            packets = [(96, body) for body in bodies] + [(96 | _MARKER, last)]
            payload = b""
            for kind, body in packets:
                payload += frame(0, struct.pack(">BBHII", 0x80, kind, sequence, ts, 1) + body)
                sequence = (sequence + 1) & 0xFFFF
            yield Piece(
                tenant=self.key.tenant, camera=self.key.camera, session=1, wall_us=wall_us,
                duration_us=66_000, media_ts=ts, key_offset=0 if sample.key else -1,
                key_us=wall_us if sample.key else 0,
                flags=PieceFlag.KEY if sample.key else PieceFlag.NONE, packets=len(packets),
                frames=1, complexity=0.0, sampled=0, payload=payload,
            )  # fmt: skip


def complexities(video: FileTrack, *, quantised: bool = True) -> list[float]:
    """Mean size x 2^(QP/6) of every fourth frame between the key frames; 0 where there is none.

    With `quantised` false the mean size alone, which is what this is better than.
    """
    sampled = samples(video, quantised=quantised)
    return [math.fsum(each) / len(each) if each else 0.0 for each in sampled]


def samples(video: FileTrack, *, quantised: bool = True) -> list[list[float]]:
    """What the means above are taken of."""
    is_slice, quantiser = (_h264 if video.codec == "h264" else _h265)(video.parameter_sets)
    windows: list[list[float]] = []
    for sample in video.samples:
        if sample.key:
            windows.append([])
            continue
        slices = [nal for nal in sample.units if is_slice(nal)]
        qp = quantiser(slices[0][:64]) if slices else None
        if qp is not None:
            windows[-1].append(sum(map(len, slices)) * 2 ** (qp / 6 if quantised else 0))
    return [window[3::4] for window in windows]


def _h264(sets: Iterable[bytes]) -> tuple[_IsSlice, _Quantiser]:
    kinds = {nal_kind(nal): nal for nal in sets}
    reader = QpReader(kinds[NalKind.SPS], kinds[NalKind.PPS])
    return lambda nal: nal_kind(nal) == NalKind.SLICE, reader.qp


def _h265(sets: Iterable[bytes]) -> tuple[_IsSlice, _Quantiser]:
    kinds = {h265_kind(nal): nal for nal in sets}
    reader = H265QpReader(kinds[H265Kind.SPS], kinds[H265Kind.PPS])
    return lambda nal: is_h265_picture(h265_kind(nal)), reader.qp
