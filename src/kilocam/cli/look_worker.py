"""The analyst's look worker with the log at hand: it reads the footage of a look itself.

A key frame that went through the analyst would be copied four times and wait for its loop twice.
"""

import sys
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

from kilocam.analyse.errors import FootageError
from kilocam.analyse.look import LookOutcome, LookTask
from kilocam.analyse.patience import PASSING
from kilocam.analyse.worker import looker, restrain, serve
from kilocam.ranges import SocketLiveView
from kilocam.record import Archive


def look_command(models: Path, log: Sequence[Path], ranges: Path, detector: str) -> tuple[str, ...]:
    """How to start one.

    Args:
        models: Folder of the models.
        log: The log's data paths.
        ranges: Socket of the recorder that writes there.
        detector: Reference of the model.
    """
    paths = map(str, (models, ranges, *log))
    return (sys.executable, "-m", "kilocam.cli.look_worker", detector, *paths)


def reading(
    archive: Archive, look: Callable[[LookTask], LookOutcome]
) -> Callable[[LookTask], LookOutcome]:
    """Look at tasks that say which stretch of footage they need."""

    def read_and_look(task: LookTask) -> LookOutcome:
        if task.stretch is None:
            return look(task)
        try:
            footage = tuple(archive.pieces(task.key, *task.stretch))
        except PASSING as error:
            raise FootageError(f"{task.what}: footage cannot be read: {error}") from error
        return look(replace(task, footage=footage))

    return read_and_look


def main() -> None:
    """`python -m kilocam.cli.look_worker DETECTOR MODELS_DIRECTORY SOCKET DATA_PATH...`."""
    detector, (models, ranges, *log) = sys.argv[1], map(Path, sys.argv[2:])
    archive = Archive(log, SocketLiveView([ranges]))
    serve(lambda: reading(archive, looker(models, detector).look), *restrain())


if __name__ == "__main__":
    main()
