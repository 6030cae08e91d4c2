"""The built-in planner: reads a question, calls operations, words the answer. No model is asked.

The same question over the same events gives the same answer, and nothing that a camera read, heard
or is called decides what is looked for: events are chosen by fields, and texts are only quoted.
"""

import difflib
import re
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from kilocam.core import format_time, parse_time
from kilocam.insight.ask.answers import MOST_CITED, Found, answer_of, quoted
from kilocam.insight.ask.coverage import (
    MOST_CAMERAS,
    coverage_text,
    find_coverage,
    is_whole,
    missing,
)
from kilocam.insight.ask.reading import CAN, Intent, NotUnderstood, Plan, read_question
from kilocam.insight.ask.tools import PAGE, Tell, ToldTools, ToolRefused
from kilocam.insight.ask.values import CameraCoverage, Reply, Seen, Step, cite, seen_of
from kilocam.insight.ask.wording import clock, counted, listed
from kilocam.insight.errors import Invalid

DAY_US = 86_400_000_000
_NOT_ASKED = "Nothing was looked at."
_ALIKE = 0.6
"""Of a word that was misread by a letter or two."""
_RULE_WORDS = re.compile(
    r"zones?|lines?|rules?|cross\w*|enter\w*|exit\w*|left|leav\w*|inside|outside|loiter\w*"
)
_BY_RULE = frozenset({Intent.COUNT, Intent.ANY})


