import io
from dataclasses import replace

import av
import numpy as np
import pytest
from tests.fakes.samples import Footage

from kilocam.media import (
    DecodeError,
    KeyFrameDecoder,
    VideoFormat,
    decode_all,
    decode_until,
    encode_jpeg,
    read_frame_number,
)


def read_jpeg(data: bytes) -> np.ndarray[tuple[int, ...], np.dtype[np.uint8]]:
    with av.open(io.BytesIO(data), "r", format="mjpeg") as container:
        frame = next(container.decode(video=0))
        return np.asarray(frame.to_ndarray(format="rgb24"), dtype=np.uint8)


def test_a_kept_decoder_gives_each_key_frame(plain: Footage, larger: Footage) -> None:
    decoder = KeyFrameDecoder()
    for footage, numbers in ((plain, [0, 10, 20, 30]), (larger, [0, 10]), (plain, [0, 10, 20, 30])):
        keys = [s for s in footage.samples if s.key]
        pictures = [decoder.decode(s, footage.format).rgb() for s in keys]
        assert [read_frame_number(p) for p in pictures] == numbers


def test_without_deblocking_a_picture_is_another_and_nearly_the_same(plain: Footage) -> None:
    first = plain.samples[0]
    smooth = KeyFrameDecoder().decode(first, plain.format).rgb().astype(int)
    blocky = KeyFrameDecoder(deblocking=False).decode(first, plain.format).rgb().astype(int)
    assert 0 < np.abs(smooth - blocky).mean() < 4


def test_decoders_are_kept_for_a_few_formats(plain: Footage, larger: Footage) -> None:
    decoder = KeyFrameDecoder()
    many = [replace(plain.format, sar=(n, n)) for n in range(1, 9)]
    for form in (*many, larger.format, *many):
        footage = larger if form is larger.format else plain
        assert read_frame_number(decoder.decode(footage.samples[0], form).rgb()) == 0
    assert len(decoder._contexts) == 4


def test_a_broken_key_frame_does_not_spoil_the_next(plain: Footage) -> None:
    decoder = KeyFrameDecoder()
    broken = replace(plain.samples[0], data=b"\x00\x00\x00\x04\x65\xff\xff\xff")
    with pytest.raises(DecodeError, match="key frame at media time 0"):
        decoder.decode(broken, plain.format)
    assert decoder.decode(plain.samples[0], plain.format).rgb().shape == (96, 160, 3)


@pytest.mark.parametrize("kind", ["plain", "reordered"])
def test_the_picture_shown_at_a_moment_is_exact(kind: str, request: pytest.FixtureRequest) -> None:
    footage: Footage = request.getfixturevalue(kind)
    first = min(s.pts for s in footage.samples)
    for number in (0, 1, 7, 11, 23, 39):
        for within in (0, 1, 8_999):
            picture = decode_until(
                footage.samples, (footage.format,), first + 9_000 * number + within
            )
            assert read_frame_number(picture.rgb()) == number


def test_a_moment_before_the_first_picture_is_an_error(plain: Footage) -> None:
    with pytest.raises(DecodeError, match="no picture up to media time -1"):
        decode_until(plain.samples, (plain.format,), -1)


def test_decoding_goes_on_behind_a_broken_sample(plain: Footage) -> None:
    samples = [
        replace(s, data=b"\x00\x00\x00\x02\x41\x00") if n == 15 else s
        for n, s in enumerate(plain.samples)
    ]
    numbers = [read_frame_number(p.rgb()) for p in decode_all(samples, (plain.format,))]
    assert numbers[:15] == list(range(15))
    assert numbers[-20:] == list(range(20, 40))


def test_pictures_come_in_the_size_asked_for(plain: Footage) -> None:
    picture = KeyFrameDecoder().decode(plain.samples[0], plain.format)
    assert picture.rgb(300, 300).shape == (300, 300, 3)
    assert picture.grey(64, 36).shape == (36, 64)


def test_a_jpeg_has_the_display_aspect(plain: Footage) -> None:
    wide = VideoFormat(config=plain.format.config, width=160, height=96, sar=(2, 1))
    picture = KeyFrameDecoder().decode(plain.samples[0], wide)

    assert picture.display_size == (320, 96)
    jpeg = read_jpeg(picture.jpeg())
    assert jpeg.shape == (96, 320, 3)
    assert read_frame_number(jpeg) == 0
    assert read_jpeg(picture.jpeg(max_width=160)).shape == (48, 160, 3)


def test_quality_changes_the_size_of_a_jpeg(plain: Footage) -> None:
    picture = KeyFrameDecoder().decode(plain.samples[0], plain.format)
    assert len(picture.jpeg(quality=30)) < len(picture.jpeg(quality=95))


def test_colours_survive_a_jpeg() -> None:
    rgb = np.zeros((32, 48, 3), np.uint8)
    rgb[:, :24] = (200, 40, 40)
    rgb[:, 24:] = 255
    back = read_jpeg(encode_jpeg(rgb, quality=95))
    assert abs(back[16, 8].astype(int) - (200, 40, 40)).max() < 12
    assert back[16, 40].min() > 247
