"""Calls to a disk that may never return, each in a thread of its own, so that nobody else waits."""

import threading
from collections.abc import Callable
from concurrent.futures import Future
from typing import Any, TypeVar

T = TypeVar("T")


class Hang(OSError):
    """The disk has not answered in time; the call goes on and its outcome is forgotten."""

    def __init__(self) -> None:
        super().__init__("it hangs")


def in_thread(work: Callable[[], T], name: str) -> "Future[T]":
    """Begin a call; a thread that hangs does not keep the process from ending."""
    future: Future[T] = Future()
    threading.Thread(target=_work, args=(future, work), name=name, daemon=True).start()
    return future


def _work(future: "Future[T]", work: Callable[[], T]) -> None:
    try:
        result = work()
    except Exception as error:  # noqa: BLE001 - it is raised where the outcome is asked for
        future.set_exception(error)
    else:
        future.set_result(result)


class Hand:
    """One call at a time, for one thread that asks; while a call hangs all others are refused."""

    def __init__(self, limit_s: float, name: str) -> None:
        self._limit_s = limit_s
        self._name = name
        self._last: Future[Any] | None = None  # Any: whatever the last call gives

    @property
    def hangs(self) -> bool:
        """The last call has not returned yet."""
        return self._last is not None and not self._last.done()

    def do(self, work: Callable[[], T]) -> T:
        """What `work` returns or raises.

        Raises:
            Hang: it takes too long, or one before it still does.
        """
        if self.hangs:
            raise Hang
        future = in_thread(work, self._name)
        self._last = future
        try:
            return future.result(self._limit_s)
        except TimeoutError:
            if future.done():
                raise  # the call's own: a network's disk has such errors
            raise Hang from None
