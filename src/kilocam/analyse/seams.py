"""What analysis needs of others; a role's wiring hands it in."""

from collections.abc import AsyncGenerator, Container, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from enum import Enum, auto
from typing import Protocol

from kilocam.analyse.comparer import CompareOutcome, CompareTask
from kilocam.analyse.cutter import CutOutcome, CutTask
from kilocam.analyse.difference import Grey
from kilocam.analyse.ears import Kept
from kilocam.analyse.embedding import EmbedOutcome, EmbedTask, Vector
from kilocam.analyse.lines import ReadOutcome, ReadTask
from kilocam.analyse.look import LookOutcome, LookTask
from kilocam.analyse.pictures import Footage
from kilocam.analyse.results import Box, ObjectSeen, SkippedWindow, WindowResult
from kilocam.analyse.utterances import ListenOutcome, ListenTask
from kilocam.bus import LeaseChange, Position, Unread
from kilocam.core import CameraKey, GopRef, Window
from kilocam.llm import Question


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
    ) -> AsyncGenerator[tuple[Sequence[GopRef], Position]]:
        """Windows of a partition, endlessly, some at each position.

        Positions grow. None: from the oldest kept.
        """
        ...

    async def unread(self, partition: int, after: Position | None) -> Unread | None:
        """What `read` has before it; None: nothing."""
        ...


class FootageSource(Protocol):
    """Stored footage (over `record` and `ranges`)."""

    async def read(self, key: CameraKey, from_us: int, to_us: int) -> Footage:
        """Pieces of [from, to), from the last key frame at or before `from_us`; empty: none."""
        ...


class Workers(Protocol):
    """Whoever looks (a `WorkerPool`)."""

    async def do(self, task: LookTask) -> LookOutcome:
        """Read the task's stretch of footage and look.

        Raises:
            FootageError: it is away, gone or damaged.
            WorkerError, ModelError: as of `WorkerPool`.
        """
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


class Embedders(Protocol):
    """Whoever makes vectors of pictures (a `WorkerPool`)."""

    async def do(self, task: EmbedTask) -> EmbedOutcome:
        """Embed; raises `FootageError`, `WorkerError` or `ModelError`."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Portrait:
    """How an event's object looks in the picture that shows it best so far."""

    window: Window
    """The picture lies in it."""
    event_id: str
    label: str
    at_us: int
    model: str
    vector: Vector


class LikenessSink(Protocol):
    """Whoever keeps how objects look (`insight` over Postgres)."""

    async def keep(self, portrait: Portrait) -> None:
        """Replace what is kept of the event by the same model.

        Raises:
            NotYet: nothing of the kind can be kept; it says why.
            Refused: there is no place for this one.
        """
        ...


class Comparers(Protocol):
    """Whoever shows a picture to two detectors (a `WorkerPool`)."""

    async def do(self, task: CompareTask) -> CompareOutcome:
        """Compare; raises `FootageError`, `WorkerError` or `ModelError`."""
        ...


class Listeners(Protocol):
    """Whoever listens (a `WorkerPool`)."""

    async def do(self, task: ListenTask) -> ListenOutcome:
        """Listen; raises `FootageError`, `WorkerError` or `ModelError`."""
        ...


class Cutters(Protocol):
    """Whoever cuts pictures (a `WorkerPool`)."""

    async def do(self, task: CutTask) -> CutOutcome:
        """Cut; raises `FootageError`, `WorkerError` or `ModelError`."""
        ...


class Teller(Protocol):
    """Whoever says what a picture shows (`llm`)."""

    async def ask(self, question: Question) -> str:
        """What it answers; raises `LlmError`."""
        ...


class Permit(Enum):
    """Whether a description may be asked for."""

    GIVEN = auto()
    """It is counted: ask, or give it back."""
    NEEDLESS = auto()
    """The event is gone, or described already."""
    SPENT = auto()
    """The tenant's budget of that day is."""


class DescribingSink(Protocol):
    """Whoever keeps what is said of events, and counts what tenants have spent."""

    async def may_describe(self, key: CameraKey, event_id: str, day: date, budget: int) -> Permit:
        """Count one more description of a camera's event, if it needs one and may have it.

        Raises:
            Refused: there is no place for it.
        """
        ...

    async def give_back(self, tenant: str, day: date) -> None:
        """What was given was asked of nobody."""
        ...

    async def describe(self, key: CameraKey, event_id: str, said: str, by: str) -> bool:
        """This is what a model says of a camera's event; false: it is gone or was described.

        Raises:
            Refused: there is no place for it.
        """
        ...


class HearingSink(Protocol):
    """Whoever keeps what was said, and how far each camera was listened to."""

    async def stretches(self, key: CameraKey) -> Sequence[Kept]:
        """What of a camera's sound is being listened to, in order of time.

        Raises:
            Refused: there is no place for it.
        """
        ...

    async def begin(self, key: CameraKey, at_us: int, instead_of: int | None) -> None:
        """A live stretch from here on; the one that began at `instead_of` ends here.

        What is not heard of it is caught up. Where another one is live meanwhile, nothing begins.

        Raises:
            Refused: there is no place for it.
        """
        ...

    async def heard(
        self,
        key: CameraKey,
        start_us: int,
        from_us: int,
        until_us: int,
        said: Sequence[ObjectSeen],
    ) -> bool:
        """In one transaction: this was said in the stretch that began at `start_us`.

        It is heard up to `until_us` now. False: it was heard beyond `from_us` before, and nothing
        is kept.

        Raises:
            Refused: there is no place for it.
        """
        ...

    async def silent(self, silences: Sequence[tuple[CameraKey, int, int]]) -> None:
        """Stretches (camera, start) are heard up to here, and nothing was said."""
        ...

    async def drop(self, key: CameraKey) -> None:
        """A camera's stretches that are heard to their end are done with."""
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
    grey: Grey | None
    """The window's key frame, small."""
    audible: bool
    """There is sound that can be listened to."""
    pressed: bool = False
    """Looks have too little time: whoever is less urgent holds back."""
    objects: tuple[ObjectSeen, ...] = ()
    """What this look adds to events: in the window before, if it was gone through, and in this."""


class Companion(Protocol):
    """Follows the analyst's looks; must not wait."""

    def looked(self, glance: Glance) -> None:
        """A look at something new was done; what is caught up is not told."""
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
