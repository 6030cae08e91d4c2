"""What is asked."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Question:
    """What to ask about one picture."""

    instructions: str
    text: str
    jpeg: bytes
    most_tokens: int
    """Of the answer: what it may cost."""
