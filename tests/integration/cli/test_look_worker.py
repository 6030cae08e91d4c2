"""A look worker that reads the log itself."""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from tests.fakes.footage import open_log
from tests.fakes.stored_footage import T0, Recording, encode, pictures_of, record

from kilocam.analyse import FootageError, LookPool, PoolOptions, cache_directory, models_directory
from kilocam.analyse.look import LookTask, Memory
from kilocam.analyse.models import DETECTOR, load_manifest
from kilocam.cli.look_worker import look_command, reading
from kilocam.core import CameraKey, Piece, Session, Window
from kilocam.ranges import RangesError
from kilocam.record import Archive

pytestmark = pytest.mark.asyncio
S = 1_000_000


@pytest.fixture(scope="module")
def street() -> Recording:
    """4 s of walkers, a key frame every 2 s."""
    file = cache_directory() / "footage" / "vtest.avi"
    return record("street", encode(list(pictures_of(file, 200, 40))))


@pytest.fixture(scope="module")
def log(street: Recording, tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("log")
    writer = open_log(path)
    writer.open_session(replace(street.session, epoch=writer.epoch))
    for piece in street.pieces:
        writer.append(piece)
    writer.close()
    return path


def _task(key: CameraKey, second: int) -> LookTask:
    start = T0 + second * S
    return LookTask(
        key=key,
        window=Window(tenant=key.tenant, camera=key.camera, start_us=start, end_us=start + 2 * S),
        before=None,
        whole=False,
        stretch=(start, start + 600_000),
        memory=Memory(),
    )


async def test_it_sees_what_one_that_is_handed_the_footage_sees_and_outlives_what_is_gone(
    street: Recording, log: Path
) -> None:
    models = models_directory()
    detector = load_manifest(DETECTOR, models).reference
    command = look_command(models, [log], log / "no-recorder", detector)
    task = _task(street.key, 2)
    assert task.stretch is not None
    handed = replace(task, stretch=None, footage=street.between(*task.stretch))
    async with LookPool(command, PoolOptions(workers=1)) as pool:
        with pytest.raises(FootageError, match="gone"):
            await pool.do(_task(street.key, 60))
        with pytest.raises(FootageError, match="gone"):
            await pool.do(_task(CameraKey("default", "yard"), 2))
        read, given = await pool.do(task), await pool.do(handed)
        assert pool.counts.started == 1
    assert read.findings.objects
    assert [each.boxes for each in read.findings.objects] == [
        each.boxes for each in given.findings.objects
    ]


class Away(Archive):
    """Whose recorder breaks off."""

    def __init__(self, error: Exception) -> None:
        super().__init__([])
        self._error = error

    def pieces(
        self, key: CameraKey, from_us: int, to_us: int, *, exact: bool = False
    ) -> Iterator[tuple[Session, Piece]]:
        del key, from_us, to_us, exact
        raise self._error


@pytest.mark.parametrize("error", [OSError("the disk is gone"), RangesError("it broke off")])
async def test_footage_that_cannot_be_read_says_why(street: Recording, error: Exception) -> None:
    look = reading(Away(error), lambda _: pytest.fail("nothing to look at"))
    with pytest.raises(FootageError, match=rf"camera default/street.*cannot be read: {error}"):
        look(_task(street.key, 2))
