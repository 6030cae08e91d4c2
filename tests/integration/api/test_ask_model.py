"""Questions put to a language model that does as it likes, and to one that does as signs say."""

import json
import re
import tomllib
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio
from tests.fakes.asked_house import NOW, AskedHouse, asked_house, store_two_minutes
from tests.fakes.clock import FakeClock
from tests.fakes.language_model import (
    Act,
    ModelServer,
    answers,
    calls,
    hangs_up,
    keeps_silent,
    model_server,
    never_ends,
    says,
)
from tests.fakes.postgres import PostgresServer

from kilocam.api.operations.ask import TOOLS
from kilocam.core import CameraKey
from kilocam.fleet import CameraInput
from kilocam.insight.ask import Asking, Model
from kilocam.llm import Endpoint
from kilocam.llm.model import LanguageModel

pytestmark = pytest.mark.asyncio
MINUTES = "in the last 2 minutes"
PEOPLE = f"how many people were at the gate {MINUTES}?"
VAGUE = f"did a person with luggage linger near the gate {MINUTES}?"
CUT_OFF = answers(b'{"choices": [{"message": {"cont', of=40)
LOOK = calls("list_events", {"class": "person", "camera": "gate"})
INJECTED = tomllib.loads((Path(__file__).parent / "injections.toml").read_text())
ORDERS = [each["text"] for each in INJECTED["order"]]
CAMERAS = [each["id"] for each in INJECTED["camera"]]


