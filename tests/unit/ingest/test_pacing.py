"""Backoff, limits and breakers."""

import asyncio
from random import Random

import pytest

from kilocam.core import GapCause, SystemClock
from kilocam.ingest.pacing import BASE_S, CAP_S, HANDSHAKES_PER_HOST, PROBE_US, Pacing, backoff_s


def test_backoff_grows_has_jitter_and_a_cap() -> None:
    random = Random(1)
    first = [backoff_s(0, GapCause.REFUSED, random) for _ in range(200)]
    late = [backoff_s(9, GapCause.REFUSED, random) for _ in range(200)]
    assert max(first) <= 0.5
    assert len(set(late)) > 100
    assert 0.8 * CAP_S < max(late) <= CAP_S


def test_a_camera_whose_silence_was_waited_for_is_not_waited_for_again() -> None:
    assert max(backoff_s(9, GapCause.SILENT, Random(n)) for n in range(50)) <= BASE_S


def test_a_refused_password_is_not_hammered() -> None:
    assert min(backoff_s(0, GapCause.UNAUTHORIZED, Random(n)) for n in range(50)) >= 60


def test_while_a_host_is_down_one_camera_at_a_time_probes_it() -> None:
    pacing = Pacing(SystemClock())
    assert pacing.may_try("nvr:554")
    pacing.report("nvr:554", GapCause.REFUSED)
    assert pacing.may_try("nvr:554")
    assert not pacing.may_try("nvr:554")
    assert pacing.may_try("other:554")
    pacing.report("nvr:554", GapCause.REFUSED)
    assert pacing.may_try("nvr:554")
    pacing.report("nvr:554", None)
    assert pacing.may_try("nvr:554")
    assert pacing.may_try("nvr:554")


def test_a_prober_that_never_reports_is_followed_by_another() -> None:
    class Clock(SystemClock):
        now_us = 1

        def monotonic_us(self) -> int:
            return self.now_us

    clock = Clock()
    pacing = Pacing(clock)
    pacing.report("nvr:554", GapCause.REFUSED)
    assert pacing.may_try("nvr:554")
    clock.now_us += PROBE_US - 1
    assert not pacing.may_try("nvr:554")
    clock.now_us += 1
    assert pacing.may_try("nvr:554")


def test_a_wrong_password_of_one_camera_does_not_close_its_host() -> None:
    pacing = Pacing(SystemClock())
    pacing.report("nvr:554", GapCause.UNAUTHORIZED)
    assert pacing.may_try("nvr:554")
    assert pacing.may_try("nvr:554")


@pytest.mark.asyncio
async def test_a_host_sees_at_most_fifty_handshakes_at_once() -> None:
    pacing = Pacing(SystemClock())
    running = peak = 0

    async def shake() -> None:
        nonlocal running, peak
        async with pacing.permit("nvr:554"):
            running += 1
            peak = max(peak, running)
            await asyncio.sleep(0.3)
            running -= 1

    async with asyncio.TaskGroup() as group:
        for _ in range(HANDSHAKES_PER_HOST + 30):
            group.create_task(shake())
    assert peak == HANDSHAKES_PER_HOST
