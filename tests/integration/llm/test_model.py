"""One question to an endpoint that does as it likes."""

import logging
from collections.abc import AsyncIterator, Mapping

import pytest
import pytest_asyncio
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

from kilocam.llm import Endpoint, LlmError, Question, Trouble
from kilocam.llm.conversation import Call, Conversation, Tool, Turn, said, told
from kilocam.llm.model import LanguageModel

pytestmark = pytest.mark.asyncio
KEY = "sk-nobody-may-see-this"
QUESTION = Question(instructions="Be brief.", text="What is it?", jpeg=b"\xff\xd8", most_tokens=9)
MINUTE_US = 60_000_000


@pytest_asyncio.fixture
async def server() -> AsyncIterator[ModelServer]:
    async with model_server() as server:
        yield server


async def ask(server: ModelServer, *, key: str = KEY, limit_s: float = 20.0) -> str:
    endpoint = Endpoint(base_url=server.base_url, model="eye-1", api_key=key)
    async with LanguageModel(endpoint, limit_s=limit_s, clock=FakeClock(0)) as model:
        return await model.ask(QUESTION)


async def test_a_question_is_asked_as_the_protocol_has_it(server: ModelServer) -> None:
    assert await ask(server) == "A person walks by."
    [asked] = server.asked
    assert asked.path == "/v1/chat/completions"
    assert asked.headers["authorization"] == f"Bearer {KEY}"
    assert asked.jpeg == b"\xff\xd8"
    assert asked.body == {
        "model": "eye-1",
        "max_tokens": 9,
        "messages": [
            {"role": "system", "content": "Be brief."},
            {
                "role": "user",
                "content": [
                    {"type": "text", "text": "What is it?"},
                    {"type": "image_url", "image_url": {"url": "data:image/jpeg;base64,/9g="}},
                ],
            },
        ],
    }


async def test_without_a_key_none_is_sent(server: ModelServer) -> None:
    await ask(server, key="")
    assert "authorization" not in server.asked[0].headers


