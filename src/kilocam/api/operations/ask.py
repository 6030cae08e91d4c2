"""Asking: an answer in words, with the footage that it cites and what is missing behind it."""

import asyncio
import json
from collections import Counter
from collections.abc import AsyncGenerator, Iterator
from contextlib import contextmanager
from dataclasses import asdict
from typing import Annotated, Any

from pydantic import Field

from kilocam.api.bound import BoundTools
from kilocam.api.catalogue import Caller, Catalogue, Model, Operation
from kilocam.api.limits import RateLimit
from kilocam.api.problems import Problem, Translator
from kilocam.fleet import Role
from kilocam.insight.ask import Asking, Reply, Step, Tell, ToolRefused

TOOLS = frozenset({
    "list_cameras", "list_events", "get_event", "search", "list_similar_events", "get_footage",
    "show_analysis", "list_rules", "count_hits", "list_hits",
})  # fmt: skip
"""What an answer may call: all of it only reads, and a viewer may call it too."""
MOST_ASKING, MOST_OF_ONE = 8, 2
"""Questions that are answered at once: of all, of one caller."""


class AskIn(Model):
    """A question in plain words."""

    question: Annotated[str, Field(min_length=1, max_length=500)]


class StepOut(Model):
    """One thing that was done for the answer."""

    did: Annotated[str, Field(description="An operation, or: read, model, check.")]
    given: dict[str, Any]
    came: Annotated[str, Field(description="What came of it, in a few words.")]


class CitationOut(Model):
    """Footage that shows what the answer says; the link needs the caller's sign-in."""

    camera: str
    start: str
    end: str
    event_id: str
    clip_url: str


class DarkOut(Model):
    """A stretch without footage, and why."""

    start: str
    end: str
    cause: str


class CoveredOut(Model):
    """How much of one camera's time the answer rests on."""

    camera: str
    start: str
    end: str
    recorded: Annotated[float | None, Field(description="Share of the time; null: see `problem`.")]
    gaps: list[DarkOut]
    looked: Annotated[int, Field(description="Windows, of the whole hours around the time.")]
    skipped: Annotated[dict[str, int], Field(description="Windows by reason, of the same hours.")]
    problem: str


class AskOut(Model):
    """The answer, the footage that shows it, and what it rests on."""

    answer: str
    citations: list[CitationOut]
    coverage: Annotated[str, Field(description="What was recorded and looked at, in words.")]
    steps: list[StepOut]
    cameras: Annotated[list[CoveredOut], Field(description="The coverage camera by camera.")]
    refused: Annotated[bool, Field(description="It says why there is no answer.")]
    answered_by: Annotated[str, Field(description="built-in, or the name of a language model.")]


class AskOperations:
    """The operation of asking.

    Args:
        asking: answers.
        catalogue: whose operations it calls.
        translator: turns errors into problems.
        limit: each call counts as one of the caller's requests.
    """

    def __init__(
        self, asking: Asking, catalogue: Catalogue, translator: Translator, limit: RateLimit
    ) -> None:
        self._asking = asking
        self._catalogue = catalogue
        self._translator = translator
        self._limit = limit
        self._now: Counter[str] = Counter()

    def enter(self, catalogue: Catalogue) -> None:
        """Put it into the catalogue."""
        catalogue.add(Operation(
            name="ask", summary="Answer a question about what was seen, with the footage cited.",
            method="POST", path="/v1/ask", needs=Role.VIEWER,
            takes=AskIn, gives=AskOut, call=self.ask, told=self.told,
        ))  # fmt: skip

    async def ask(self, caller: Caller, given: AskIn) -> AskOut:
        """The answer, with all steps."""
        steps: list[Step] = []
        with self._turn(caller):
            return _out(await self._reply(caller, given, steps.append), steps)

    async def told(self, caller: Caller, given: AskIn) -> AsyncGenerator[tuple[str, str], None]:
        """Each `step` as it happens, then the `answer`, or the `problem`; names and JSON."""
        with self._turn(caller):
            news: asyncio.Queue[Step | None] = asyncio.Queue()  # a question has few steps
            steps: list[Step] = []
            task = asyncio.create_task(self._reply(caller, given, news.put_nowait))
            task.add_done_callback(lambda _: news.put_nowait(None))
            try:
                while (step := await news.get()) is not None:
                    steps.append(step)
                    yield "step", _step(step).model_dump_json()
                yield "answer", _out(task.result(), steps).model_dump_json()
            except Exception as error:  # noqa: BLE001 - it has begun: what failed is its last event
                yield "problem", json.dumps(self._translator.problem(error).body())
            finally:
                task.cancel()
                await asyncio.wait({task})

    async def _reply(self, caller: Caller, given: AskIn, tell: Tell) -> Reply:
        tools = BoundTools(self._catalogue, TOOLS, caller, self._translator, self._limit)
        try:
            return await self._asking.ask(given.question, tools, tell)
        except ToolRefused as error:
            raise Problem(error.status, error.kind, str(error)) from error

    @contextmanager
    def _turn(self, caller: Caller) -> Iterator[None]:
        """Raise 429 where the caller, 503 where all ask as much as may be at once."""
        who = f"{caller.principal.tenant} {caller.actor}"
        if self._now[who] >= MOST_OF_ONE:
            raise Problem(
                429, "too-many-requests",
                f"{MOST_OF_ONE} of your questions are being answered; ask when one is",
                headers={"Retry-After": "1"},
            )  # fmt: skip
        if self._now.total() >= MOST_ASKING:
            raise Problem(
                503, "busy", f"{MOST_ASKING} questions are being answered; ask again soon"
            )
        self._now[who] += 1
        try:
            yield
        finally:
            self._now[who] -= 1
            if not self._now[who]:
                del self._now[who]


def _step(step: Step) -> StepOut:
    return StepOut(did=step.did, given=dict(step.given), came=step.came)


def _out(reply: Reply, steps: list[Step]) -> AskOut:
    return AskOut(
        answer=reply.answer,
        citations=[CitationOut(**asdict(each)) for each in reply.citations],
        coverage=reply.coverage,
        steps=[_step(each) for each in steps],
        cameras=[
            CoveredOut(
                camera=each.camera,
                start=each.start,
                end=each.end,
                recorded=each.recorded,
                gaps=[DarkOut(**asdict(gap)) for gap in each.gaps],
                looked=each.looked,
                skipped=dict(each.skipped),
                problem=each.problem,
            )
            for each in reply.cameras
        ],
        refused=reply.refused,
        answered_by=reply.by,
    )
