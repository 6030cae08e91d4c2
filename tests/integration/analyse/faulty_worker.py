"""A worker that misbehaves as its task's camera says; started by the tests of the pool."""

import os
import signal
import sys
import time
from collections.abc import Callable
from pathlib import Path

from kilocam.analyse.errors import FootageError, ModelError
from kilocam.analyse.look import Findings, LookOutcome, LookTask, Memory
from kilocam.analyse.worker import restrain, serve

ONCE = Path(sys.argv[1])


def look(task: LookTask) -> LookOutcome:
    print("a library that prints must not harm the pipe", flush=True)
    match task.key.camera:
        case "crash":
            os.kill(os.getpid(), signal.SIGSEGV)
        case "crash-once" if not ONCE.exists():
            ONCE.touch()
            os._exit(3)
        case "freeze":
            os.kill(os.getpid(), signal.SIGSTOP)
        case "hang":
            time.sleep(600)
        case "raise":
            raise IndexError("column 99999\nis not there")
        case "unreadable":
            raise FootageError("no picture")
    findings = Findings(window=task.window, objects=(), changed=None, stages={})
    # Who looked, where a test can see it.
    memory = Memory(detected_us=os.getpid())
    return LookOutcome(
        before=None, findings=findings, memory=memory, stages={}, changed=False, found=False
    )


def prepare() -> Callable[[LookTask], LookOutcome]:
    if ONCE.name == "no-model":
        raise ModelError("model eye: it is not there; run tools/models.py to fetch it")
    return look


if __name__ == "__main__":
    serve(prepare, *restrain())
