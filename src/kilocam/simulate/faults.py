"""Owns: the ways in which a simulated camera can misbehave."""

from dataclasses import dataclass
from enum import StrEnum

from kilocam.rtsp import ServerQuirk
from kilocam.simulate.errors import SimulateError


class Away(StrEnum):
    """What a camera does with clients while it is away."""

    REFUSE = "refuse"
    """Answers 503."""
    RESET = "reset"
    """Resets the connection."""
    SILENT = "silent"
    """Accepts and never answers."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Every:
    """Again and again, after a random time between `low_s` and `high_s` seconds of playing."""

    low_s: float
    high_s: float

    def __post_init__(self) -> None:
        if not 0 < self.low_s <= self.high_s:
            raise SimulateError(
                f"fault every {self.low_s} to {self.high_s} s: give two times above 0, "
                "the smaller one first"
            )


@dataclass(frozen=True, slots=True, kw_only=True)
class Faults:
    """What goes wrong with each camera of a group; by default nothing."""

    flap: Every | None = None
    """Ends all its connections."""
    away_s: float = 1.0
    """How long it stays away after a flap."""
    away: Away = Away.REFUSE
    flap_resets: bool = False
    """A flap resets connections, as a power cut would; else it closes them."""
    lose: float = 0.0
    """Share of RTP packets that are made but never sent: a gap in sequence numbers."""
    stall: Every | None = None
    """Sends nothing for `stall_s` while the connection stays open."""
    stall_s: float = 5.0
    jump: Every | None = None
    """Timestamps jump by `jump_s`, forward and back in turn."""
    jump_s: float = 10.0
    drift_ppm: float = 0.0
    """How much too fast the camera's clock runs."""
    silent: bool = False
    """Accepts connections and never answers."""
    other_password: bool = False
    """Its password is not the one the operator knows: always 401."""
    basic: bool = False
    """Asks for credentials in Basic, not in Digest."""
    quirks: frozenset[ServerQuirk] = frozenset()

    def __post_init__(self) -> None:
        if not 0 <= self.lose < 1:
            raise SimulateError(f"fault lose {self.lose}: give a share from 0 to below 1")
        if abs(self.drift_ppm) >= 100_000:
            raise SimulateError(f"fault drift_ppm {self.drift_ppm}: give less than 100000")
