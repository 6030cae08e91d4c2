"""What analysis needs of others; a role's wiring hands it in."""

from collections.abc import AsyncGenerator, Container, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

from kilocam.analyse.lines import ReadOutcome, ReadTask
from kilocam.analyse.look import LookOutcome, LookTask
from kilocam.analyse.pictures import Footage
from kilocam.analyse.results import Box, ObjectSeen, SkippedWindow, WindowResult
from kilocam.bus import LeaseChange, Position
from kilocam.core import CameraKey, GopRef, Session, Window


class WindowSource(Protocol):
    """The queue: leased partitions and the windows offered in each, in order (over `bus`)."""

    async def next(self) -> LeaseChange:
        """What happens next to our partitions."""
        ...

    async def release(self, partition: int) -> None:
        """Give back a partition that was asked for."""
        ...

    def read(
        self, partition: int, after: Position | None
    ) -> AsyncGenerator[tuple[GopRef, Position]]:
        """Windows of a partition, endlessly; positions grow. None: from the oldest kept."""
        ...


class FootageSource(Protocol):
    """Stored footage (over `record` and `ranges`)."""

    async def read(self, key: CameraKey, from_us: int, to_us: int) -> Footage:
        """Pieces of [from, to), from the last key frame at or before `from_us`; empty: none."""
        ...


class Workers(Protocol):
    """Whoever looks (a `WorkerPool`)."""

    async def do(self, task: LookTask) -> LookOutcome:
        """Look; raises `FootageError`, `WorkerError` or `ModelError`."""
        ...


class Readers(Protocol):
    """Whoever reads (a `WorkerPool`)."""

    async def do(self, task: ReadTask) -> ReadOutcome:
        """Read; raises `FootageError`, `WorkerError` or `ModelError`."""
        ...


class ReadingSink(Protocol):
    """Whoever keeps what was read (`insight` over Postgres)."""

    async def read(self, window: Window, texts: Sequence[ObjectSeen]) -> None:
        """In one transaction replace all that was read in a window.

        Raises:
            NotYet, Refused: it is not to be kept.
        """
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Glance:
    """What a look tells those who read and listen beside it."""

    key: CameraKey
    window: Window
    gop_us: int
    """Start of the GOP that the window lies in."""
    changed: Box | None
    """Around what differs from the scene's background."""
    moving: bool
    """Something that moves was found."""
    session: Session
    """Whose tracks say what there is to be heard."""


class Companion(Protocol):
    """Follows the analyst's looks; must not wait."""

    def looked(self, glance: Glance) -> None:
        """A look was done."""
        ...

    def dropped(self, partition: int) -> None:
        """A partition is not ours any more."""
        ...


class Resume(Protocol):
    """Where to go on in a partition."""

    @property
    def position(self) -> Position | None:
        """All windows up to here are settled: looked at or skipped. None: nothing is known."""
        ...

    @property
    def windows(self) -> Container[tuple[CameraKey, int]]:
        """Camera and start of windows after `position` that are settled too."""
        ...


Noted = tuple[Sequence[WindowResult], Sequence[WindowResult]]


class WindowSink(Protocol):
    """Whoever keeps insights (`insight` over Postgres)."""

    async def resume(self, partition: int) -> Resume:
        """What is kept of a partition, for this version of the pipeline."""
        ...

    async def write(self, result: WindowResult) -> None:
        """In one transaction replace all that (camera, window start, version) contributed.

        Idempotent; counts the window as looked at, once however often it is written.

        Raises:
            NotYet: this window cannot be kept yet, others can; it is handed in again by and by.
            Refused: it can never be kept; it is handed in again as skipped, for the account.
        """
        ...

    async def note(self, results: Sequence[WindowResult]) -> Noted:
        """Count windows as looked at in which nothing was seen, many in a transaction.

        Gives back those to be written one by one (known already, or not to be kept like that), and
        those to be handed in again as they are, as theirs is away.
        """
        ...

    async def skip(self, windows: Sequence[SkippedWindow]) -> Sequence[SkippedWindow]:
        """Count windows as skipped, each once; one that was looked at stays so.

        Gives back those that cannot be kept yet. What can never be kept is the sink's to count.
        """
        ...

    async def advance(self, positions: Mapping[int, Position]) -> None:
        """In these partitions all windows up to these positions are settled."""
        ...
