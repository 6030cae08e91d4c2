"""What a listening is asked for and gives: what was said, what sounded, how loud it usually is."""

from dataclasses import dataclass

from kilocam.analyse.pictures import Footage
from kilocam.core import CameraKey, Session

CODECS = frozenset({"mpeg4-generic", "pcmu", "pcma", "opus"})
"""Sound that is listened to; others are not decoded here."""


def is_audible(session: Session) -> bool:
    """Whether there is sound that is listened to."""
    return any(track.media == "audio" and track.codec in CODECS for track in session.tracks)


@dataclass(frozen=True, slots=True, kw_only=True)
class ListenTask:
    """Which stretch of a camera's sound to listen to."""

    key: CameraKey
    from_us: int
    to_us: int
    last: bool
    """Nothing comes after it: what is being said at its end is all there is."""
    floor_db: float | None
    """How loud the camera's quiet is; None: not known yet."""
    footage: Footage

    @property
    def what(self) -> str:
        """Camera and time."""
        return f"listening to camera {self.key} from {self.from_us} to {self.to_us}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Utterance:
    """Something said without a long pause."""

    from_us: int
    to_us: int
    text: str
    score: float
    """The model's own mean probability of its words, 0 to 1."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Noise:
    """A sound that is no speech."""

    from_us: int
    to_us: int
    label: str
    """What made it: "siren", "breaking glass"."""
    score: float
    """The model's own probability where it was surest, 0 to 1."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ListenOutcome:
    """What a listening gives."""

    until_us: int
    """All up to here is heard; what is still being said begins there."""
    said: tuple[Utterance, ...]
    noises: tuple[Noise, ...] = ()
    floor_db: float | None
    loud: bool
    """It was louder than quiet somewhere."""
    spent_us: dict[str, int]
    """By stage: decode, loudness, voice, speech, sounds."""
    heard_us: dict[str, int]
    """How much sound each stage was given."""

    @property
    def cost_us(self) -> int:
        """All stages together."""
        return sum(self.spent_us.values())