class Planner:
    """Answers one question.

    Args:
        tools: operations as the caller.
        tell: is told each step.
        now_us: when it was asked.
    """

    def __init__(self, tools: ToldTools, tell: Tell, now_us: int) -> None:
        self._tools = tools
        self._tell = tell
        self._now_us = now_us
        self._listed: list[Mapping[str, Any]] = []
        self.names: list[str] = []
        """Cameras that there are."""
        self.found: tuple[Seen, ...] | None = None
        """All events that fit the plan, newest first; None: it was not about events."""

    async def read(self, question: str) -> Plan:
        """The question's plan.

        Raises:
            NotUnderstood: it cannot be answered here.
            Invalid: its time cannot be read.
        """
        self._listed = await self._tools.cameras()
        self.names = sorted(each["id"] for each in self._listed)
        plan = read_question(question, cameras=self.names, now_us=self._now_us)
        self._tell(Step(did="read", given=_shown(plan), came=f"wanted: {plan.intent}"))
        return plan

    async def answer(self, plan: Plan) -> Reply:
        """The answer to what was read.

        Raises:
            NotUnderstood: it cannot be answered after all.
            ToolRefused: an operation cannot be done now.
        """
        match plan.intent:
            case Intent.CAMERAS:
                return await self._cameras(plan)
            case Intent.COVERAGE:
                return await self._coverage(plan)
            case Intent.EVENT | Intent.SIMILAR:
                return await self._one(plan)
            case _:
                return await self._events(plan)

    # -- events ---------------------------------------------------------------------------------

    async def _events(self, plan: Plan) -> Reply:
        plan, zone, rule = await self._ruled(plan)
        from_us, to_us = self._time(plan)
        if rule is not None:
            return await self._by_rule(plan, rule, from_us or self._now_us - DAY_US, to_us)
        events, every = await self._look(plan, zone, from_us, to_us)
        if not every and plan.intent is Intent.FIRST:
            raise NotUnderstood(
                f"there are over {len(events)} events, too many to go back to the first: "
                "name a shorter time, a camera or a class"
            )
        cameras = plan.cameras or tuple(self.names)
        checked_us = _checked(plan, events, from_us, to_us, self._now_us)
        coverage = await find_coverage(self._tools, cameras, *checked_us, self._now_us)
        found = Found(
            plan=plan,
            events=events,
            every=every,
            where=_where(plan),
            when=self._when(from_us, to_us),
            coverage=coverage,
            cameras=len(cameras) if checked_us[1] > checked_us[0] else 0,
            rule=zone,
            from_us=from_us,
            to_us=to_us,
        )
        self.found = tuple(events) if every else None
        answer, cited = answer_of(found)
        if not events and plan.text:
            near, also = await self._near(plan, from_us, to_us)
            answer, cited = f"{answer}{near}", also
        return self._reply(answer, cited, coverage, len(cameras), checked_us)

    async def _look(
        self, plan: Plan, zone: str, from_us: int | None, to_us: int
    ) -> tuple[list[Seen], bool]:
        given = {
            "camera": ",".join(plan.cameras),
            "class": ",".join(plan.kinds),
            "zone": zone,
            "text": plan.text,
            "from": format_time(from_us) if from_us is not None else None,
            "to": format_time(to_us),
        }
        if from_us is None and not plan.colours:
            page = await self._tools.call("list_events", {**given, "limit": PAGE})
            found = [seen_of(item) for item in page["items"]]
            return found, page["next_cursor"] is None
        found, every = await self._tools.events(given)
        return [each for each in found if _coloured(each, plan)], every

    async def _near(self, plan: Plan, from_us: int | None, to_us: int) -> tuple[str, list[Seen]]:
        """What is spelt nearly like the words that no event holds."""
        given = {
            "query": " ".join([*plan.words, *plan.phrases]),
            "cameras": plan.cameras,
            "classes": plan.labels,
            "from": format_time(from_us) if from_us is not None else None,
            "to": format_time(to_us),
            "limit": 3,
        }
        try:
            answer = await self._tools.call("search", given)
        except ToolRefused:
            return "", []
        told = [seen_of(item) for item in answer["items"] if item["text"]]
        near = [each for each in told if _spelt_alike(plan, each.text)]
        if not near:
            return "", []
        shown = [f"{quoted(each.text)} at {each.camera}, {clock(each.start)}" for each in near]
        return f" Spelt most like it: {'; '.join(shown)}.", near

    # -- rules ----------------------------------------------------------------------------------

    async def _ruled(self, plan: Plan) -> tuple[Plan, str, Mapping[str, Any] | None]:
        """The plan without the zone or rule that its words name, that zone, that rule."""
        if not plan.rules and not plan.words:
            return plan, "", None
        cameras = plan.cameras or tuple(self.names)
        rules = [
            {**rule, "camera": camera}
            for camera in cameras[:MOST_CAMERAS]
            for rule in await self._rules(camera)
        ]
        words = set(plan.words)
        named = [rule for rule in rules if set(_parts(rule["name"])) <= words]
        if not named and plan.rules:
            lines = [rule for rule in rules if rule["kind"] == "line"]
            crossed = any(re.fullmatch(r"lines?|cross\w*", word) for word in words)
            named = lines if crossed and len(lines) == 1 else []
            if not named:
                raise NotUnderstood(_no_rule(rules))
        if not named:
            return plan, "", None
        spoken = {part for rule in named for part in _parts(rule["name"])}
        left = tuple(w for w in plan.words if w not in spoken and not _RULE_WORDS.fullmatch(w))
        plan = replace(plan, words=left)
        rule = max(named, key=lambda each: len(each["name"]))
        if rule["kind"] == "zone":
            return plan, rule["name"], None
        if plan.intent not in _BY_RULE or len({each["camera"] for each in named}) > 1:
            raise NotUnderstood(
                f"of the rule {rule['name']!r} I only tell how often it found something, for one "
                f"camera: 'how many people crossed {rule['name']} at {rule['camera']} today?'"
            )
        return plan, "", rule

    async def _rules(self, camera: str) -> Sequence[Mapping[str, Any]]:
        try:
            rules: Sequence[Mapping[str, Any]] = (
                await self._tools.call("list_rules", {"id": camera})
            )["items"]
        except ToolRefused as error:
            if error.status != 404:
                raise
            return ()  # the camera was removed, its events are there
        return rules

    async def _by_rule(
        self, plan: Plan, rule: Mapping[str, Any], from_us: int, to_us: int
    ) -> Reply:
        camera, name = rule["camera"], rule["name"]
        given = {
            "id": camera, "rule": name, "from": format_time(from_us), "to": format_time(to_us),
        }  # fmt: skip
        if plan.words or plan.colours or plan.phrases:
            raise NotUnderstood(
                f"of the rule {name!r} I know hits by class and direction, not by "
                f"{listed([quoted(each) for each in (*plan.words, *plan.colours, *plan.phrases)])}"
            )
        counts = (await self._tools.call("count_hits", given))["items"]
        wanted = [each for each in counts if not plan.labels or each["class"] in plan.labels]
        many = sum(each["hits"] for each in wanted)
        hits = await self._tools.call("list_hits", {**given, "limit": PAGE})
        ids = dict.fromkeys(
            hit["event_id"] for hit in hits["items"]
            if hit["event_id"] and (not plan.labels or hit["class"] in plan.labels)
        )  # fmt: skip
        cited = [
            seen_of(await self._tools.call("get_event", {"id": each}))
            for each in list(ids)[:MOST_CITED]
        ]
        coverage = await find_coverage(self._tools, [camera], from_us, to_us, self._now_us)
        whole = is_whole(coverage, 1)
        by = [
            f"{each['class']} {each['direction'] or ''}".strip().replace("_", " ")
            + f": {each['hits']}"
            for each in wanted
        ]
        least = "" if whole else "At least "
        when = self._when(from_us, to_us)
        what = " or ".join(plan.kinds) or "anything"
        text = (
            f"{least}{counted(many, 'hit')} of the {rule['kind']} rule {name} at {camera} by "
            f"{what} {when}{' (' + '; '.join(by) + ')' if by else ''}."
        )
        if not whole:
            text += f" There may have been more: {missing(coverage, 1)}."
        return self._reply(text, cited, coverage, 1, (from_us, to_us))

    # -- footage, cameras, one event ------------------------------------------------------------

    async def _coverage(self, plan: Plan) -> Reply:
        from_us, to_us = self._time(plan)
        from_us = self._now_us - DAY_US if from_us is None else from_us
        cameras = plan.cameras or tuple(self.names)
        found = await find_coverage(self._tools, cameras, from_us, to_us, self._now_us)
        parts = []
        holes = [each for each in found if each.gaps or each.problem]
        if holes:
            parts.append(f"{missing(holes, len(holes))}.")
        sound = [each.camera for each in found if not each.gaps and not each.problem]
        if sound:
            parts.append(f"{listed(sound[:20])}: recorded without a gap.")
        if len(cameras) > len(found):
            parts.append(f"{counted(len(cameras) - len(found), 'more camera')} not checked.")
        if not cameras:
            parts.append("there is no camera.")
        when = f"From {clock(from_us)} to {clock(min(to_us, self._now_us))} UTC:"
        answer = " ".join([when, *parts])
        return self._reply(answer, [], found, len(cameras), (from_us, to_us))

    async def _cameras(self, plan: Plan) -> Reply:
        shown = [each for each in self._listed if not plan.cameras or each["id"] in plan.cameras]
        if "offline" in plan.words or "disconnected" in plan.words:
            shown = [each for each in shown if each["status"]["state"] != "recording"]
            what = "not recording now"
        elif plan.words and not plan.cameras:
            shown = [each for each in shown if each["status"]["state"] == "recording"]
            what = "recording now"
        else:
            what = ""
        states = [_state(each) for each in shown[:20]]
        many = "No camera" if not shown else counted(len(shown), "camera")
        rest = f"; {len(shown) - 20} more" if len(shown) > 20 else ""
        answer = " ".join(filter(None, [many, what]))
        if states:
            answer += f": {'; '.join(states)}{rest}"
        return Reply(answer=f"{answer}.", coverage="What recorders say of the cameras now.")

    async def _one(self, plan: Plan) -> Reply:
        try:
            if plan.intent is Intent.SIMILAR:
                answer = await self._tools.call(
                    "list_similar_events", {"id": plan.event, "limit": MOST_CITED}
                )
                cited = [seen_of(each) for each in answer["items"]]
                alike = [
                    f"{each.title} from {clock(each.start)} ({item['likeness']:.2f})"
                    for each, item in zip(cited, answer["items"], strict=True)
                    if not each.text
                ]
                text = "No other event's look is known."
                if alike:
                    text = f"Most alike, 1 is the same picture: {'; '.join(alike)}."
            else:
                event = seen_of(await self._tools.call("get_event", {"id": plan.event}))
                cited = [event]
                said = f" {quoted(event.text)}" if event.text else ""
                described = ""
                if event.description:
                    described = f" A model says of it: {quoted(event.description)}."
                text = (
                    f"{' '.join([*event.colours, event.label])}{said} at {event.camera}, from "
                    f"{clock(event.start)} to {clock(event.end)} UTC.{described}"
                )
        except ToolRefused as error:
            if error.status >= 500:
                raise
            raise NotUnderstood(str(error)) from None
        return Reply(
            answer=text, citations=cite(cited), coverage="Events that are kept, of any time."
        )

    # -- words ----------------------------------------------------------------------------------

    def _time(self, plan: Plan) -> tuple[int | None, int]:
        """Where to look; the last day unless the question names a time or wants the newest."""
        open_ = plan.from_us is None and plan.intent in (Intent.LAST, Intent.FIND)
        from_us = (
            None if open_ else (self._now_us - DAY_US if plan.from_us is None else plan.from_us)
        )
        return from_us, self._now_us if plan.to_us is None else plan.to_us

    def _when(self, from_us: int | None, to_us: int) -> str:
        if from_us is None:
            return f"up to {clock(to_us)} UTC"
        return f"between {clock(from_us)} and {clock(to_us)} UTC"

    def _reply(
        self, answer: str, cited: Sequence[Seen], coverage: tuple[CameraCoverage, ...],
        cameras: int, checked_us: tuple[int, int],
    ) -> Reply:  # fmt: skip
        return Reply(
            answer=answer,
            citations=cite(cited[:MOST_CITED]),
            coverage=coverage_text(coverage, cameras, *checked_us, self._now_us),
            cameras=coverage,
        )


