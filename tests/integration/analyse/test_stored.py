from itertools import islice
from pathlib import Path

import av
import numpy as np
import pytest
from av.packet import Packet
from av.video.codeccontext import VideoCodecContext
from tests.fakes.stored_footage import T0, Recording, encode, pictures_of, record

from kilocam.analyse.errors import FootageError
from kilocam.analyse.stored import StoredPictures

S = 1_000_000


def test_a_key_frame_is_decoded_from_the_piece_that_holds_it(busy: Recording) -> None:
    at = T0 + 4 * S
    [picture] = islice(StoredPictures()(busy.between(at, at + 600_000), at), 1)

    assert picture.at_us == at
    assert (picture.width, picture.height) == (640, 360)
    assert picture.rgb(300, 300).shape == (300, 300, 3)
    assert picture.grey(96, 54).shape == (54, 96)


def test_all_pictures_come_in_order_and_on_time(busy: Recording) -> None:
    pictures = list(StoredPictures()(busy.between(T0, T0 + 4 * S), T0))
    assert [p.at_us - T0 for p in pictures] == [n * 100_000 for n in range(40)]


def test_pictures_from_the_middle_of_a_gop_start_there(busy: Recording) -> None:
    at = T0 + 2 * S + 500_000
    pictures = StoredPictures()(busy.between(at, T0 + 4 * S), at)
    assert [p.at_us - T0 for p in islice(pictures, 3)] == [2_500_000, 2_600_000, 2_700_000]


def test_pictures_with_b_frames_come_in_the_order_shown(street: Path) -> None:
    camera = record("b", encode(list(pictures_of(street, 0, 40)), b_frames=3))
    pictures = list(StoredPictures()(camera.between(T0, T0 + 4 * S), T0))
    assert [p.at_us - T0 for p in pictures] == [n * 100_000 for n in range(40)]


def test_the_same_key_frame_is_the_same_picture_alone_and_in_a_run(busy: Recording) -> None:
    at = T0 + 4 * S
    [alone] = islice(StoredPictures()(busy.between(at, at + S), at), 1)
    run = StoredPictures()(busy.between(T0 + 2 * S, at + S), T0 + 2 * S + 1)
    inside = next(picture for picture in run if picture.at_us >= at)
    assert np.array_equal(alone.rgb(96, 54), inside.rgb(96, 54))


def test_footage_without_a_key_frame_gives_no_picture(busy: Recording) -> None:
    rest = [(s, p) for s, p in busy.between(T0, T0 + 2 * S) if not p.key_us]
    assert list(StoredPictures()(rest, T0)) == []
    assert list(StoredPictures()((), T0)) == []


def test_a_codec_that_is_not_known_gives_no_picture(street: Path) -> None:
    units = encode(list(pictures_of(street, 0, 5)))
    camera = record("other", units, codec="h266")
    assert list(StoredPictures()(camera.between(T0, T0 + S), T0)) == []


@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize("codec", ["h264", "h265"])
def test_damaged_footage_gives_fewer_pictures_and_no_other_error(
    street: Path, busy: Recording, codec: str, seed: int
) -> None:
    if codec == "h265":
        busy = record("new", encode(list(pictures_of(street, 0, 60)), codec=codec), codec=codec)
    random = np.random.default_rng(seed)
    footage = []
    for session, piece in busy.between(T0, T0 + 6 * S):
        payload = bytearray(piece.payload)
        for at in random.integers(0, len(payload), 20):
            payload[at] = random.integers(0, 256)
        footage.append((session, piece._replace(payload=bytes(payload))))
    try:
        count = len(list(StoredPictures()(footage, T0)))
    except FootageError:
        count = 0
    assert count <= 60


def test_pictures_of_h265_come_in_order_and_are_those_ffmpeg_decodes(
    street: Path,
) -> None:
    units = encode(list(pictures_of(street, 0, 60)), b_frames=2, codec="h265")
    camera = record("new", units, codec="h265")
    assert len(camera.keys_us) == 3
    source = StoredPictures()
    for at in camera.keys_us:
        [key] = islice(source(camera.between(at, at + 600_000), at), 1)
        assert (key.at_us, key.width, key.height) == (at, 640, 360)
    pictures = list(source(camera.between(T0, T0 + 6 * S), T0))
    assert [p.at_us - T0 for p in pictures] == [n * 100_000 for n in range(60)]
    for picture, sent in zip(pictures, _decoded(units), strict=True):
        assert np.array_equal(picture.rgb(640, 360), sent)


def _decoded(units: list[bytes]) -> list[np.ndarray[tuple[int, ...], np.dtype[np.uint8]]]:
    """What FFmpeg makes of the encoder's own stream."""
    decoder = av.CodecContext.create("hevc", "r")
    assert isinstance(decoder, VideoCodecContext)
    frames = [frame for unit in units for frame in decoder.decode(Packet(unit[8:]))]
    frames += decoder.decode(None)
    shown = (frame.reformat(640, 360, "rgb24", interpolation="AREA") for frame in frames)
    return [np.asarray(frame.to_ndarray(), dtype=np.uint8) for frame in shown]
