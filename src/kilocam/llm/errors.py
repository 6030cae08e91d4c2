"""What may become of a question.

    KilocamError
    └── LlmError        no answer, or none that can be used; `trouble` says which

The text never holds what the endpoint said: that may be anything, our own key too.
"""

from enum import StrEnum

from kilocam.core import KilocamError


class Trouble(StrEnum):
    """Why there is no answer; shown in metrics as it stands."""

    UNREACHABLE = "unreachable"
    """No connection, so nobody was asked."""
    LATE = "late"
    CUT_OFF = "cut_off"
    """The connection ended, or what came was not HTTP."""
    BUSY = "busy"
    """Too many questions (429) or overloaded (503)."""
    REFUSED = "refused"
    """Another status of 4xx or 3xx: key, model or question are not to its liking."""
    BROKEN = "broken"
    """Another status of 5xx."""
    MALFORMED = "malformed"
    """Not JSON, or not of the shape agreed."""
    TOO_LONG = "too_long"
    EMPTY = "empty"


_NOT_ASKED = {Trouble.UNREACHABLE, Trouble.BUSY, Trouble.REFUSED, Trouble.BROKEN}


class LlmError(KilocamError):
    """No answer."""

    def __init__(self, text: str, trouble: Trouble, *, wait_us: int = 0) -> None:
        super().__init__(text)
        self.trouble = trouble
        self.wait_us = wait_us
        """The endpoint asks not to be asked for so long; 0: it says nothing of it."""

    @property
    def costs(self) -> bool:
        """Whether a model may have worked on it, so that it has to be paid for."""
        return self.trouble not in _NOT_ASKED
