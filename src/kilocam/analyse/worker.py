"""A worker process: takes tasks from standard input, does them, writes answers to standard output.

It decodes foreign footage with native code, so it may crash, hang or grow; its parent kills and
replaces it (`pool.py`). When the parent dies its input ends and so does it. It yields to recording:
its priority is low.
"""

import gc
import os
import resource
import signal
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO

from kilocam.analyse.errors import AnalyseError, FootageError, in_a_line
from kilocam.analyse.models import DETECTOR, LIKENESS, LISTENER, READER, SOUNDS, load_model
from kilocam.analyse.wire import Broken, Done, Outcome, Ready, Unreadable, encode, read_task

if TYPE_CHECKING:
    from kilocam.analyse.look import Looker

NICENESS = {
    "look": 5, "read": 15, "listen": 15, "compare": 15, "cut": 15, "embed": 15, "embed_text": 5
}  # fmt: skip
"""Added to the analyst's own, by what a worker does: looks come before what takes long."""
ADDRESS_SPACE = 6 * 1024**3
"""What a decoder gone wild may reserve before it fails instead of the machine."""
_PAGE = resource.getpagesize()
_STATM = "/proc/self/statm"


def serve(
    prepare: Callable[[], Callable[[Any], Outcome]], tasks: BinaryIO, answers: BinaryIO
) -> None:
    """Answer tasks until there are no more; `prepare` loads what they need.

    `Any`: pool and worker are started for the same kind of task.
    """
    # Kept open: to open it takes ten times as long as to read it, after each look.
    statm = os.open(_STATM, os.O_RDONLY)

    def rss_bytes() -> int:
        return int(os.pread(statm, 80, 0).split()[1]) * _PAGE

    def answer(message: object) -> None:
        answers.write(encode(message))
        answers.flush()

    try:
        do = prepare()
    except AnalyseError as error:
        answer(Broken(text=str(error)))
        return
    gc.collect()
    gc.freeze()  # models and libraries live as long as the worker
    answer(Ready())
    while (task := read_task(tasks)) is not None:
        try:
            answer(Done(outcome=do(task), rss_bytes=rss_bytes()))
        except FootageError as error:
            answer(Unreadable(text=str(error)))
        except Exception as error:
            answer(Broken(text=in_a_line(error)))  # else all that is known is that it died
            raise


def restrain(kind: str = "look") -> tuple[BinaryIO, BinaryIO]:
    """Lower this process's claims; returns its two pipes, out of reach of stray prints."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is the parent's business
    os.nice(NICENESS[kind])
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    resource.setrlimit(resource.RLIMIT_AS, (ADDRESS_SPACE, ADDRESS_SPACE))
    tasks, answers = os.fdopen(os.dup(0), "rb"), os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)
    return tasks, answers


def looker(models: Path, detector: str = DETECTOR) -> "Looker":
    """Whoever looks at tasks that bring their footage."""
    from kilocam.analyse.detectors import make_detector
    from kilocam.analyse.look import Looker
    from kilocam.analyse.stored import StoredPictures

    # Of 600 objects on key frames of a street the detector misses one without deblocking.
    pictures = StoredPictures(deblocking=False)
    return Looker(make_detector(load_model(detector, models)), pictures)


def _look(models: Path, *detector: str) -> Callable[[Any], object]:
    return looker(models, *detector).look


def _read(models: Path) -> Callable[[Any], object]:
    from kilocam.analyse.reader import Reader
    from kilocam.analyse.stored import StoredPictures

    return Reader(load_model(READER, models), StoredPictures()).read


def _listen(models: Path) -> Callable[[Any], object]:
    from kilocam.analyse.listener import Listener
    from kilocam.analyse.sounds import SoundClasses

    # An extra that nobody installed is no trouble; one that is broken is.
    wanted = (models / f"{SOUNDS}.json").exists()
    sounds = SoundClasses(load_model(SOUNDS, models)) if wanted else None
    return Listener(load_model(LISTENER, models), sounds).listen


def _compare(models: Path, current: str, candidate: str) -> Callable[[Any], object]:
    from kilocam.analyse.comparer import Comparer
    from kilocam.analyse.detectors import make_detector
    from kilocam.analyse.stored import StoredPictures

    one, other = (make_detector(load_model(name, models)) for name in (current, candidate))
    return Comparer(one, other, StoredPictures()).compare


def _cut(_models: Path) -> Callable[[Any], object]:
    from kilocam.analyse.cutter import Cutter
    from kilocam.analyse.stored import StoredPictures

    return Cutter(StoredPictures()).cut


def _embed(models: Path, model: str = LIKENESS) -> Callable[[Any], object]:
    from kilocam.analyse.embedder import Embedder
    from kilocam.analyse.stored import StoredPictures

    return Embedder(load_model(model, models), StoredPictures()).embed


def _embed_text(models: Path, model: str) -> Callable[[Any], object]:
    from kilocam.analyse.text_embedder import TextEmbedder

    return TextEmbedder(load_model(model, models)).embed


Prepare = Callable[..., Callable[[Any], object]]
_PREPARE: Mapping[str, Prepare] = {
    "look": _look,
    "read": _read,
    "listen": _listen,
    "compare": _compare,
    "cut": _cut,
    "embed": _embed,
    "embed_text": _embed_text,
}
"""Each imports what it alone needs; takes the folder and references of the models named."""


def main() -> None:
    """`python -m kilocam.analyse.worker KIND MODELS_DIRECTORY [MODEL...]`."""
    _, kind, directory, *names = sys.argv
    serve(lambda: _PREPARE[kind](Path(directory), *names), *restrain(kind))


if __name__ == "__main__":
    main()
