import math
from collections.abc import Iterable

import numpy as np
import pytest

from kilocam.analyse.gate import LEARNING, RateGate


def _hear(gate: RateGate, values: Iterable[float], *, quiet: bool = True) -> list[bool]:
    """Windows of these complexities, after each of them a look."""
    verdicts = []
    for value in values:
        verdicts.append(gate.busy(value))
        gate.asked()
        gate.answered(quiet=quiet)
    return verdicts


def _noise(level: float, spread: float, windows: int, seed: int) -> list[float]:
    values = np.random.default_rng(seed).normal(0, spread, windows)
    return [level * math.exp(value) for value in values]


def _settled(level: float, spread: float) -> RateGate:
    gate = RateGate()
    _hear(gate, _noise(level, spread, 300, seed=1))
    return gate


@pytest.mark.parametrize("level", [50.0, 4e3, 1e6])
@pytest.mark.parametrize("spread", [0.02, 0.1, 0.3])
def test_most_of_a_quiet_scene_is_quiet_whatever_its_level(level: float, spread: float) -> None:
    gate = _settled(level, spread)
    assert sum(_hear(gate, _noise(level, spread, 400, seed=2))) < 80


def test_half_as_much_again_is_busy() -> None:
    assert _settled(4e3, 0.1).busy(6e3)


def test_a_gate_that_has_learnt_nothing_lets_everything_through() -> None:
    assert all(_hear(RateGate(), [100.0] * LEARNING))


def test_what_never_varies_is_never_busy() -> None:
    assert not any(_hear(_settled(100.0, 0), [100.0] * 50))


@pytest.mark.parametrize("unknown", [0.0, -1.0, math.nan, math.inf])
def test_unknown_complexity_is_looked_at_and_teaches_nothing(unknown: float) -> None:
    gate = _settled(4e3, 0.05)
    assert all(_hear(gate, [unknown] * 1000))
    assert gate.busy(6e3)
    assert not gate.busy(3.8e3)


def test_what_is_known_to_be_restless_does_not_become_the_usual() -> None:
    gate = _settled(4e3, 0.05)
    assert all(_hear(gate, [8e3] * 1000, quiet=False))
    assert gate.busy(8e3)


def test_what_lies_between_a_look_that_saw_something_and_one_that_did_not_teaches_nothing() -> None:
    gate = _settled(4e3, 0.05)
    for _ in range(300):
        assert _hear(gate, [8e3], quiet=False) == [True]
        assert _hear(gate, [8e3], quiet=True) == [True]


def test_what_comes_while_a_look_is_under_way_is_judged_by_the_next() -> None:
    gate = _settled(4e3, 0.05)
    for _ in range(300):
        gate.asked()
        assert gate.busy(8e3)
        gate.answered(quiet=True)
        gate.asked()
        gate.answered(quiet=False)


def test_a_long_time_without_a_look_teaches_little() -> None:
    met, settled = RateGate(), _settled(4e3, 0.05)
    for gate in (met, settled):
        for _ in range(60):
            gate.busy(8e3)
        gate.asked()
        gate.answered(quiet=True)
        _hear(gate, [4e3] * 60)
        assert gate.busy(8e3)


def test_an_onset_is_judged_and_teaches_nothing() -> None:
    gate = _settled(4e3, 0.05)
    for _ in range(300):
        assert gate.stands_out(8e3)
        _hear(gate, [4e3])


def test_the_gate_follows_a_camera_that_changes_its_bit_rate() -> None:
    gate = _settled(4e3, 0.05)
    verdicts = _hear(gate, _noise(16e3, 0.05, 400, seed=3))
    assert all(verdicts[:30])
    assert sum(verdicts[-200:]) < 40


def test_a_camera_that_was_busy_when_it_was_met_is_known_quiet_within_a_minute() -> None:
    gate = RateGate()
    _hear(gate, [1e6] * 5)
    _hear(gate, _noise(4e3, 0.05, 35, seed=4))
    assert gate.busy(6e3)
    assert not gate.busy(3.8e3)


def test_a_gate_learns_nothing_from_a_camera_that_is_restless_from_the_start() -> None:
    gate = RateGate()
    assert all(_hear(gate, [8e3] * 100, quiet=False))
    _hear(gate, [4e3] * 20)
    assert gate.busy(8e3)


def test_of_a_camera_met_anew_what_stands_out_of_its_first_windows_is_remarkable() -> None:
    gate = RateGate()
    verdicts = []
    for value in _noise(4e3, 0.05, 60, seed=5):
        assert gate.busy(value)
        verdicts.append(gate.remarkable(value))
    assert sum(verdicts) < 25
    assert gate.remarkable(6e3)


def test_once_looks_have_said_what_is_quiet_that_alone_is_remarkable_which_is_busy() -> None:
    gate = RateGate()
    for value in _noise(1e6, 0.05, 60, seed=6):
        gate.busy(value)
    _hear(gate, [4e3] * 20)
    assert gate.remarkable(8e3)
    assert not gate.remarkable(4e3)


def test_a_gate_goes_on_from_what_another_had_learnt() -> None:
    before = _settled(4e3, 0.1)
    assert 0 < len(before.levels) <= 32
    after = RateGate.knowing(before.levels)
    assert not after.busy(4e3)
    assert after.busy(6e3)
    assert not after.remarkable(4e3)
    quiet = _noise(4e3, 0.1, 400, seed=2)
    assert abs(sum(_hear(after, quiet)) - sum(_hear(before, quiet))) < 20
    assert RateGate.knowing(RateGate().levels) == RateGate()
