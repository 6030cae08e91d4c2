import math

import numpy as np
import pytest

from kilocam.analyse.gate import LEARNING, RateGate


def _settled(level: float, spread: float, windows: int = 300, seed: int = 1) -> RateGate:
    gate = RateGate()
    for value in np.random.default_rng(seed).normal(0, spread, windows):
        gate.busy(level * math.exp(value))
    return gate


@pytest.mark.parametrize("level", [50.0, 4e3, 1e6])
@pytest.mark.parametrize("spread", [0.02, 0.1, 0.3])
def test_most_of_a_quiet_scene_is_quiet_whatever_its_level(level: float, spread: float) -> None:
    gate = _settled(level, spread)
    values = np.random.default_rng(2).normal(0, spread, 400)
    busy = sum(gate.busy(level * math.exp(value)) for value in values)
    assert busy < 100


def test_half_as_much_again_is_busy() -> None:
    assert _settled(4e3, 0.1).busy(6e3)


def test_a_gate_that_has_learnt_nothing_lets_everything_through() -> None:
    gate = RateGate()
    assert all(gate.busy(100.0) for _ in range(LEARNING))


@pytest.mark.parametrize("unknown", [0.0, -1.0, math.nan, math.inf])
def test_unknown_complexity_is_looked_at_and_teaches_nothing(unknown: float) -> None:
    gate = _settled(4e3, 0.05)
    for _ in range(1000):
        assert gate.busy(unknown)
    assert gate.busy(6e3)
    assert not gate.busy(3.8e3)


def test_what_is_known_to_be_restless_does_not_become_the_usual() -> None:
    gate = _settled(4e3, 0.05)
    assert all(gate.busy(8e3, learn=False) for _ in range(1000))


def test_the_gate_follows_a_camera_that_changes_its_bit_rate() -> None:
    gate = _settled(4e3, 0.05)
    values = np.random.default_rng(3).normal(0, 0.05, 400)
    verdicts = [gate.busy(16e3 * math.exp(value)) for value in values]
    assert all(verdicts[:30])
    assert sum(verdicts[-200:]) < 40


def test_a_camera_that_was_busy_when_it_was_met_is_known_quiet_within_a_minute() -> None:
    gate = RateGate()
    for _ in range(5):
        gate.busy(1e6)
    values = np.random.default_rng(4).normal(0, 0.05, 30)
    for value in values:
        gate.busy(4e3 * math.exp(value))
    assert gate.busy(6e3)
    assert not gate.busy(3.8e3)


def test_a_gate_learns_nothing_from_a_camera_that_is_restless_from_the_start() -> None:
    gate = RateGate()
    assert all(gate.busy(8e3, learn=False) for _ in range(100))
    for _ in range(20):
        gate.busy(4e3)
    assert gate.busy(8e3)
