"""Nobody waits for a disk that hangs."""

import threading

import pytest

from kilocam.record.hand import Hand, Hang


def test_it_gives_what_a_call_returns_or_raises() -> None:
    hand = Hand(5.0, "test")
    assert hand.do(lambda: 7) == 7
    with pytest.raises(ZeroDivisionError):
        hand.do(lambda: 1 // 0)


def test_a_call_that_hangs_is_left_and_no_other_begun_until_it_returns() -> None:
    hand, released = Hand(0.05, "test"), threading.Event()
    with pytest.raises(Hang):
        hand.do(lambda: released.wait(10))
    begun: list[int] = []
    with pytest.raises(Hang):
        hand.do(lambda: begun.append(1))
    assert hand.hangs
    released.set()
    for _ in range(200):
        if not hand.hangs:
            break
        threading.Event().wait(0.01)
    assert hand.do(lambda: 3) == 3
    assert begun == []


def test_a_time_out_of_the_disk_itself_is_no_hang() -> None:
    def timed_out() -> None:
        raise TimeoutError(110, "Connection timed out")

    with pytest.raises(TimeoutError, match="Connection timed out"):
        Hand(5.0, "test").do(timed_out)
