"""The other way's motion, and what both ways are held against, without any process."""

import numpy as np
import pytest
from bench.looking import News
from bench.nvr import FIRST, FPS, HEIGHT, WIDTH, Grey, Motion
from bench.others import few, weighed
from bench.people import Mix, told_per_minute

_SIDE = 60
"""Of a square that moves: a tenth of the picture's width."""


_NOISE = np.random.default_rng(1).normal(0, 3, (8, HEIGHT, WIDTH))


def _picture(number: int, left: int | None = None) -> Grey:
    """A grey scene under noise, with a square in it."""
    picture = 90 + _NOISE[number % len(_NOISE)]
    if left is not None:
        picture[100 : 100 + _SIDE, left : left + _SIDE] += 80
    grey: Grey = picture.astype(np.uint8)
    return grey


def _settled() -> Motion:
    """Has learnt the scene, in which something stood for a while."""
    motion = Motion()
    for n in range(FIRST * FPS):
        assert not motion.seen(_picture(n, left=300 if n < 100 else None))
    return motion


def test_noise_is_no_motion_and_what_comes_is() -> None:
    motion = _settled()
    assert not any(motion.seen(_picture(n)) for n in range(20))
    assert all(motion.seen(_picture(n, left=10 * n)) for n in range(20))


def test_what_stayed_for_a_while_leaves_no_motion_behind() -> None:
    motion = _settled()
    assert all(motion.seen(_picture(n, left=300)) for n in range(12 * FPS))
    assert not any(motion.seen(_picture(n)) for n in range(20))


def test_a_speck_is_no_motion() -> None:
    motion = _settled()
    picture = _picture(0)
    picture[100:108, 100:108] += 80
    assert not motion.seen(picture)


def test_a_mix_has_people_at_the_share_asked_for() -> None:
    mix = Mix.of(1000, 0.03)
    assert mix == Mix(appearing=30, always=15, still=955)
    numbers = mix.numbers()
    assert [n for each in numbers.values() for n in each] == list(range(1000))
    assert numbers["always"] == range(30, 45)


@pytest.mark.parametrize("cameras", [5, 15, 17, 20])
def test_few_cameras_are_of_every_kind(cameras: int) -> None:
    kinds = few(cameras).numbers()
    assert sum(map(len, kinds.values())) == cameras
    assert min(map(len, kinds.values())) >= 1


def test_costs_are_added_up_by_the_shares_of_the_mix() -> None:
    mix = Mix(appearing=30, always=15, still=955)
    found = weighed({"appearing": 4.0, "always": 7.0, "still": 1.2}, mix)
    assert found == pytest.approx((30 * 4 + 15 * 7 + 955 * 1.2) / 1000)


def test_events_a_minute_are_of_the_cameras_and_the_time_asked_for() -> None:
    at_us = [0, 10_000_000, 20_000_000, 64_000_000, 66_000_000]
    news = [News("cam4", "person", each, each) for each in at_us]
    news.append(News("cam9", "person", 30_000_000, 30_000_000))
    # What begins in the last 5 s does not count, nor does that time.
    assert told_per_minute(news, range(4, 6), (5_000_000, 70_000_000)) == 1.5
