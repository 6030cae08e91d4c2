"""A child's log: one line an event on standard error, without secrets, never making anyone wait."""

import logging
import queue
import re
import sys
import threading
from typing import TextIO

from kilocam.core import format_time

_WAITING_LINES = 2000
_LAST_LINES_S = 2.0
_LOGIN = re.compile(r"([a-zA-Z][a-zA-Z0-9+.-]*://)[^/\s@]+@")
_SECRET = re.compile(r"(?i)\b(bearer|password|token|secret)(\s*[=:]\s*|\s+)(?=\S{8})\S+")


def redact(text: str) -> str:
    """Text without logins in URLs and without what looks like a bearer token or a password."""
    return _SECRET.sub(r"\1\2***", _LOGIN.sub(r"\1***@", text))


class LineFormatter(logging.Formatter):
    """`2026-11-23T21:40:14.000001Z WARNING recorder-0 kilocam.ingest: text`, on one line."""

    def __init__(self, process: str) -> None:
        super().__init__()
        self._process = process

    def format(self, record: logging.LogRecord) -> str:
        """One line; a traceback's lines are joined."""
        text = record.getMessage()
        if record.exc_info:
            text = f"{text}\n{self.formatException(record.exc_info)}"
        line = redact(" | ".join(part.rstrip() for part in text.splitlines() if part.strip()))
        time = format_time(int(record.created * 1e6))
        return f"{time} {record.levelname} {self._process} {record.name}: {line}"


class PatientHandler(logging.Handler):
    """Writes from a thread of its own: a reader of our log who stops reading stops nothing.

    When `_WAITING_LINES` lines wait, further ones are dropped and their number is logged later.
    """

    def __init__(self, stream: TextIO) -> None:
        super().__init__()
        self._stream = stream
        self._lines: queue.Queue[str | None] = queue.Queue(_WAITING_LINES)
        self._dropped = 0
        self._thread = threading.Thread(target=self._write, name="log", daemon=True)
        self._thread.start()

    def emit(self, record: logging.LogRecord) -> None:
        """Take a line without waiting."""
        try:
            self._lines.put_nowait(self.format(record))
        except queue.Full:
            self._dropped += 1

    def close(self) -> None:
        """Give the last lines a moment to get out."""
        try:
            self._lines.put(None, timeout=_LAST_LINES_S)
        except queue.Full:
            return
        self._thread.join(_LAST_LINES_S)
        super().close()

    def _write(self) -> None:
        while (line := self._lines.get()) is not None:
            dropped, self._dropped = self._dropped, 0
            if dropped:
                line = f"{line}\n(before this, {dropped} lines were dropped: nobody read them)"
            try:
                self._stream.write(line + "\n")
                self._stream.flush()
            except (OSError, ValueError):
                # Nobody reads our standard error any more; there is no one left to tell.
                return


def set_up_logging(process: str, level: int = logging.INFO) -> PatientHandler:
    """Send everything this process logs to standard error; returns what to close at the end."""
    handler = PatientHandler(sys.stderr)
    handler.setFormatter(LineFormatter(process))
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(level)
    return handler
