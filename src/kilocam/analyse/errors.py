"""Errors of analysis.

KilocamError
└── AnalyseError
    ├── ModelError          a model is missing, altered or not what its manifest says
    ├── FootageError        the footage of a window cannot be looked at: why, as a `SkipReason`
    └── WorkerError         a worker process died, froze or answered nonsense
"""

from kilocam.core import KilocamError


class AnalyseError(KilocamError):
    """Something about looking at footage went wrong."""


class ModelError(AnalyseError):
    """A model is missing, altered or not what its manifest says."""


class FootageError(AnalyseError):
    """The footage of a window holds no picture that can be decoded."""


class WorkerError(AnalyseError):
    """A worker process died, froze or answered nonsense."""
