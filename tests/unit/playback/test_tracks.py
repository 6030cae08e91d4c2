from dataclasses import replace

import pytest
from tests.fakes.footage import T0, FootageSpec, session_of

from kilocam.media import AudioFormat, OpusFormat
from kilocam.playback import NotPlayable
from kilocam.playback.tracks import frame_length, playable, sound_of

SESSION = session_of(
    FootageSpec(width=96, height=64, loop_s=1, key_interval_s=1, sound=True), 1, T0
)


def test_aac_goes_with_the_pictures() -> None:
    assert playable(SESSION).sound is not None
    sound = sound_of(SESSION)
    assert isinstance(sound, AudioFormat)
    assert (sound.codec, sound.sample_rate) == ("mp4a.40.2", 48_000)


def test_opus_goes_with_the_pictures_and_its_packets_tell_how_long_they_are() -> None:
    opus = replace(SESSION.tracks[1], codec="opus", clock_rate=48_000, channels=2, fmtp="")
    session = replace(SESSION, tracks=(SESSION.tracks[0], opus))
    assert playable(session).sound == opus
    assert playable(session).left_out == ()
    assert sound_of(session) == OpusFormat()
    length = frame_length(opus)
    # 20 ms, 60 ms, and what is no Opus packet.
    assert [length(data) for data in (b"\xf8a", b"\x18a", b"\xfb")] == [960, 2880, 960]


def test_g711_is_left_out_and_said_so() -> None:
    pcm = replace(SESSION.tracks[1], codec="pcmu", clock_rate=8000, fmtp="")
    found = playable(replace(SESSION, tracks=(SESSION.tracks[0], pcm)))
    assert found.sound is None
    assert found.left_out == ("track 1 (audio, pcmu) is recorded but not put into MP4 so far",)


def test_aac_without_its_configuration_is_left_out() -> None:
    bare = replace(SESSION.tracks[1], fmtp="mode=AAC-hbr")
    assert playable(replace(SESSION, tracks=(SESSION.tracks[0], bare))).sound is None


@pytest.mark.parametrize(("codec", "said"), [("h265", "h265"), ("", "an unknown codec")])
def test_other_video_cannot_be_played_and_says_so(codec: str, said: str) -> None:
    foreign = replace(SESSION, tracks=(replace(SESSION.tracks[0], codec=codec),))
    with pytest.raises(NotPlayable, match=rf"camera 'gate' sends {said}; it is recorded, but only"):
        playable(foreign)


def test_a_camera_without_video_cannot_be_played() -> None:
    with pytest.raises(NotPlayable, match="sends no video"):
        playable(replace(SESSION, tracks=SESSION.tracks[1:]))