def refusal(error: Invalid, hint: bool = True) -> Reply:
    """Why there is no answer."""
    text = str(error)
    if hint and CAN not in text:
        text = f"{text}. {CAN}"
    return Reply(answer=text, coverage=_NOT_ASKED, refused=True)


def _checked(
    plan: Plan, events: Sequence[Seen], from_us: int | None, to_us: int, now_us: int
) -> tuple[int, int]:
    """The time whose coverage bears on the answer."""
    begins_us = to_us - DAY_US if from_us is None else from_us
    to_us = min(to_us, now_us)
    if events and plan.intent is Intent.FIRST:
        return begins_us, max(begins_us + 1, min(to_us, *(each.start_us for each in events)))
    if events and plan.intent is Intent.LAST:
        last_us = max(parse_time(each.end) for each in events)
        return min(last_us, to_us - 1), to_us
    return begins_us, to_us


def _coloured(event: Seen, plan: Plan) -> bool:
    if not plan.colours:
        return True
    has = [colour in event.colours for colour in plan.colours]
    return any(has) if plan.any_colour else all(has)


def _spelt_alike(plan: Plan, text: str) -> bool:
    """Whether some word of a text is nearly one of those asked for."""
    held = text.lower().split()
    asked = [*plan.words, *(word for phrase in plan.phrases for word in phrase.split())]
    return any(difflib.get_close_matches(word, held, n=1, cutoff=_ALIKE) for word in asked)


