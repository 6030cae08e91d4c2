from itertools import pairwise

import pytest
from tests.fakes.samples import Footage, audio_footage, video_footage
from tests.fakes.sounds import encode_sound, tone

from kilocam.media import MediaTrack, OpusFormat, PatternSpec, Sample


@pytest.fixture(scope="session")
def plain() -> Footage:
    return video_footage(PatternSpec(width=160, height=96, fps=10, seconds=4, key_interval_s=1))


@pytest.fixture(scope="session")
def reordered() -> Footage:
    spec = PatternSpec(width=160, height=96, fps=10, seconds=4, key_interval_s=1, b_frames=2)
    footage = video_footage(spec)
    assert any(later.pts < sooner.pts for sooner, later in pairwise(footage.samples))
    return footage


@pytest.fixture(scope="session")
def larger() -> Footage:
    return video_footage(PatternSpec(width=320, height=180, fps=10, seconds=2, key_interval_s=1))


@pytest.fixture(scope="session", params=["aac", "opus"])
def sound(request: pytest.FixtureRequest) -> Footage:
    """Four seconds of 48 kHz."""
    if request.param == "opus":
        encoded = encode_sound(tone(4, 500, 48_000), "opus", 48_000)
        track = MediaTrack(id=2, timescale=48_000, formats=(OpusFormat(),))
        samples = (
            Sample(track=2, pts=n * 960, dts=n * 960, duration=960, key=True, data=data)
            for n, (_, data) in enumerate(encoded.frames)
        )
        return Footage(track=track, samples=tuple(samples))
    return audio_footage(PatternSpec(width=160, height=96, fps=10, seconds=4, sound=True))
