import asyncio

import pytest

from kilocam.analyse.errors import NotYet, Refused
from kilocam.analyse.patience import FAILED, TELL_EVERY, Patience

pytestmark = pytest.mark.asyncio


async def _gives(value: str) -> str:
    return value


async def _fails(error: Exception) -> None:
    raise error


async def test_what_fails_in_passing_is_counted_by_what_it_was_and_told_now_and_then(
    caplog: pytest.LogCaptureFixture,
) -> None:
    patience = Patience(1.0, (0.0,))
    for _ in range(TELL_EVERY + 1):
        assert await patience.attempt("write", _fails(ConnectionError("away"))) is FAILED
    assert await patience.attempt("read", _gives("it")) == "it"
    assert patience.troubles == {"write": TELL_EVERY + 1}
    assert len(caplog.records) == 2


async def test_after_a_success_the_next_failure_is_the_first_again(
    caplog: pytest.LogCaptureFixture,
) -> None:
    patience = Patience(1.0, (0.0,))
    for _ in range(2):
        await patience.attempt("write", _fails(ConnectionError("away")))
        await patience.attempt("write", _gives("it"))
    assert len(caplog.records) == 2


async def test_what_takes_too_long_has_failed_and_is_told_as_that(
    caplog: pytest.LogCaptureFixture,
) -> None:
    patience = Patience(0.001, (0.0,))
    never = asyncio.Event().wait()
    assert await patience.attempt("write", never) is FAILED
    assert caplog.messages == ["analysis: write failed, trying again: TimeoutError"]


@pytest.mark.parametrize("error", [NotYet("later"), Refused("never"), ValueError("a bug")])
async def test_what_is_no_passing_trouble_is_raised(error: Exception) -> None:
    patience = Patience(1.0, (0.0,))
    with pytest.raises(type(error)):
        await patience.attempt("write", _fails(error))
    assert patience.troubles == {}
