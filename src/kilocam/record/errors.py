"""What can go wrong with the log.

KilocamError
├── ConfigError             (core) a data path cannot be used: which, why, how to mend it
└── LogError                a file of the log
    └── FormatError         bytes that are no record; `file` and `offset` say where
"""

from pathlib import Path

from kilocam.core import KilocamError


class LogError(KilocamError):
    """A file of the log cannot be used."""


class FormatError(LogError):
    """Bytes that are no record of the log."""

    def __init__(self, text: str, file: Path | None = None, offset: int = 0) -> None:
        place = f"{file} at byte {offset}: " if file else ""
        super().__init__(f"{place}{text}")
        self.reason = text
        self.file = file
        self.offset = offset
