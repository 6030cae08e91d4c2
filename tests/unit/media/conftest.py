from itertools import pairwise

import pytest
from tests.fakes.samples import Footage, audio_footage, video_footage

from kilocam.media import PatternSpec


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


@pytest.fixture(scope="session")
def sound() -> Footage:
    return audio_footage(PatternSpec(width=160, height=96, fps=10, seconds=4, sound=True))