@pytest.mark.parametrize(
    ("act", "trouble", "costs"),
    [
        (keeps_silent, Trouble.LATE, True),
        (hangs_up, Trouble.CUT_OFF, True),
        (answers(b'{"choices": [', of=500), Trouble.LATE, True),
        (never_ends, Trouble.TOO_LONG, True),
        (answers(b'{"x": "' + b"x" * 300_000 + b'"}'), Trouble.TOO_LONG, True),
        (answers(b"slow down", 429), Trouble.BUSY, False),
        (answers(b"", 503), Trouble.BUSY, False),
        (answers(b"<h1>oops</h1>", 500), Trouble.BROKEN, False),
        (answers(KEY.encode(), 401), Trouble.REFUSED, False),
        (answers(b"", 302, "Location: http://127.0.0.1:1/\r\n"), Trouble.REFUSED, False),
        (answers(b"<html>welcome to the hotel</html>"), Trouble.MALFORMED, True),
        (answers(b'{"choices": [{"message": {"cont'), Trouble.MALFORMED, True),
        (answers(b'{"choices": []}'), Trouble.MALFORMED, True),
        (answers(b'["choices"]'), Trouble.MALFORMED, True),
        (answers(b"[" * 200_000), Trouble.MALFORMED, True),
        (says([{"type": "text", "text": "a list"}]), Trouble.MALFORMED, True),
        (says(None), Trouble.EMPTY, True),
        (says(" \n"), Trouble.EMPTY, True),
    ],
)
async def test_what_goes_wrong_has_a_name_and_no_secret(
    server: ModelServer, act: Act, trouble: Trouble, costs: bool, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    server.will(act)
    limit_s = 0.5 if trouble is Trouble.LATE else 20.0
    with pytest.raises(LlmError) as caught:
        await ask(server, limit_s=limit_s)
    error = caught.value
    assert (error.trouble, error.costs) == (trouble, costs)
    assert str(error).startswith(f"eye-1 at 127.0.0.1:{server.port} ")
    assert KEY not in str(error)
    assert KEY not in caplog.text
    assert len(server.asked) == 1  # once, and of nobody else


async def test_nobody_there_is_nobody_asked(server: ModelServer) -> None:
    server.port = 1
    with pytest.raises(LlmError) as caught:
        await ask(server)
    assert caught.value.trouble is Trouble.UNREACHABLE
    assert not caught.value.costs


@pytest.mark.parametrize(
    ("header", "wait_us"),
    [
        ("7", 7_000_000),
        ("Thu, 01 Jan 1970 00:01:00 GMT", MINUTE_US),
        ("Wed, 31 Dec 1969 00:00:00 GMT", 0),
        ("999999999", 60 * MINUTE_US),
        ("99999999999999999999", 0),
        ("-5", 0),
        ("soon", 0),
    ],
)
async def test_how_long_it_wants_to_be_left_alone(
    server: ModelServer, header: str, wait_us: int
) -> None:
    server.will(answers(b"", 429, f"Retry-After: {header}\r\n"))
    with pytest.raises(LlmError) as caught:
        await ask(server)
    assert caught.value.wait_us == wait_us


async def test_a_key_does_not_show(server: ModelServer) -> None:
    endpoint = Endpoint(base_url=server.base_url, model="eye-1", api_key=KEY)
    assert KEY not in f"{endpoint!r} {endpoint.shown}"


@pytest.mark.parametrize(
    ("url", "exposed"),
    [
        ("https://models.example/v1", False),
        ("http://127.0.0.1:8080/v1", False),
        ("http://[::1]:8080/v1", False),
        ("http://localhost/v1", False),
        ("http://192.168.0.7:11434/v1", True),
        ("http://models.example/v1", True),
    ],
)
async def test_what_others_may_read_is_known(url: str, exposed: bool) -> None:
    assert Endpoint(base_url=url, model="m").exposed is exposed


TOOL = Tool(name="look", summary="Looks.", schema={"type": "object", "properties": {}})


async def go_on(server: ModelServer, *messages: Mapping[str, object]) -> Turn:
    endpoint = Endpoint(base_url=server.base_url, model="m-1")
    conversation = Conversation(messages=messages, tools=[TOOL], most_tokens=50)
    async with LanguageModel(endpoint, limit_s=20) as model:
        return await model.go_on(conversation)


async def test_a_conversation_goes_on_with_calls_of_tools(server: ModelServer) -> None:
    server.will(calls("look", {"at": 1}), says("Nothing."))
    asked = {"role": "user", "content": "What is there?"}
    turn = await go_on(server, asked)
    assert turn.calls == (Call(id="call-1", name="look", arguments='{"at": 1}'),)
    assert (turn.text, turn.tokens > 0) == ("", True)
    last = await go_on(server, asked, said(turn), told(turn.calls[0], "{}"))
    assert (last.text, last.calls) == ("Nothing.", ())
    first, second = (each.body for each in server.asked)
    assert first == {
        "model": "m-1",
        "max_tokens": 50,
        "temperature": 0,
        "messages": [asked],
        "tools": [
            {
                "type": "function",
                "function": {
                    "name": "look", "description": "Looks.", "parameters": dict(TOOL.schema),
                },
            }
        ],
    }  # fmt: skip
    assert second["messages"][1]["tool_calls"][0]["function"]["arguments"] == '{"at": 1}'
    assert second["messages"][2] == {"role": "tool", "tool_call_id": "call-1", "content": "{}"}


@pytest.mark.parametrize(
    "message",
    [
        '{"content": 7}', '{"tool_calls": 7}', '{"tool_calls": [7]}', '{"tool_calls": [{"id": 1}]}',
        '{"tool_calls": [{"id": "a", "function": {"name": "look"}}]}', '[]', 'null', '{}',
        '{"tool_calls": [{"id": "a", "function": {"name": "look", "arguments": {}}}]}',
    ],
)  # fmt: skip
async def test_a_call_that_is_none_is_told_as_malformed(server: ModelServer, message: str) -> None:
    server.will(answers(b'{"choices": [{"message": ' + message.encode() + b"}]}"))
    with pytest.raises(LlmError) as told_:
        await go_on(server)
    assert told_.value.trouble is Trouble.MALFORMED


async def test_a_turn_of_nothing_is_empty(server: ModelServer) -> None:
    server.will(says(None))
    with pytest.raises(LlmError) as told_:
        await go_on(server)
    assert told_.value.trouble is Trouble.EMPTY
