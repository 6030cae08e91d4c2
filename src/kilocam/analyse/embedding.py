"""What an embedding is asked for and gives: a vector of the picture of one object.

How alike two objects look is the cosine of the angle between their vectors.
"""

from dataclasses import dataclass

from kilocam.analyse.pictures import Footage
from kilocam.analyse.results import Box
from kilocam.core import CameraKey

Vector = tuple[float, ...]
"""Of length 1."""


@dataclass(frozen=True, slots=True, kw_only=True)
class EmbedTask:
    """Which part of which picture to make a vector of."""

    key: CameraKey
    at_us: int
    """When the picture was shown."""
    box: Box
    footage: Footage
    """From the picture's key frame on."""

    @property
    def what(self) -> str:
        """Camera and moment."""
        return f"embedding camera {self.key}, picture {self.at_us}"


@dataclass(frozen=True, slots=True, kw_only=True)
class TextTask:
    """Words to make a vector of, in the same space as pictures' (a joint model does)."""

    text: str

    @property
    def what(self) -> str:
        """Not the words: they are somebody's."""
        return f"embedding a text of {len(self.text)} letters"


@dataclass(frozen=True, slots=True, kw_only=True)
class EmbedOutcome:
    """The vector, who made it, and the processor time it took."""

    vector: Vector
    model: str
    """The reference of a model: only its own vectors can be compared with this one."""
    cost_us: int
