"""What asking may call: operations of the API, JSON in and JSON out, as one caller.

The gateway binds them to whoever asks, with the same rights and checks as any other way in. Here
they are only counted and told of.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from kilocam.insight.ask.values import Seen, Step, seen_of
from kilocam.insight.errors import InsightError

MOST_CALLS = 80
"""Of operations, for one question."""
PAGE = 500
_MOST_EVENTS = 5_000
_MOST_CAMERAS = 5_000

Tell = Callable[[Step], None]


class ToolRefused(InsightError):
    """An operation gave a problem; `status` is that of HTTP."""

    def __init__(self, status: int, kind: str, text: str) -> None:
        super().__init__(text)
        self.status, self.kind = status, kind


class OutOfCalls(InsightError):
    """A question needs more calls than one may have."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ToolSpec:
    """An operation as a language model is told of it."""

    name: str
    summary: str
    schema: Mapping[str, Any]
    """JSON schema of its input."""


class Tools(Protocol):
    """Operations bound to a caller."""

    @property
    def specs(self) -> Sequence[ToolSpec]:
        """Those there are; all of them only read."""
        ...

    async def call(self, name: str, given: Mapping[str, object]) -> Mapping[str, Any]:
        """The answer as its JSON object.

        Raises:
            ToolRefused: the operation, or the gateway before it, refused.
        """
        ...


class ToldTools:
    """Calls that are counted, and told of as steps."""

    def __init__(self, tools: Tools, tell: Tell, most: int = MOST_CALLS) -> None:
        self._tools = tools
        self._tell = tell
        self._left = most

    @property
    def specs(self) -> Sequence[ToolSpec]:
        """As `Tools` has them."""
        return self._tools.specs

    async def call(self, name: str, given: Mapping[str, object]) -> Mapping[str, Any]:
        """As `Tools` has it.

        Raises:
            OutOfCalls: there were enough.
        """
        if self._left <= 0:
            raise OutOfCalls("it needs more steps than one question may have")
        self._left -= 1
        given = {key: value for key, value in given.items() if value not in (None, "", ())}
        try:
            answer = await self._tools.call(name, given)
        except ToolRefused as error:
            self._tell(Step(did=name, given=given, came=f"refused: {error}"[:300]))
            raise
        self._tell(Step(did=name, given=given, came=_came(answer)))
        return answer

    async def events(self, given: Mapping[str, object]) -> tuple[list[Seen], bool]:
        """All events of `list_events`, newest first, and whether these are all."""
        found: list[Seen] = []
        cursor: object = None
        while len(found) < _MOST_EVENTS:
            page = await self.call("list_events", {**given, "limit": PAGE, "cursor": cursor})
            found += [seen_of(item) for item in page["items"]]
            cursor = page["next_cursor"]
            if cursor is None:
                return found, True
        return found, False

    async def cameras(self) -> list[Mapping[str, Any]]:
        """All cameras of `list_cameras`."""
        found: list[Mapping[str, Any]] = []
        cursor: object = None
        while len(found) < _MOST_CAMERAS:
            page = await self.call("list_cameras", {"limit": PAGE, "cursor": cursor})
            found += page["items"]
            cursor = page["next_cursor"]
            if cursor is None:
                break
        return found


def _came(answer: Mapping[str, Any]) -> str:
    """How much came; nothing of what it says."""
    if "items" in answer:
        more = ", and more" if answer.get("next_cursor") else ""
        return f"{len(answer['items'])} found{more}"
    if "coverage" in answer:
        return f"{answer['coverage']:.1%} recorded, {len(answer['gaps'])} gaps"
    if "offered" in answer:
        return f"{answer['looked']} of {answer['offered']} windows looked at"
    return "1 found"
