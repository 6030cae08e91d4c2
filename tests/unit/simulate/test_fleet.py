from itertools import pairwise
from pathlib import Path

import pytest

from kilocam.core import ConfigError
from kilocam.media import MediaFile, PatternSpec, StillSpec, VideoEncoding, pattern_media
from kilocam.simulate.errors import SimulateError
from kilocam.simulate.faults import Faults
from kilocam.simulate.fleet import Group, SimulatedFleet
from kilocam.simulate.serve import files_fleet

SPEC = PatternSpec(width=96, height=64, fps=5, seconds=2, bitrate_kbps=60)


@pytest.fixture(scope="module")
def footage() -> MediaFile:
    return pattern_media(SPEC)


def test_cameras_are_numbered_through_the_groups_and_share_content(footage: MediaFile) -> None:
    faults = Faults(lose=0.1)
    fleet = SimulatedFleet(
        groups=[Group(count=3, source=footage), Group(count=2, source=footage, faults=faults)]
    )
    plans = fleet.load()
    assert [plan.path for plan in plans] == [f"/cam/{n}" for n in range(5)]
    assert [plan.faults.lose for plan in plans] == [0, 0, 0, 0.1, 0.1]
    assert len({id(plan.content) for plan in plans}) == 1


def test_phases_are_spread_over_the_loop_unless_given(footage: MediaFile) -> None:
    spread = SimulatedFleet(groups=[Group(count=50, source=footage)]).load()
    phases = sorted(plan.phase_s for plan in spread)
    assert 0 <= phases[0] <= phases[-1] < 2
    assert max(b - a for a, b in pairwise(phases)) < 0.1
    given = SimulatedFleet(groups=[Group(count=3, source=footage, phase_s=0.7)]).load()
    assert {plan.phase_s for plan in given} == {0.7}


def test_sources_of_every_kind_are_loaded(tmp_path: Path) -> None:
    cache = tmp_path / "cache"
    pattern_media(SPEC, cache=cache)
    file = next(cache.iterdir())
    still = StillSpec(width=96, height=64, fps=5, seconds=1, bitrate_kbps=60)
    encoding = VideoEncoding(width=48, height=32)
    plans = SimulatedFleet(
        groups=[
            Group(source=SPEC),
            Group(source=still),
            Group(source=file),
            Group(source=file, encoding=encoding),
        ]
    ).load(cache)
    assert plans[0].content.digest != plans[1].content.digest
    assert [plan.content.pictures for plan in plans] == [10, 5, 10, 10]
    assert plans[2].content.digest != plans[3].content.digest
    assert len(list(cache.iterdir())) == 3


def test_a_fleet_without_cameras_is_refused() -> None:
    with pytest.raises(SimulateError, match="no cameras"):
        SimulatedFleet(groups=[]).load()


def test_a_file_that_is_missing_is_named(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"video file street\.mp4: cannot be read"):
        SimulatedFleet(groups=[Group(source=tmp_path / "street.mp4")]).load()


def test_files_are_taken_in_turn() -> None:
    files = [Path("a.mp4"), Path("b.mp4")]
    assert [group.source for group in files_fleet(files, 3).groups] == [
        files[0],
        files[1],
        files[0],
    ]
    (pattern,) = files_fleet([], 4).groups
    assert (pattern.count, type(pattern.source)) == (4, PatternSpec)
