"""Questions over HTTP: answered with citations and coverage, refused, told step by step."""

import asyncio
import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
import pytest_asyncio
from click.testing import CliRunner
from tests.fakes.asked_house import NOW, YARD, AskedHouse, asked_house, store_two_minutes
from tests.fakes.clock import FakeClock
from tests.fakes.postgres import PostgresServer
from tests.integration.api.test_events import served
from tests.integration.insight.made import T0, S, skipped
from tests.integration.insight.test_hits import LINE

from kilocam.analyse import SkipReason
from kilocam.api.operations.ask import MOST_OF_ONE, TOOLS
from kilocam.cli.commands.ask import ask
from kilocam.core import format_time, parse_time
from kilocam.fleet import Role
from kilocam.insight.ask import Asking, Reply, Tell, Tools

pytestmark = pytest.mark.asyncio
MINUTES = "in the last 2 minutes"
DARK = (
    f"gate was dark {format_time(T0 + 40 * S)[:19].replace('T', ' ')} to "
    f"{format_time(T0 + 60 * S)[:19].replace('T', ' ')} (timed_out)"
)


@pytest.fixture(scope="module")
def footage(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return store_two_minutes(tmp_path_factory.mktemp("log"))


@pytest_asyncio.fixture
async def house(
    postgres: PostgresServer, tmp_path: Path, footage: Path
) -> AsyncIterator[AskedHouse]:
    async with asked_house(postgres, tmp_path, footage) as made:
        await made.fill()
        yield made


def cited(answer: dict[str, Any]) -> list[tuple[str, int]]:
    """Camera and second of what is cited."""
    return [(c["camera"], (parse_time(c["start"]) - T0) // S) for c in answer["citations"]]


async def test_an_answer_has_the_shape_of_the_contract(house: AskedHouse) -> None:
    answer = await house.ask(f"how many people were at the gate {MINUTES}?")
    async with house.client() as client:
        [_, blue] = answer["citations"][::-1]
        event = (await client.get(f"/v1/events/{blue['event_id']}")).json()
    assert {key: event[key] for key in ("camera", "start", "end", "clip_url")} == {
        key: blue[key] for key in ("camera", "start", "end", "clip_url")
    }
    assert set(answer) == {
        "answer", "citations", "coverage", "steps", "cameras", "refused", "answered_by",
    }  # fmt: skip
    assert (answer["refused"], answer["answered_by"]) == (False, "built-in")
    assert {step["did"] for step in answer["steps"]} == {
        "read", "list_cameras", "show_analysis", "list_events", "get_footage",
    }  # fmt: skip


@pytest.mark.parametrize(
    ("question", "said", "cites"),
    [
        ("how many people were at the gate {m}?", "At least 2 person events at gate",
         [("gate", 20), ("gate", 0)]),
        ("how many people were in the yard {m}?", "1 person event at yard", [("yard", 10)]),
        ("how many red cars {m}", "At least 1 red car event at all cameras", [("gate", 30)]),
        ("how many vehicles {m}", "At least 2 vehicle events", [("gate", 70), ("gate", 30)]),
        ("how many blue or red people {m}", "At least 2 blue or red person events",
         [("gate", 20), ("gate", 0)]),
        ("find dogs {m}", "1 dog event at all cameras", [("yard", 80)]),
        ("was there a dog in the yard {m}?", "Yes: 1 dog event at yard", [("yard", 80)]),
        ("was there a dog at the gate {m}?", f"but {DARK}, so this is not proven", []),
        ("was there a bus in the yard {m}?", "No bus event was found at yard", []),
        ("did anyone say fire {m}?", "Yes: 1 speech event that hold", [("yard", 16)]),
        ("what was said {m}?", '"there is a fire"', [("yard", 16)]),
        ("what does the sign say {m}?", '"ABC 123"', [("yard", 24)]),
        ('was "ABC 123" seen {m}?', 'Yes: 1 event that hold "abc 123"', [("yard", 24)]),
        ('was "ABC 128" seen {m}?', 'Spelt most like it: "ABC 123" at yard', [("yard", 24)]),
        ("when was the first person {m}?", "The first person event", [("gate", 0)]),
        ("when was the last person seen?", "The last person event at all cameras up to",
         [("gate", 20)]),
        ("when was a car at the gate {m}?", "2 car events at gate", [("gate", 70), ("gate", 30)]),
        ("how long was the dog there {m}?", "1 s: brown dog at yard", [("yard", 80)]),
        ("how long were people at the gate {m}?", "4 s altogether", [("gate", 0), ("gate", 20)]),
        ("which camera saw a person {m}?", "gate (2 events) and yard (1 event)",
         [("gate", 20), ("yard", 10)]),
        ("what colour was the dog {m}?", "brown (1): 1 dog event", [("yard", 80)]),
        ("what happened in the yard {m}?", "4 events at yard",
         [("yard", 80), ("yard", 24), ("yard", 16), ("yard", 10)]),
        ("was there a man with a dog {m}?", "dog: 1 event; person: 3 events", None),
        ("how many people with umbrellas {m}", '"umbrellas" is no class, colour or camera', []),
        ("was there magenta {m}?", '"magenta" is no class, colour or camera', []),
        ("when was the gate dark {m}?", DARK, []),
        ("which camera was dark {m}?", "yard: recorded without a gap", []),
        ("which cameras are there?", "2 cameras: gate unknown", []),
        ("is camera gate recording?", "1 camera: gate unknown", []),
        ("which cameras are offline?", "2 cameras not recording now", []),
    ],
)  # fmt: skip
async def test_questions_are_answered_with_the_footage_that_shows_it(
    house: AskedHouse, question: str, said: str, cites: list[tuple[str, int]] | None
) -> None:
    answer = await house.ask(question.format(m=MINUTES))
    assert said in answer["answer"]
    assert not answer["refused"]
    if cites is not None:
        assert cited(answer) == cites
    assert answer["coverage"]


@pytest.mark.parametrize(
    ("question", "said"),
    [
        ("who was at the gate?", "I do not know who somebody is"),
        ("delete the footage", "I only look"),
        ("what is the meaning of life?", "I do not understand what is asked"),
        ("how many people at 10:30?", "cannot read the time '10:30'"),
        ("how many people at camera garage?", "no camera 'garage'"),
        ("how many people crossed the line?", "no camera that was asked for has one"),
        ("what is event 0123abcd-0123-4567-89ab-0123456789ab", "does not exist"),
    ],
)
async def test_what_cannot_be_answered_is_refused_and_not_made_up(
    house: AskedHouse, question: str, said: str
) -> None:
    answer = await house.ask(question)
    assert said in answer["answer"]
    assert "I count what was seen" in answer["answer"]
    assert answer["refused"]
    assert answer["citations"] == []


async def test_coverage_is_told_camera_by_camera(house: AskedHouse) -> None:
    answer = await house.ask(f"was there a bus {MINUTES}?")
    gate, yard = answer["cameras"]
    assert (gate["camera"], yard["camera"]) == ("gate", "yard")
    assert gate["gaps"] == [
        {"start": format_time(T0 + 40 * S), "end": format_time(T0 + 60 * S), "cause": "timed_out"}
    ]
    assert yard["gaps"] == []
    assert gate["skipped"] == {"quiet": 1, "overload": 1}
    assert gate["looked"] == 5
    assert f"dark {DARK.removeprefix('gate was dark ')}" in answer["coverage"]
    assert "not looked at: overload 1" in answer["coverage"]
    assert "yard: 100.0 % recorded" in answer["coverage"]
    assert "Of the last minutes not everything may have been looked at yet." in answer["coverage"]


async def test_a_camera_with_nothing_missing_makes_a_no_that_is_not_qualified(
    house: AskedHouse,
) -> None:
    answer = await house.ask(f"was there a bus in the yard {MINUTES}?")
    assert "not proven" not in answer["answer"]
    counted = await house.ask(f"how many dogs were in the yard {MINUTES}?")
    assert counted["answer"].startswith("1 dog event at yard")


async def test_a_window_that_was_not_looked_at_makes_a_no_unproven(house: AskedHouse) -> None:
    await house.windows.skip([skipped(3, SkipReason.OVERLOAD, key=YARD)])
    answer = await house.ask(f"was there a bus in the yard {MINUTES}?")
    missing = "but 1 window of yard was not looked at, so this is not proven"
    assert missing in answer["answer"]


async def test_a_rule_counts_who_crossed(house: AskedHouse) -> None:
    async with house.client(role=Role.OPERATOR) as client:
        put = await client.put("/v1/cameras/gate/rules/door", json=LINE)
    assert put.status_code == 200
    answer = await house.ask(f"how many people crossed the door line at the gate {MINUTES}?")
    assert "0 hits of the line rule door at gate by person" in answer["answer"]
    assert [s["did"] for s in answer["steps"] if s["did"] == "count_hits"] == ["count_hits"]


async def test_tenants_ask_about_their_own(house: AskedHouse) -> None:
    theirs = await house.ask(f"how many people {MINUTES}?", tenant="other")
    assert cited(theirs) == [("vault", 8)]
    ours = await house.ask(f"how many people {MINUTES}?")
    assert {camera for camera, _ in cited(ours)} == {"gate", "yard"}
    named = await house.ask("when was camera vault dark?")
    assert "no camera 'vault'" in named["answer"]


async def test_steps_are_told_as_they_happen_and_the_answer_last(house: AskedHouse) -> None:
    body = {"question": f"how many dogs {MINUTES}?"}
    async with house.client() as client:
        told = await client.post("/v1/ask", json=body, headers={"Accept": "text/event-stream"})
        plain = (await client.post("/v1/ask", json=body)).json()
    assert told.headers["content-type"].startswith("text/event-stream")
    events = [_event(block) for block in told.text.strip().split("\n\n")]
    assert [name for name, _ in events] == ["step"] * (len(events) - 1) + ["answer"]
    assert [data for name, data in events if name == "step"] == plain["steps"]
    assert events[-1][1] == plain


def _event(block: str) -> tuple[str, Any]:
    name, data = block.split("\n")
    return name.removeprefix("event: "), json.loads(data.removeprefix("data: "))


@pytest.mark.parametrize(
    ("body", "status"),
    [({}, 422), ({"question": ""}, 422), ({"question": "x" * 501}, 422),
     ({"question": "a\0b"}, 422), ({"question": "dogs", "tools": []}, 422)],
)  # fmt: skip
async def test_what_is_no_question_is_a_problem(
    house: AskedHouse, body: dict[str, Any], status: int
) -> None:
    async with house.client() as client:
        for accept in ("application/json", "text/event-stream"):
            answer = await client.post("/v1/ask", json=body, headers={"Accept": accept})
            assert answer.status_code == status
            assert answer.headers["content-type"] == "application/problem+json"


async def test_the_command_shows_the_answer_its_footage_and_its_coverage(house: AskedHouse) -> None:
    token = await house.fleet.tokens.create("default", Role.VIEWER, actor="test")
    async with served(house.app) as url:

        def run(*more: str) -> str:
            given = [f"was there a dog {MINUTES}?", f"--server={url}", f"--token={token.secret}"]
            return CliRunner().invoke(ask, [*given, *more], catch_exceptions=False).output

        shown = await asyncio.to_thread(run)
        told = json.loads(await asyncio.to_thread(run, "--json"))
        steps = await asyncio.to_thread(run, "--steps")
    [cited] = told["citations"]
    assert shown.splitlines()[0] == told["answer"]
    assert f"{url}{cited['clip_url']}" in shown.splitlines()[1]
    assert shown.splitlines()[2] == f"coverage: {told['coverage']}"
    assert "list_events      1 found" in steps


async def test_strangers_are_not_answered(house: AskedHouse) -> None:
    async with house.client() as client:
        client.cookies.clear()
        answer = await client.post("/v1/ask", json={"question": "how many dogs"})
    assert answer.status_code == 401


async def test_what_is_called_only_reads_and_is_a_viewers(house: AskedHouse) -> None:
    called = [each for each in house.catalogue if each.name in TOOLS]
    assert {each.name for each in called} == TOOLS
    assert {each.needs for each in called} == {Role.VIEWER}
    assert {each.method for each in called if each.name != "search"} == {"GET"}


class Slow(Asking):
    """Answers nothing until it is let go."""

    def __init__(self) -> None:
        super().__init__(clock=FakeClock(NOW))
        self.begun = asyncio.Semaphore(0)
        self.go = asyncio.Event()
        self.ended = asyncio.Event()

    async def ask(self, question: str, tools: Tools, tell: Tell) -> Reply:
        self.begun.release()
        try:
            await self.go.wait()
        finally:
            self.ended.set()
        return await super().ask(question, tools, tell)


@pytest.mark.parametrize("accept", ["application/json", "text/event-stream"])
async def test_a_client_that_goes_away_ends_the_work(
    postgres: PostgresServer, tmp_path: Path, footage: Path, accept: str
) -> None:
    slow = Slow()
    async with asked_house(postgres, tmp_path, footage, slow) as house, served(house.app) as url:
        host, port = urlsplit(url).hostname, urlsplit(url).port
        _, writer = await asyncio.open_connection(host, port)
        body = b'{"question": "dogs"}'
        cookie = "; ".join(f"{c.name}={c.value}" for c in house.client().cookies.jar)
        head = (
            f"POST /v1/ask HTTP/1.1\r\nHost: {host}\r\nCookie: {cookie}\r\nAccept: {accept}\r\n"
            f"Content-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n"
        )
        writer.write(head.encode() + body)
        async with asyncio.timeout(20):
            await slow.begun.acquire()
            writer.close()
            await slow.ended.wait()


async def test_a_caller_asks_so_many_at_once_and_no_more(
    postgres: PostgresServer, tmp_path: Path, footage: Path
) -> None:
    slow, body = Slow(), {"question": "how many dogs"}
    async with asked_house(postgres, tmp_path, footage, slow) as house, house.client() as client:
        waiting = [
            asyncio.create_task(client.post("/v1/ask", json=body)) for _ in range(MOST_OF_ONE)
        ]
        async with asyncio.timeout(20):
            for _ in waiting:
                await slow.begun.acquire()
        refused = await client.post("/v1/ask", json=body)
        slow.go.set()
        answers = [await each for each in waiting]
        again = await client.post("/v1/ask", json=body)
    assert (refused.status_code, refused.headers["retry-after"]) == (429, "1")
    assert [each.status_code for each in answers] == [200] * MOST_OF_ONE
    assert again.status_code == 200


async def test_a_question_that_takes_too_long_is_given_up(
    postgres: PostgresServer, tmp_path: Path, footage: Path
) -> None:
    asking = Asking(clock=FakeClock(NOW), limit_s=0)
    async with asked_house(postgres, tmp_path, footage, asking) as house:
        answer = await house.ask("how many dogs")
    assert answer["refused"]
    assert "took longer than a question may" in answer["answer"]


async def test_only_events_of_the_time_are_counted(house: AskedHouse) -> None:
    answer = await house.ask("how many people in the last 110 seconds?")
    assert cited(answer) == [("gate", 20), ("yard", 10)]
