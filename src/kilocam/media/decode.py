"""Pictures out of samples: one key frame, or exactly the picture shown at a moment.

Everything here may run in any thread or process, one call at a time per decoder. Decoders are not
shared; one that failed is replaced.
"""

import threading
from collections import defaultdict
from collections.abc import Iterable, Iterator
from fractions import Fraction
from typing import TypeAlias

import av
import numpy as np
from av.packet import Packet
from av.stream import Stream
from av.video.codeccontext import VideoCodecContext
from av.video.frame import VideoFrame
from av.video.reformatter import VideoReformatter
from numpy.typing import NDArray

from kilocam.media.errors import DecodeError
from kilocam.media.samples import PictureFormat, Sample, VideoFormat

Pixels: TypeAlias = NDArray[np.uint8]
_Packet: TypeAlias = "Packet[Stream]"
_BEST, _WORST = 2, 31
"""The quantiser scale of FFmpeg's MJPEG encoder."""
_DECODERS = 4
"""Kept for key frames: cameras of one make have one format, and a fleet has few makes."""


class _Scalers(threading.local):
    """Of each thread, one for each pixel format: to set one up takes longer than to use it."""

    def __init__(self) -> None:
        self.by_format = defaultdict[str, VideoReformatter](VideoReformatter)


_scalers = _Scalers()


class DecodedPicture:
    """One picture as it came out of the decoder, to be had in the shape one needs."""

    __slots__ = ("_frame", "_sar")

    def __init__(self, frame: VideoFrame, sar: tuple[int, int]) -> None:
        self._frame = frame
        self._sar = sar

    @property
    def pts(self) -> int:
        """The sample's presentation time."""
        return self._frame.pts or 0

    @property
    def display_size(self) -> tuple[int, int]:
        """Width and height for square pixels."""
        across, down = self._sar
        return round(self._frame.width * across / down), self._frame.height

    def rgb(self, width: int | None = None, height: int | None = None) -> Pixels:
        """Height x width x 3; without a size as it is displayed, with one squashed into it."""
        return self._pixels("rgb24", width, height)

    def grey(self, width: int, height: int) -> Pixels:
        """Height x width, averaged down: for differences between pictures."""
        return self._pixels("gray", width, height)

    def jpeg(self, *, quality: int = 85, max_width: int | None = None) -> bytes:
        """A JPEG in display aspect; `quality` 1 to 100."""
        width, height = self.display_size
        if max_width is not None and width > max_width:
            width, height = max_width, max(2, round(height * max_width / width))
        return _encode_jpeg(self._frame, width, height, quality)

    def _pixels(self, form: str, width: int | None, height: int | None) -> Pixels:
        shown = self.display_size
        frame = _scalers.by_format[form].reformat(
            self._frame, width or shown[0], height or shown[1], form, interpolation="AREA"
        )
        return np.asarray(frame.to_ndarray(), dtype=np.uint8)


def encode_jpeg(rgb: Pixels, *, quality: int = 85) -> bytes:
    """A height x width x 3 picture as JPEG."""
    frame = VideoFrame.from_ndarray(np.ascontiguousarray(rgb), format="rgb24")
    return _encode_jpeg(frame, frame.width, frame.height, quality)


