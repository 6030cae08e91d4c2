"""A worker process: takes tasks from standard input, looks, writes answers to standard output.

It decodes foreign footage with native code, so it may crash, hang or grow; its parent kills and
replaces it (`pool.py`). When the parent dies its input ends and so does it. It yields to recording:
its priority is low.
"""

import os
import resource
import signal
import sys
from collections.abc import Callable
from pathlib import Path
from typing import BinaryIO

from kilocam.analyse.errors import AnalyseError, FootageError
from kilocam.analyse.look import LookOutcome, LookTask
from kilocam.analyse.wire import Answer, Broken, Looked, Ready, Unreadable, encode, read_task

NICENESS = 10
ADDRESS_SPACE = 6 * 1024**3
"""What a decoder gone wild may reserve before it fails instead of the machine."""
_PAGE = resource.getpagesize()


def serve(
    make_look: Callable[[], Callable[[LookTask], LookOutcome]], tasks: BinaryIO, answers: BinaryIO
) -> None:
    """Answer tasks until there are no more; `make_look` loads what looking needs."""

    def answer(message: Answer) -> None:
        answers.write(encode(message))
        answers.flush()

    try:
        look = make_look()
    except AnalyseError as error:
        answer(Broken(text=str(error)))
        return
    answer(Ready())
    while (task := read_task(tasks)) is not None:
        try:
            answer(Looked(outcome=look(task), rss_bytes=_rss_bytes()))
        except FootageError as error:
            answer(Unreadable(text=str(error)))


def restrain() -> tuple[BinaryIO, BinaryIO]:
    """Lower this process's claims; returns its two pipes, out of reach of stray prints."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is the parent's business
    os.nice(NICENESS)
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    resource.setrlimit(resource.RLIMIT_AS, (ADDRESS_SPACE, ADDRESS_SPACE))
    tasks, answers = os.fdopen(os.dup(0), "rb"), os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)
    return tasks, answers


def _rss_bytes() -> int:
    return int(Path("/proc/self/statm").read_text().split()[1]) * _PAGE


def main() -> None:
    """`python -m kilocam.analyse.worker MODELS_DIRECTORY`."""
    tasks, answers = restrain()
    directory = Path(sys.argv[1])

    def make_look() -> Callable[[LookTask], LookOutcome]:
        from kilocam.analyse.detector import Detector
        from kilocam.analyse.look import Looker
        from kilocam.analyse.models import DETECTOR, load_model
        from kilocam.analyse.stored import StoredPictures

        return Looker(Detector(load_model(DETECTOR, directory)), StoredPictures()).look

    serve(make_look, tasks, answers)


if __name__ == "__main__":
    main()
