"""The breaker."""

import random

from kilocam.core import Breaker


class Hands:
    """A clock whose hands the test moves."""

    now_us = 0

    def wall_us(self) -> int:
        return self.now_us

    def monotonic_us(self) -> int:
        return self.now_us


def test_every_call_passes_while_the_database_answers() -> None:
    breaker = Breaker(Hands(), random.Random(1))
    assert all(breaker.admit() for _ in range(5))
    breaker.succeeded()
    assert breaker.admit()


def test_after_a_failure_one_probe_passes_at_a_time() -> None:
    hands = Hands()
    breaker = Breaker(hands, random.Random(1))
    breaker.failed()
    assert not breaker.admit()
    hands.now_us += 500_000
    assert [breaker.admit() for _ in range(5)] == [True, False, False, False, False]
    hands.now_us += 500_000
    assert breaker.admit()


def test_one_answer_closes_it() -> None:
    breaker = Breaker(Hands(), random.Random(1))
    for _ in range(100):
        breaker.failed()
    breaker.succeeded()
    assert breaker.admit()
    assert breaker.admit()


def test_the_wait_grows_to_five_seconds_and_no_further() -> None:
    hands = Hands()
    breaker = Breaker(hands, random.Random(1))
    waits = []
    for _ in range(30):
        breaker.failed()
        before = hands.now_us
        while not breaker.admit():
            hands.now_us += 10_000
        waits.append(hands.now_us - before)
    assert waits[0] <= 500_000
    assert 2_500_000 <= max(waits) <= 5_010_000


def test_who_asks_to_be_left_alone_longer_is() -> None:
    hands = Hands()
    breaker = Breaker(hands, random.Random(1))
    breaker.failed(60_000_000)
    hands.now_us += 59_999_999
    assert not breaker.admit()
    hands.now_us += 1
    assert breaker.admit()
