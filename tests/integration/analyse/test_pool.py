"""Real worker processes that crash, freeze, hang and grow."""

import asyncio
import os
import signal
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
import uvloop
from tests.fakes.stored_footage import T0, Recording

from kilocam.analyse.errors import FootageError, ModelError, WorkerError
from kilocam.analyse.look import LookTask, Memory
from kilocam.analyse.models import models_directory
from kilocam.analyse.pool import LookPool, PoolOptions, worker_command
from kilocam.core import CameraKey, Window

FAULTY = Path(__file__).with_name("faulty_worker.py")


def _task(camera: str) -> LookTask:
    return LookTask(
        key=CameraKey("default", camera),
        window=Window(tenant="default", camera=camera, start_us=T0, end_us=T0 + 2_000_000),
        before=None,
        whole=False,
        footage=(),
        memory=Memory(),
    )


@asynccontextmanager
async def _pool(tmp_path: Path, options: PoolOptions | None = None) -> AsyncIterator[LookPool]:
    command = (sys.executable, str(FAULTY), str(tmp_path / "once"))
    async with LookPool(command, options or PoolOptions(workers=1)) as pool:
        yield pool


async def _pid(pool: LookPool, camera: str = "fine") -> int:
    return (await pool.do(_task(camera))).memory.detected_us


