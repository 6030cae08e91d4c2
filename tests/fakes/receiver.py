"""A stream's source, place and receiver in memory, to be killed anywhere."""

from collections.abc import Callable, Sequence
from typing import Self

from kilocam.streams import BEGINNING, Away, Batch, Letter, Moved, Outgoing, Place, Refused


def outgoing(number: int, camera: str = "gate") -> Outgoing:
    return Outgoing(
        tenant="default", id=f"event-{number}", camera=camera, label="person", start_us=number,
        end_us=number, best_us=number, changed=number, place=str(number), withdrawn=False,
        body={"id": f"event-{number}", "changed": number},
    )  # fmt: skip


class MemorySource:
    """Changes 1 to `many`; a place is the number of one."""

    def __init__(self, many: int) -> None:
        self.items = [outgoing(n, f"cam{n % 3}") for n in range(1, many + 1)]

    async def now_at(self) -> str:
        return str(len(self.items))

    async def read(self, after: str, limit: int) -> Batch:
        at = int(after or 0)
        items = tuple(self.items[at : at + limit])
        place = items[-1].place if items else after
        return Batch(items=items, after=place, more=len(items) == limit)


class MemoryPlaces:
    """The place; `before_move` and `after_move` may raise."""

    def __init__(self) -> None:
        self.place: Place | None = None
        self.letters: list[Letter] = []
        self.before_move: Callable[[], None] = lambda: None
        self.after_move: Callable[[], None] = lambda: None

    async def now(self) -> Place | None:
        return self.place

    async def begin(self, at: str) -> None:
        self.place = self.place or Place(at=at, delivered=0, letters=0)

    async def move(
        self, before: str, after: str, *, delivered: int = 0, refused: tuple[Letter, ...] = ()
    ) -> None:
        self.before_move()
        assert self.place is not None
        if self.place.at != before:
            raise Moved("moved")
        self.letters += refused
        self.place = Place(
            at=after,
            delivered=self.place.delivered + delivered,
            letters=self.place.letters + len(refused),
        )
        self.after_move()

    @property
    def number(self) -> int:
        """How many changes are done with."""
        return int(self.place.at or 0) if self.place and self.place.at != BEGINNING else 0


class MemoryReceiver:
    """Takes what is not poison; `acts` says how each call goes, the last one for ever.

    An act is called with what takes messages, and takes as many as it likes.
    """

    rest_s = 1.0

    def __init__(self, most: int = 8, poison: Sequence[int] = ()) -> None:
        self.most = most
        self.poison = {f"event-{n}" for n in poison}
        self.received: list[str] = []
        self.calls: list[tuple[str, ...]] = []
        self.acts: list[Callable[[Callable[[int], None], int], None]] = []

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        pass

    async def idle(self) -> None:
        pass

    async def deliver(self, items: Sequence[Outgoing], after: str) -> None:
        ids = [item.id for item in items]
        self.calls.append(tuple(ids))

        def take(many: int) -> None:
            for id_ in ids[:many]:
                if id_ in self.poison:
                    raise Refused("too long")
                self.received.append(id_)

        if self.acts:
            self.acts.pop(0)(take, len(ids))
        else:
            take(len(ids))


def away(wait_us: int = 0) -> Callable[[Callable[[int], None], int], None]:
    """It takes nothing."""

    def act(take: Callable[[int], None], many: int) -> None:
        raise Away("receiver is away", wait_us=wait_us)

    return act
