"""H.265 of x265: what the decoder is told, and what comes out."""

from fractions import Fraction

import av
import numpy as np
import pytest
from av.video.codeccontext import VideoCodecContext

from kilocam.bitstream import h265_kind, is_h265_key, join_avcc, split_annex_b
from kilocam.media import (
    DecodeError,
    H265Format,
    KeyFrameDecoder,
    Sample,
    decode_all,
    h265_format,
    read_frame_number,
    write_frame_number,
)

WIDTH, HEIGHT = 192, 100


def encode(params: str = "", pix_fmt: str = "yuv420p") -> tuple[list[Sample], H265Format]:
    """Forty numbered pictures, a key frame each ten."""
    encoder = av.CodecContext.create("libx265", "w")
    assert isinstance(encoder, VideoCodecContext)
    encoder.width, encoder.height, encoder.pix_fmt = WIDTH, HEIGHT, pix_fmt
    encoder.time_base, encoder.framerate = Fraction(1, 10), Fraction(10)
    fixed = "keyint=10:min-keyint=10:scenecut=0:repeat-headers=1:pools=1:log-level=none"
    encoder.options = {"preset": "veryfast", "crf": "20", "x265-params": f"{fixed}:{params}"}
    packets = []
    for number in range(40):
        picture = np.full((HEIGHT, WIDTH, 3), 40 + number, np.uint8)
        write_frame_number(picture, number)
        frame = av.VideoFrame.from_ndarray(picture, format="rgb24").reformat(format=pix_fmt)
        frame.pts = number
        packets += encoder.encode(frame)
    packets += encoder.encode(None)
    samples: list[Sample] = []
    sets: tuple[bytes, ...] = ()
    for packet in packets:
        nals = split_annex_b(bytes(packet))
        sets = sets or tuple(nal for nal in nals if h265_kind(nal) in (32, 33, 34))
        assert packet.pts is not None
        at = packet.pts
        samples.append(
            Sample(track=1, pts=at, dts=at, duration=1, key=is_h265_key(nals), data=join_avcc(nals))
        )
    form = h265_format(sets)
    assert form is not None
    return samples, form


@pytest.mark.parametrize(
    ("params", "pix_fmt"),
    [
        ("bframes=0", "yuv420p"),
        ("bframes=3:open-gop=0:slices=2", "yuv420p"),
        ("bframes=2:scaling-list=default:temporal-layers=3", "yuv420p10le"),
        ("bframes=0", "yuv444p"),
    ],
    ids=["camera", "reordered", "ten bits", "4:4:4"],
)
def test_every_picture_comes_in_order_and_each_key_frame_alone(params: str, pix_fmt: str) -> None:
    samples, form = encode(params, pix_fmt)
    pictures = [picture.rgb() for picture in decode_all(samples, (form,))]
    assert {picture.shape for picture in pictures} == {(HEIGHT, WIDTH, 3)}
    assert [read_frame_number(picture) for picture in pictures] == list(range(40))
    decoder = KeyFrameDecoder()
    keys = [decoder.decode(sample, form).rgb() for sample in samples if sample.key]
    assert [read_frame_number(picture) for picture in keys] == [0, 10, 20, 30]


def test_an_open_gop_is_entered_at_its_cra_picture() -> None:
    samples, form = encode("bframes=3:open-gop=1")
    at = [n for n, sample in enumerate(samples) if sample.key][1]
    assert samples[at + 1].pts < samples[at].pts  # leading pictures, which miss what was before
    assert read_frame_number(KeyFrameDecoder().decode(samples[at], form).rgb()) == samples[at].pts
    pictures = list(decode_all(samples[at:], (form,)))
    assert [read_frame_number(p.rgb()) for p in pictures] == list(range(samples[at].pts, 40))


def test_pixels_that_are_not_square_are_shown_as_they_should_be() -> None:
    """Quirk 34; aspect_ratio_idc 2 is 12:11."""
    samples, form = encode("bframes=0:sar=2")
    assert KeyFrameDecoder().decode(samples[0], form).display_size == (209, HEIGHT)


def test_a_broken_key_frame_does_not_spoil_the_next() -> None:
    samples, form = encode("bframes=0")
    decoder = KeyFrameDecoder()
    broken = Sample(track=1, pts=0, dts=0, duration=1, key=True, data=b"\0\0\0\4\x26\1\xff\xff")
    with pytest.raises(DecodeError, match="key frame at media time 0"):
        decoder.decode(broken, form)
    assert decoder.decode(samples[0], form).rgb().shape == (HEIGHT, WIDTH, 3)


def test_parameter_sets_that_cannot_be_read_are_no_format() -> None:
    assert h265_format(()) is None
    assert h265_format((b"\x40\1v", b"\x42\1s", b"\x44\1p")) is None