def _gone(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return True
    return False


def test_a_worker_that_died_while_it_had_nothing_to_do_is_replaced(tmp_path: Path) -> None:
    async def story() -> None:
        async with _pool(tmp_path) as pool:
            first = await _pid(pool)
            os.kill(first, signal.SIGKILL)
            async with asyncio.timeout(20):
                while not _gone(first):
                    await asyncio.sleep(0.01)
            await asyncio.sleep(0.1)  # its pipe is seen to be closed
            assert await _pid(pool) != first
            assert pool.counts.crashed == 1

    uvloop.run(story())  # the product's loop, which is stricter about closed pipes


@pytest.mark.asyncio
async def test_looks_are_answered_and_the_worker_is_kept_and_left_behind_by_nobody(
    tmp_path: Path,
) -> None:
    async with _pool(tmp_path) as pool:
        first = await _pid(pool)
        assert await _pid(pool) == first
        assert pool.counts.started == 1
    assert _gone(first)


@pytest.mark.asyncio
async def test_looks_run_in_as_many_processes_as_asked_for(tmp_path: Path) -> None:
    async with _pool(tmp_path, PoolOptions(workers=2)) as pool:
        pids = await asyncio.gather(*(_pid(pool) for _ in range(6)))
    assert len(set(pids)) == 2


@pytest.mark.asyncio
async def test_who_waits_for_a_worker_gets_one_in_turn(tmp_path: Path) -> None:
    looks = [0, 0, 0, 0]

    async with _pool(tmp_path) as pool:

        async def look_on(number: int) -> None:
            while sum(looks) < 80:
                await _pid(pool)
                looks[number] += 1

        await asyncio.gather(*(look_on(number) for number in range(4)))
    assert max(looks) - min(looks) <= 1


@pytest.mark.asyncio
async def test_a_look_that_crashed_its_worker_is_done_by_another(tmp_path: Path) -> None:
    async with _pool(tmp_path) as pool:
        assert await _pid(pool, "crash-once") > 0
        assert (pool.counts.crashed, pool.counts.started) == (1, 2)


@pytest.mark.asyncio
async def test_a_look_that_crashes_twice_fails_and_the_next_camera_is_looked_at(
    tmp_path: Path,
) -> None:
    async with _pool(tmp_path) as pool:
        with pytest.raises(WorkerError, match=r"worker \d+, camera default/crash, window .*died"):
            await _pid(pool, "crash")
        assert await _pid(pool) > 0
        assert pool.counts.crashed == 2


@pytest.mark.asyncio
async def test_a_worker_that_an_error_ends_tells_it_first(tmp_path: Path) -> None:
    async with _pool(tmp_path) as pool:
        with pytest.raises(
            WorkerError, match=r"default/raise, .*: IndexError: column 99999 is not there$"
        ):
            await _pid(pool, "raise")
        assert await _pid(pool) > 0
        assert pool.counts.crashed == 2


@pytest.mark.parametrize("how", ["freeze", "hang"])
@pytest.mark.asyncio
async def test_a_look_beyond_its_deadline_kills_its_worker(tmp_path: Path, how: str) -> None:
    async with _pool(tmp_path, PoolOptions(workers=1, task_s=0.2)) as pool:
        before = await _pid(pool)
        with pytest.raises(WorkerError, match=r"no answer in 0\.2 s"):
            await _pid(pool, how)
        assert _gone(before)
        assert pool.counts.overdue == 2


@pytest.mark.asyncio
async def test_footage_that_cannot_be_read_harms_no_worker(tmp_path: Path) -> None:
    async with _pool(tmp_path) as pool:
        before = await _pid(pool)
        with pytest.raises(FootageError, match="no picture"):
            await _pid(pool, "unreadable")
        assert await _pid(pool) == before


@pytest.mark.asyncio
async def test_a_worker_is_replaced_after_its_looks_and_works_on_until_then(tmp_path: Path) -> None:
    async with _pool(tmp_path, PoolOptions(workers=1, max_tasks=2)) as pool:
        first = await _pid(pool)
        pids = {first}
        while len(pids) < 3:  # each look is done at once, by whoever is there
            pids.add(await _pid(pool))
        assert _gone(first)
        assert 2 <= pool.counts.recycled <= 3
        assert pool.counts.crashed == 0


@pytest.mark.asyncio
async def test_workers_of_an_age_leave_one_after_the_other(tmp_path: Path) -> None:
    async with _pool(tmp_path, PoolOptions(workers=2, max_tasks=1)) as pool:
        before = set(await asyncio.gather(_pid(pool), _pid(pool)))
        most = 0
        async with asyncio.timeout(20):
            while not all(map(_gone, before)):
                await asyncio.gather(_pid(pool), _pid(pool))
                most = max(most, len(pool._all))
        assert most == 3  # those that work, and one successor
    assert pool.counts.crashed == 0


@pytest.mark.asyncio
async def test_a_worker_without_a_successor_stays(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    async with _pool(tmp_path, PoolOptions(workers=1, max_tasks=5)) as pool:
        first = await _pid(pool)
        pool._command = (sys.executable, str(FAULTY), "no-model")
        pool._idle[0].command = pool._command
        async with asyncio.timeout(20):
            while "none can take its place" not in caplog.text:
                assert await _pid(pool) == first
        assert await _pid(pool) == first


@pytest.mark.asyncio
async def test_a_worker_that_has_grown_too_large_is_replaced(tmp_path: Path) -> None:
    async with _pool(tmp_path, PoolOptions(workers=1, max_rss_bytes=1)) as pool:
        first = await _pid(pool)
        assert await _pid(pool) != first
        assert _gone(first)


@pytest.mark.asyncio
async def test_workers_of_before_a_renewal_finish_what_they_do_and_go(tmp_path: Path) -> None:
    async with _pool(tmp_path, PoolOptions(workers=2)) as pool:
        first = await _pid(pool)
        looks = [asyncio.create_task(_pid(pool)) for _ in range(2)]
        await asyncio.sleep(0)  # they have begun, one of them on the worker that is there
        pool.renew((sys.executable, str(FAULTY), str(tmp_path / "other")))
        before = await asyncio.gather(*looks)
        assert first in before
        after = await asyncio.gather(_pid(pool), _pid(pool))
        assert first not in after
        assert _gone(first)


@pytest.mark.asyncio
async def test_a_look_that_is_cancelled_frees_its_place(tmp_path: Path) -> None:
    async with _pool(tmp_path) as pool:
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.1):
                await _pid(pool, "hang")
        assert await _pid(pool) > 0


@pytest.mark.asyncio
async def test_a_look_whose_task_is_cancelled_leaves_no_worker_behind(tmp_path: Path) -> None:
    async with _pool(tmp_path) as pool:
        pid = await _pid(pool)
        looking = asyncio.create_task(_pid(pool, "hang"))
        await asyncio.sleep(0.1)
        looking.cancel()
        await asyncio.wait([looking])
        assert looking.cancelled()
        assert _gone(pid)


@pytest.mark.asyncio
async def test_a_missing_model_is_told_when_the_pool_starts() -> None:
    command = (sys.executable, str(FAULTY), "no-model")
    with pytest.raises(ModelError, match=r"model eye: it is not there; run tools/models\.py"):
        async with LookPool(command, PoolOptions(workers=1)):
            raise AssertionError


@pytest.mark.asyncio
async def test_a_real_worker_looks_at_a_real_street(busy: Recording) -> None:
    window = Window(tenant="default", camera="street", start_us=T0, end_us=T0 + 2_000_000)
    task = LookTask(
        key=busy.key,
        window=window,
        before=None,
        whole=True,
        footage=busy.between(T0, T0 + 2_000_000),
        memory=Memory(),
    )
    command = worker_command(models_directory())
    async with LookPool(command, PoolOptions(workers=1)) as pool:
        outcome = await pool.do(task)
    assert sum(each.label == "person" for each in outcome.findings.objects) >= 3


@pytest.mark.asyncio
async def test_a_real_worker_without_its_model_says_so(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match=r"No such file or directory; run tools/models\.py"):
        async with LookPool(worker_command(tmp_path), PoolOptions(workers=1)):
            raise AssertionError