def _where(plan: Plan) -> str:
    return f"at {listed(plan.cameras[:10])}" if plan.cameras else "at all cameras"


def _parts(name: str) -> list[str]:
    return [part for part in re.split("[-_]+", name) if part]


def _no_rule(rules: Sequence[Mapping[str, Any]]) -> str:
    shown = [f"{rule['name']} ({rule['kind']}) at {rule['camera']}" for rule in rules[:12]]
    known = f"there are {listed(shown)}" if shown else "no camera that was asked for has one"
    return (
        "only zones, lines and other rules of a camera tell where something went, and I do not "
        f"see which is meant: {known}"
    )


def _state(camera: Mapping[str, Any]) -> str:
    status = camera["status"]
    since = f" since {clock(status['since'])} UTC" if status["since"] else ""
    down = status["reason"] and status["state"] != "recording"
    reason = f", {quoted(status['reason'])}" if down else ""
    return f"{camera['id']} {status['state']}{since}{reason}"


def _shown(plan: Plan) -> dict[str, object]:
    given = {
        "intent": str(plan.intent),
        "classes": list(plan.kinds),
        "cameras": list(plan.cameras),
        "from": format_time(plan.from_us) if plan.from_us is not None else "",
        "to": format_time(plan.to_us) if plan.to_us is not None else "",
        "colours": list(plan.colours),
        "words": [*plan.words, *plan.phrases],
        "event": plan.event,
    }
    return {key: value for key, value in given.items() if value}
