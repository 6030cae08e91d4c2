"""One question from beginning to end: read, looked up, perhaps given to a model, answered.

The built-in planner always goes first: what it finds is what a model's draft is held against, and
what stands where the model fails.
"""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass, replace

from kilocam.core import Clock, SystemClock
from kilocam.insight.ask.agent import CALLS, Agent, Chat
from kilocam.insight.ask.answers import MOST_CITED
from kilocam.insight.ask.coverage import coverage_text, find_coverage
from kilocam.insight.ask.draft import DraftKind, Expected, Unusable
from kilocam.insight.ask.planner import DAY_US, Planner, refusal
from kilocam.insight.ask.reading import CAN, Intent, NotUnderstood, Plan
from kilocam.insight.ask.tools import OutOfCalls, Tell, ToldTools, ToolRefused, Tools
from kilocam.insight.ask.values import Reply, Step, cite
from kilocam.insight.errors import Invalid
from kilocam.llm import LlmError

LIMIT_S = 60.0
"""For all of it."""
MODEL_S = 40.0
"""For a model's part."""
_ALIKE = frozenset(
    {Intent.COUNT, Intent.ANY, Intent.FIRST, Intent.LAST, Intent.WHEN, Intent.HOW_LONG,
     Intent.WHICH_CAMERA, Intent.FIND, Intent.COLOUR, Intent.QUOTE, Intent.SUMMARY}
)  # fmt: skip
_TOO_LONG = (
    "That took longer than a question may, so it was given up: name a camera, a class or a shorter "
    "time"
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Model:
    """A language model that answers, and what one question may cost."""

    chat: Chat
    name: str
    most_tokens: int


class Asking:
    """Answers questions; knows no caller but by the tools it is given.

    Args:
        model: who answers where its draft holds; None: the built-in planner alone.
        clock: tells what "today" is.
        limit_s, model_s: seconds for all, and for the model's part of it.
    """

    def __init__(
        self,
        model: Model | None = None,
        clock: Clock | None = None,
        *,
        limit_s: float = LIMIT_S,
        model_s: float = MODEL_S,
    ) -> None:
        self._model = model
        self._clock = clock or SystemClock()
        self._limit_s, self._model_s = limit_s, model_s

    async def ask(self, question: str, tools: Tools, tell: Tell) -> Reply:
        """The answer, or why there is none; steps are told as they happen.

        Raises:
            ToolRefused: what is asked is down, or not the caller's.
        """
        now_us = self._clock.wall_us()
        try:
            async with asyncio.timeout(self._limit_s):
                return await self._answer(question, tools, tell, now_us)
        except TimeoutError:
            return refusal(Invalid(_TOO_LONG), hint=False)
        except OutOfCalls as error:
            return refusal(Invalid(f"{error}: name a camera, a class or a shorter time"))

    async def _answer(self, question: str, tools: Tools, tell: Tell, now_us: int) -> Reply:
        planner = Planner(ToldTools(tools, tell), tell, now_us)
        plan: Plan | None = None
        try:
            plan = await planner.read(question)
            reply = await planner.answer(plan)
        except NotUnderstood as error:
            tell(Step(did="read", came="the built-in planner cannot answer this"))
            reply = refusal(error)
        except Invalid as error:
            reply = refusal(error)
        except ToolRefused as error:
            if error.status >= 500 or error.status in (401, 403, 429):
                raise
            reply = refusal(Invalid(str(error)))
        if self._model is None:
            return reply
        asked = _Asked(
            question=question, now_us=now_us, names=planner.names,
            expected=_expected(plan, reply, planner),
        )  # fmt: skip
        return await self._by_model(self._model, asked, reply, tools, tell)

    async def _by_model(
        self, model: Model, asked: "_Asked", reply: Reply, tools: Tools, tell: Tell
    ) -> Reply:
        agent = Agent(model.chat, ToldTools(tools, tell, CALLS), tell, model.most_tokens)
        try:
            async with asyncio.timeout(self._model_s):
                draft, cited = await agent.answer(
                    asked.question, asked.now_us, asked.names, asked.expected
                )
        except (Unusable, LlmError, OutOfCalls, ToolRefused, TimeoutError) as error:
            tell(Step(did="model", came=f"{_why(error)}: the built-in planner's answer stands"))
            return reply
        if draft.kind is DraftKind.CANNOT:
            return reply if not reply.refused else refusal(Invalid(f"That cannot be told. {CAN}"))
        text = draft.text
        if reply.refused:
            reply = await _covered(reply, asked, ToldTools(tools, tell))
        if draft.kind is DraftKind.NOTHING_FOUND and not _whole(reply):
            text += " Not everything was seen, see the coverage, so this is not proven."
        return replace(
            reply, answer=text, citations=cite(cited[:MOST_CITED]), refused=False, by=model.name
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class _Asked:
    """What a model is asked."""

    question: str
    now_us: int
    names: Sequence[str]
    """Of the cameras."""
    expected: Expected | None


def _expected(plan: Plan | None, reply: Reply, planner: Planner) -> Expected | None:
    """What a draft must agree with; None: the planner did not understand every word."""
    if plan is None or reply.refused or not plan.sure or plan.intent not in _ALIKE:
        return None
    return None if planner.found is None else Expected(plan=plan, found=planner.found)


async def _covered(reply: Reply, asked: _Asked, tools: ToldTools) -> Reply:
    """Where the planner did not understand the question: how the last day was covered."""
    names, now_us = asked.names, asked.now_us
    from_us = now_us - DAY_US
    found = await find_coverage(tools, names, from_us, now_us, now_us)
    text = coverage_text(found, len(names), from_us, now_us, now_us)
    return replace(reply, coverage=f"Of the last 24 hours: {text}", cameras=found)


def _whole(reply: Reply) -> bool:
    return bool(reply.cameras) and all(each.whole for each in reply.cameras)


def _why(error: Exception) -> str:
    match error:
        case LlmError():
            return f"the model gave no usable answer ({error.trouble})"
        case TimeoutError():
            return "the model took too long"
        case Unusable() | OutOfCalls():
            return f"the model's answer falls: {error}"
        case _:
            return "an operation that the model called cannot be done now"