def _encode_jpeg(frame: VideoFrame, width: int, height: int, quality: int) -> bytes:
    # 4:2:0 needs even sides.
    wide, high = max(2, width // 2 * 2), max(2, height // 2 * 2)
    picture = frame.reformat(wide, high, "yuvj420p", interpolation="BICUBIC")
    picture.pts = None
    scale = round(_BEST + (_WORST - _BEST) * (100 - min(100, max(1, quality))) / 99)
    encoder = av.CodecContext.create("mjpeg", "w")
    assert isinstance(encoder, VideoCodecContext)
    encoder.width, encoder.height, encoder.pix_fmt = wide, high, "yuvj420p"
    encoder.framerate = Fraction(1)
    encoder.options = {"qmin": str(scale), "qmax": str(scale)}
    packets = [*encoder.encode(picture), *encoder.encode(None)]
    return b"".join(bytes(packet) for packet in packets)


class KeyFrameDecoder:
    """Decodes single key frames with decoders that are kept: a fifth cheaper than fresh ones.

    Without `deblocking` they take an eighth less, and show the edges of blocks.
    """

    def __init__(self, *, deblocking: bool = True) -> None:
        self._deblocking = deblocking
        self._contexts: dict[PictureFormat, VideoCodecContext] = {}

    def decode(self, sample: Sample, entry: PictureFormat) -> DecodedPicture:
        """The picture of a key frame.

        Raises:
            DecodeError: there is none in it; the next call starts with a fresh decoder.
        """
        context = self._contexts.pop(entry, None) or _decoder(entry, deblocking=self._deblocking)
        try:
            frames = [*context.decode(_packet(sample)), *context.decode(None)]
            context.flush_buffers()
        except av.FFmpegError as error:
            raise _undecodable(sample, error.strerror or str(error)) from None
        if not frames:
            raise _undecodable(sample, "no picture came out")
        self._contexts[entry] = context  # the last used is the last to go
        if len(self._contexts) > _DECODERS:
            del self._contexts[next(iter(self._contexts))]
        return DecodedPicture(frames[0], _sar(context, entry))


def decode_all(
    samples: Iterable[Sample], formats: tuple[PictureFormat, ...]
) -> Iterator[DecodedPicture]:
    """Every picture of samples that start with a key frame, in the order shown.

    A sample that cannot be decoded is passed over: the pictures around it still come.
    """
    context, entry = None, None
    for sample in samples:
        wanted = formats[sample.format]
        if context is None or wanted != entry:
            if context is not None and entry is not None:
                yield from _drain(context, entry)
            context, entry = _decoder(wanted), wanted
        try:
            frames = context.decode(_packet(sample))
        except av.FFmpegError:
            continue
        for frame in frames:
            yield DecodedPicture(frame, _sar(context, wanted))
    if context is not None and entry is not None:
        yield from _drain(context, entry)


def decode_until(
    samples: Iterable[Sample], formats: tuple[VideoFormat, ...], at: int
) -> DecodedPicture:
    """The picture shown at `at`: the last one whose presentation time is not after it.

    Args:
        samples: from a key frame on, in decoding order; as many as are needed to be sure that no
            later one is shown at or before `at`.
        formats: of their track.
        at: in the track's timescale.

    Raises:
        DecodeError: no picture up to `at` could be decoded.
    """
    best: DecodedPicture | None = None
    for picture in decode_all(samples, formats):
        if picture.pts > at:
            break
        best = picture
    if best is None:
        raise DecodeError(f"no picture up to media time {at} can be decoded")
    return best


def _drain(context: VideoCodecContext, entry: PictureFormat) -> Iterator[DecodedPicture]:
    try:
        frames = context.decode(None)
    except av.FFmpegError:
        return
    for frame in frames:
        yield DecodedPicture(frame, _sar(context, entry))


def _sar(context: VideoCodecContext, entry: PictureFormat) -> tuple[int, int]:
    """Width and height of a pixel; that of H.265 is read by the decoder."""
    if isinstance(entry, VideoFormat):
        return entry.sar
    ratio = context.sample_aspect_ratio
    return (ratio.numerator, ratio.denominator) if ratio else (1, 1)


def _decoder(entry: PictureFormat, *, deblocking: bool = True) -> VideoCodecContext:
    name = "h264" if isinstance(entry, VideoFormat) else "hevc"
    context = av.CodecContext.create(name, "r")
    assert isinstance(context, VideoCodecContext)
    context.extradata = entry.config
    if not deblocking:
        context.options = {"skip_loop_filter": "all"}
    context.thread_count = 1  # many decoders side by side; threads only cost latency
    return context


def _packet(sample: Sample) -> _Packet:
    packet: _Packet = Packet(sample.data)
    packet.pts, packet.dts = sample.pts, sample.dts
    return packet


def _undecodable(sample: Sample, reason: str) -> DecodeError:
    return DecodeError(f"key frame at media time {sample.pts} cannot be decoded: {reason}")
