"""Words as vectors, for searches of the gateway: in a worker process, if there is a joint model."""

import logging
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

from kilocam.analyse import (
    EmbedOutcome,
    ModelError,
    PoolOptions,
    TextPool,
    TextTask,
    WorkerError,
    load_manifest,
    models_directory,
    worker_command,
)

_log = logging.getLogger(__name__)
_OPTIONS = PoolOptions(workers=1, task_s=5.0)
AGAIN_S = 15.0
"""After a failure, searches go by words alone for so long."""


class Words:
    """Makes vectors of words; the worker starts with the first search, which waits for it."""

    def __init__(self, pool: TextPool, now_s: Callable[[], float] = time.monotonic) -> None:
        self.pool = pool
        self._now_s = now_s
        self._again_s = now_s()

    async def encode(self, text: str) -> EmbedOutcome | None:
        """The vector of a text; None where that cannot be done now, which is told in the log."""
        if self._now_s() < self._again_s:
            return None
        try:
            return await self.pool.do(TextTask(text=text))
        except (ModelError, WorkerError) as error:
            self._again_s = self._now_s() + AGAIN_S
            _log.warning("searches do not go by looks: %s", error)
            return None


@asynccontextmanager
async def words(reference: str) -> AsyncIterator[Words | None]:
    """For a model that knows words, its worker ended afterwards; None for one that does not."""
    if not reference or not _knows_words(reference):
        yield None
        return
    pool = TextPool(worker_command(models_directory(), "embed_text", reference), _OPTIONS)
    try:
        yield Words(pool)
    finally:
        await pool.__aexit__()


def _knows_words(reference: str) -> bool:
    try:
        vectors = load_manifest(reference, models_directory()).vectors
    except ModelError as error:
        _log.warning("searches do not go by looks: %s", error)
        return False
    return vectors is not None and bool(vectors.text)
