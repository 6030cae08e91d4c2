"""Real encoder output, and what FFmpeg's own header reader says of it."""

import io
import re
from collections.abc import Callable
from fractions import Fraction

import av
import av.logging
import numpy as np
import pytest
from av.bitstream import BitStreamFilterContext
from av.video.codeccontext import VideoCodecContext

Packet = tuple[int, int, bool, bytes]
"""Presentation and decoding time at 90 kHz, key frame, Annex B bytes."""
Headers = list[tuple[str, dict[str, int]]]
FRAME_TICKS = 3600


def _encode(
    encoder: str, frames: int, width: int, height: int, options: dict[str, str]
) -> list[Packet]:
    profile = options.pop("profile", None)
    codec = av.CodecContext.create(encoder, "w")
    assert isinstance(codec, VideoCodecContext)
    codec.width, codec.height = width, height
    codec.pix_fmt = options.pop("pix_fmt", "yuv420p")
    codec.time_base = Fraction(1, 90_000)
    codec.framerate = Fraction(25)
    if profile:
        codec.profile = profile
    given = {name.replace("_", "-"): value for name, value in options.items()}
    if encoder == "libx265":
        params = "log-level=none:pools=1:frame-threads=1"
        given["x265-params"] = ":".join(filter(None, (params, given.get("x265-params"))))
    codec.options = {"preset": "veryfast", "threads": "1", **given}
    scene = np.random.default_rng(0).integers(0, 255, (height, width, 3), dtype=np.uint8)
    packets = []
    for number in range(frames):
        picture = np.roll(scene, number * 3, 1) if number % 7 else scene // 2
        frame = av.VideoFrame.from_ndarray(picture, format="rgb24").reformat(format=codec.pix_fmt)
        frame.pts = number * FRAME_TICKS
        packets += codec.encode(frame)
    packets += codec.encode(None)
    return [(p.pts or 0, p.dts or 0, p.is_keyframe, bytes(p)) for p in packets]


@pytest.fixture(scope="session")
def encode() -> Callable[..., list[Packet]]:
    """`encode(encoder=, frames=, width=, height=, **options)`; what was asked is remembered."""
    done: dict[str, list[Packet]] = {}

    def run(
        encoder: str = "libx264",
        frames: int = 24,
        width: int = 322,
        height: int = 182,
        **options: str,
    ) -> list[Packet]:
        key = repr((encoder, frames, width, height, sorted(options.items())))
        if key not in done:
            done[key] = _encode(encoder, frames, width, height, dict(options))
        return done[key]

    return run


_FIELD = re.compile(r"\d+ +([a-z_A-Z0-9]+)(?:\[\d+\])* +[01]+ = (-?\d+)")


@pytest.fixture(scope="session")
def trace() -> Callable[..., Headers]:
    """`trace(annex_b, form="h264")`: name and fields of every header, read by FFmpeg."""

    def run(data: bytes, form: str = "h264") -> Headers:
        before = av.logging.get_level()
        av.logging.set_level(av.logging.INFO)
        try:
            with (
                av.logging.Capture(local=True) as lines,
                av.open(io.BytesIO(data), "r", format=form) as source,
            ):
                stream = source.streams.video[0]
                reader = BitStreamFilterContext("trace_headers", stream)
                for packet in source.demux(stream):
                    reader.filter(packet)
        finally:
            av.logging.set_level(before)
        headers: Headers = []
        for _, name, line in lines:
            text = line.strip()
            match = _FIELD.fullmatch(text)
            if match:
                headers[-1][1].setdefault(match[1], int(match[2]))
            elif name == "trace_headers":
                headers.append((text, {}))
        return headers

    return run
