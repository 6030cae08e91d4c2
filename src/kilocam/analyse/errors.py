"""Errors of analysis.

KilocamError
└── AnalyseError
    ├── ModelError          a model is missing, altered or not what its manifest says
    ├── FootageError        the footage of a window cannot be read or decoded
    ├── WorkerError         a worker process died, froze or answered nonsense
    ├── NotYet              the sink cannot keep this window yet, others it can
    └── Refused             the sink can never keep this window
"""

from kilocam.core import KilocamError

MOST_LETTERS = 300
"""Of foreign errors' texts, which may be pages."""


def in_a_line(error: BaseException) -> str:
    """A foreign error's kind and text, for one of ours that is told to a person."""
    line = " ".join(f"{type(error).__name__}: {error}".split())
    return line if len(line) <= MOST_LETTERS else line[: MOST_LETTERS - 1] + "…"


class AnalyseError(KilocamError):
    """Something about looking at footage went wrong."""


class ModelError(AnalyseError):
    """A model is missing, altered or not what its manifest says."""


class FootageError(AnalyseError):
    """The footage of a window cannot be read, or holds no picture that can be decoded."""


class WorkerError(AnalyseError):
    """A worker process died, froze or answered nonsense."""


class NotYet(AnalyseError):
    """The sink cannot keep this window yet; others it can, so nobody waits for this one."""


class Refused(AnalyseError):
    """The sink can never keep this window: trying again would not help."""