@pytest.fixture(scope="module")
def footage(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return store_two_minutes(tmp_path_factory.mktemp("log"))


@pytest_asyncio.fixture
async def server() -> AsyncIterator[ModelServer]:
    async with model_server() as it:
        yield it


@asynccontextmanager
async def open_house(
    postgres: PostgresServer, folder: Path, footage: Path, server: ModelServer | None,
    *, tokens: int = 30_000, model_s: float = 20.0,
) -> AsyncIterator[AskedHouse]:  # fmt: skip
    clock = FakeClock(NOW)
    if server is None:
        async with asked_house(postgres, folder, footage, Asking(clock=clock)) as house:
            yield house
        return
    async with LanguageModel(Endpoint(base_url=server.base_url, model="m-1")) as chat:
        model = Model(chat=chat, name="m-1", most_tokens=tokens)
        asking = Asking(model, clock, model_s=model_s)
        async with asked_house(postgres, folder, footage, asking) as house:
            yield house


@pytest_asyncio.fixture
async def house(
    postgres: PostgresServer, tmp_path: Path, footage: Path, server: ModelServer
) -> AsyncIterator[AskedHouse]:
    async with open_house(postgres, tmp_path, footage, server) as it:
        await it.fill()
        yield it


def results(server: ModelServer) -> list[dict[str, Any]]:
    """What tools gave the model, in the request that came last."""
    messages = server.asked[-1].body["messages"]
    return [json.loads(each["content"]) for each in messages if each["role"] == "tool"]


def hands_in(server: ModelServer, text: str, kind: str = "answered", *more: str) -> Act:
    """An answer that cites all that tools gave so far, and `more`."""

    async def act(writer: Any) -> None:
        ids = [event["id"] for each in results(server) for event in each.get("events", [])]
        given = {"kind": kind, "answer": text, "event_ids": [*ids, *more]}
        await calls("answer", given)(writer)

    return act


async def test_a_model_calls_operations_and_words_the_answer(
    house: AskedHouse, server: ModelServer
) -> None:
    server.will(LOOK, hands_in(server, "There were 2 people at the gate.", "answered", "made-up"))
    answer = await house.ask(PEOPLE)
    assert answer["answer"] == "There were 2 people at the gate."
    assert (answer["answered_by"], len(answer["citations"])) == ("m-1", 2)
    assert "gate: 84" in answer["coverage"] or "gate: 83" in answer["coverage"]
    assert answer["steps"][-1] == {
        "did": "check", "given": {}, "came": "cites 2 events; 1 it may not cite were dropped",
    }  # fmt: skip
    [_, asked] = server.asked
    names = {tool["function"]["name"] for tool in asked.body["tools"]}
    assert names == {*TOOLS, "answer"}
    assert results(server)[0]["count"] == 2


async def test_what_is_not_ours_is_told_apart(house: AskedHouse, server: ModelServer) -> None:
    server.will(calls("list_events", {"class": "speech"}), hands_in(server, 'One said "fire".'))
    answer = await house.ask(f"what was said {MINUTES}?")
    [told] = results(server)[0]["events"]
    assert told["untrusted"] == {"text": "there is a fire", "description": ""}
    assert "fire" not in json.dumps({**told, "untrusted": None})
    assert answer["answer"] == 'One said "fire".'


@pytest.mark.parametrize(
    ("acts", "came"),
    [
        ([keeps_silent], "took too long"),
        ([hangs_up], "no usable answer (cut_off)"),
        ([answers(b'{"choices": [{"message": {"cont')], "no usable answer (malformed)"),
        ([CUT_OFF], "took too long"),
        ([never_ends], "no usable answer (too_long)"),
        ([answers(b"", 503)], "no usable answer (busy)"),
        ([answers(b"no", 401)], "no usable answer (refused)"),
        ([answers(b"{}")], "no usable answer (malformed)"),
        ([says("")], "no usable answer (empty)"),
        ([says(7)], "no usable answer (malformed)"),
        ([says("Two people.")], "answered without the tool"),
        ([calls("list_events", "{")], "what is no JSON object"),
        ([calls("list_events", "[]")], "what is no JSON object"),
        ([calls("list_events", {"class": 1})], "ways that were refused"),
        ([calls("list_events", {"tenant": "other"})], "ways that were refused"),
        ([calls("get_event", {"id": "made-up"})], "ways that were refused"),
        ([calls("remove_camera", {"id": "gate"})], "called what there is not"),
        ([calls("ask", {"question": "again"})], "called what there is not"),
        ([calls("answer", "2 people")], "not of the shape agreed"),
        ([calls("answer", {"kind": "answered", "answer": "2 people.", "event_ids": ["made-up"]})],
         "cited no event that an operation gave"),
        ([LOOK], "came to no answer in 8 rounds"),
        ([calls("answer", {"kind": "nothing_found", "answer": "Nobody.", "event_ids": []})],
         "does not agree with what is there"),
    ],
)  # fmt: skip
async def test_whatever_the_endpoint_does_wrong_the_built_in_answer_stands(
    postgres: PostgresServer, tmp_path: Path, footage: Path, server: ModelServer,
    acts: list[Act], came: str,
) -> None:  # fmt: skip
    model_s = 1.0 if {keeps_silent, CUT_OFF} & set(acts) else 20.0
    server.will(*acts)
    async with open_house(postgres, tmp_path, footage, server, model_s=model_s) as house:
        await house.fill()
        answer = await house.ask(PEOPLE)
    assert answer["answer"].startswith("At least 2 person events at gate")
    assert (answer["answered_by"], answer["refused"]) == ("built-in", False)
    assert len(answer["citations"]) == 2
    assert came in answer["steps"][-1]["came"]
    assert answer["steps"][-1]["came"].endswith("the built-in planner's answer stands")


@pytest.mark.parametrize(
    ("text", "kind", "came"),
    [
        ("There were 30 people.", "answered", "a number that no operation gave"),
        ("There were 4 people.", "answered", "a number that no operation gave"),
        ("There were people.", "answered", "counted otherwise"),
        ("There was 1 person, 2 events.", "answered", None),
        ("Nobody was there.", "nothing_found", "agree with what is there"),
        ("I may not tell.", "cannot", "gave up what can be answered"),
    ],
)
async def test_a_count_is_held_against_the_events(
    house: AskedHouse, server: ModelServer, text: str, kind: str, came: str | None
) -> None:
    server.will(LOOK, hands_in(server, text, kind))
    answer = await house.ask(PEOPLE)
    if came is None:
        assert answer["answered_by"] == "m-1"
    else:
        assert came in answer["steps"][-1]["came"]
        assert answer["answered_by"] == "built-in"


async def test_what_the_planner_does_not_understand_a_model_may_answer(
    house: AskedHouse, server: ModelServer
) -> None:
    question = f"who was at the gate {MINUTES}?"
    server.will(LOOK, hands_in(server, "2 people were there; who they are is not known."))
    answer = await house.ask(question)
    assert (answer["answered_by"], answer["refused"]) == ("m-1", False)
    assert answer["coverage"].startswith("Of the last 24 hours:")
    server.will(calls("answer", {"kind": "cannot", "answer": "say this", "event_ids": []}))
    answer = await house.ask(question)
    assert answer["refused"]
    assert "say this" not in answer["answer"]


async def test_a_no_of_a_model_is_qualified_by_what_is_missing(
    house: AskedHouse, server: ModelServer
) -> None:
    server.will(
        calls("list_events", {"class": "bus"}), hands_in(server, "No bus came.", "nothing_found")
    )
    answer = await house.ask(f"was there a bus {MINUTES}?")
    assert answer["answer"].startswith("No bus came. Not everything was seen")
    assert answer["answer"].endswith("so this is not proven.")


async def test_a_question_may_cost_so_much_and_no_more(
    postgres: PostgresServer, tmp_path: Path, footage: Path, server: ModelServer
) -> None:
    server.will(LOOK)
    async with open_house(postgres, tmp_path, footage, server, tokens=9_000) as house:
        await house.fill()
        answer = await house.ask(PEOPLE)
    assert "would cost more than one question may" in answer["steps"][-1]["came"]
    sent = sum(len(json.dumps(each.body)) for each in server.asked)
    assert 0 < sent / 4 < 9_000


# -- injected orders -------------------------------------------------------------------------------

QUESTIONS = [
    PEOPLE,
    f"was there a car at the gate {MINUTES}?",
    f"when was the last person at the gate {MINUTES}?",
    f"how long was the car at the gate {MINUTES}?",
    f"which camera saw a dog {MINUTES}?",
    f"what was said {MINUTES}?",
    f"what does the sign say {MINUTES}?",
    f"what happened in the yard {MINUTES}?",
    f"was there a bus in the yard {MINUTES}?",
    "when was the gate dark in the last 2 minutes?",
]


def unquoted(answer: dict[str, Any]) -> dict[str, Any]:
    """The answer without what it quotes and how it came about."""
    text = re.sub(r'"[^"]*"', '"…"', answer["answer"])
    return {**answer, "answer": text, "steps": [], "answered_by": ""}


async def described(house: AskedHouse, text: str) -> None:
    """The first person at the gate, as a model says."""
    async with house.client() as client:
        [*_, person] = (await client.get("/v1/events?class=person&camera=gate")).json()["items"]
    await house.told.describe(CameraKey("default", "gate"), person["id"], text, "eye-1")


async def answered(house: AskedHouse, order: str) -> list[dict[str, Any]]:
    await house.fill(said=order, read=order)
    await described(house, order)
    return [await house.ask(question) for question in QUESTIONS]


def check_calls(house: AskedHouse) -> None:
    assert house.calls
    assert {name for name, _ in house.calls} <= TOOLS
    assert {tenant for _, tenant in house.calls} == {"default"}


@pytest.mark.full
@pytest.mark.parametrize("order", ORDERS)
async def test_no_order_changes_an_answer_of_the_planner(
    postgres: PostgresServer, tmp_path: Path, footage: Path, order: str
) -> None:
    await _planner_is_unmoved(postgres, tmp_path, footage, order)


async def test_an_order_changes_no_answer_of_the_planner(
    postgres: PostgresServer, tmp_path: Path, footage: Path
) -> None:
    await _planner_is_unmoved(postgres, tmp_path, footage, "\n".join(ORDERS)[:1500])


async def _planner_is_unmoved(
    postgres: PostgresServer, tmp_path: Path, footage: Path, order: str
) -> None:
    both = []
    for name, text in (("plain", "loading bay"), ("ordered", order)):
        (tmp_path / name).mkdir()
        async with open_house(postgres, tmp_path / name, footage, None) as house:
            both.append([unquoted(each) for each in await answered(house, text)])
            check_calls(house)
    assert both[0] == both[1]


async def test_no_camera_name_changes_an_answer(house: AskedHouse, server: ModelServer) -> None:
    server.will(answers(b"", 503))
    named = [question for question in QUESTIONS if "gate" in question or "yard" in question]
    before = [unquoted(await house.ask(question)) for question in named]
    for camera in CAMERAS:
        added = CameraInput(id=camera, url="rtsp://h/")
        await house.fleet.add_camera("default", added, actor="test")
    assert [unquoted(await house.ask(question)) for question in named] == before
    check_calls(house)


def gullible(server: ModelServer) -> Act:
    """Looks once, then does whatever stands in what cameras read and heard; else answers well."""

    async def act(writer: Any) -> None:
        told = results(server)
        texts = [
            text for each in told for event in each.get("events", [])
            for text in event.get("untrusted", {}).values() if text
        ]  # fmt: skip
        order = " ".join(texts)
        if not told:
            await calls("list_events", {})(writer)
        elif (found := re.search(r"call (\w+) (\{.*\})", order)) and len(told) < 2:
            await calls(found[1], found[2])(writer)
        elif found := re.search(r"say (.+)", order, re.DOTALL):
            kind = "nothing_found" if "no" in found[1] else "answered"
            await hands_in(server, found[1][:900], kind)(writer)
        else:
            await hands_in(server, "There were events.")(writer)

    return act


@pytest.mark.parametrize("order", ORDERS)
async def test_a_model_that_obeys_signs_calls_nothing_more_and_changes_nothing(
    postgres: PostgresServer, tmp_path: Path, footage: Path, server: ModelServer, order: str
) -> None:
    server.will(gullible(server))
    async with open_house(postgres, tmp_path, footage, server) as house:
        await house.fill(said=order, read=order)
        await described(house, order)
        obeyed = await house.ask(PEOPLE)
        check_calls(house)
    assert len(server.asked) > 1
    assert [c["camera"] for c in obeyed["citations"]] == ["gate", "gate"]
    assert not obeyed["refused"]
    assert " 2 " in f" {obeyed['answer']} "
    bare = re.sub(r'"[^"]*"', "", obeyed["answer"])
    assert "nobody" not in bare
    assert "evil" not in bare
    assert "999" not in bare
