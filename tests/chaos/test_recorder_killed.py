"""The recorder killed and frozen under load: at most a second is lost, and the log says why."""

import random
import signal
from pathlib import Path

import pytest
from bench.kill import FROZEN_S, LOST_S, SLACK_S, prove

from kilocam.media import PatternSpec
from kilocam.simulate import Group


def test_a_killed_and_a_frozen_recorder_leave_typed_gaps_and_whole_footage(tmp_path: Path) -> None:
    groups = [Group(count=10, source=PatternSpec(seconds=10, key_interval_s=0.5))]
    result = prove(groups, [signal.SIGKILL, signal.SIGSTOP], tmp_path, random.Random(1))
    assert result.faults == []
    assert (result.strokes, result.cameras) == (2, 10)
    assert result.records > 500


@pytest.mark.full
@pytest.mark.timeout(900)
def test_it_is_killed_and_frozen_again_and_again_under_load(tmp_path: Path) -> None:
    groups = [Group(count=300, source=PatternSpec(seconds=30))]
    strokes = [signal.SIGKILL] * 5 + [signal.SIGSTOP, signal.SIGKILL, signal.SIGSTOP]
    result = prove(groups, strokes, tmp_path, random.Random(2))
    assert result.faults == []
    assert result.worst_lost_s <= LOST_S
    assert result.worst_gap_s <= FROZEN_S
    assert result.worst_difference_s <= SLACK_S
