"""An OpenAI-compatible endpoint on a real socket that follows a script, good or bad."""

import asyncio
import base64
import json
from collections import deque
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

Act = Callable[[asyncio.StreamWriter], Awaitable[None]]


@dataclass(frozen=True, slots=True)
class Asked:
    """One request."""

    path: str
    headers: dict[str, str]
    body: dict[str, Any]
    raw: bytes
    """The body as it came."""

    @property
    def jpeg(self) -> bytes:
        """The picture it brought."""
        url = self.body["messages"][1]["content"][1]["image_url"]["url"]
        kind, _, data = url.partition(",")
        assert kind == "data:image/jpeg;base64"
        return base64.b64decode(data, validate=True)


def answers(body: bytes, status: int = 200, headers: str = "", *, of: int | None = None) -> Act:
    """These bytes; `of`: it is promised to be so many."""

    async def act(writer: asyncio.StreamWriter) -> None:
        length = len(body) if of is None else of
        head = f"HTTP/1.1 {status} X\r\nContent-Length: {length}\r\n{headers}\r\n"
        writer.write(head.encode() + body)
        await writer.drain()

    return act


def says(text: object) -> Act:
    """A chat completion."""
    message = {"role": "assistant", "content": text}
    return answers(json.dumps({"choices": [{"index": 0, "message": message}]}).encode())


def calls(name: str, arguments: object) -> Act:
    """A chat completion that calls a tool; arguments that are text are sent as they stand."""
    text = arguments if isinstance(arguments, str) else json.dumps(arguments)
    call = {"id": "call-1", "type": "function", "function": {"name": name, "arguments": text}}
    message = {"role": "assistant", "content": None, "tool_calls": [call]}
    return answers(json.dumps({"choices": [{"index": 0, "message": message}]}).encode())


async def hangs_up(writer: asyncio.StreamWriter) -> None:
    """Nothing but the end."""


async def keeps_silent(writer: asyncio.StreamWriter) -> None:
    """Nothing, for longer than anybody waits."""
    await asyncio.sleep(3600)


async def never_ends(writer: asyncio.StreamWriter) -> None:
    """Ever more, in chunks."""
    writer.write(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")
    while True:
        writer.write(b"10000\r\n" + b"x" * 0x10000 + b"\r\n")
        await writer.drain()


@dataclass
class ModelServer:
    """Acts as `script` says, the last act for ever."""

    script: deque[Act] = field(default_factory=lambda: deque([says("A person walks by.")]))
    asked: list[Asked] = field(default_factory=list)
    port: int = 0

    @property
    def base_url(self) -> str:
        return f"http://127.0.0.1:{self.port}/v1"

    def will(self, *acts: Act) -> None:
        """Replace the script."""
        self.script = deque(acts)

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while True:
                head = (await reader.readuntil(b"\r\n\r\n")).decode()
                first, *lines = head.split("\r\n")
                pairs = (line.partition(": ") for line in lines if line)
                headers = {name.lower(): value for name, _, value in pairs}
                body = await reader.readexactly(int(headers["content-length"]))
                self.asked.append(Asked(first.split(" ")[1], headers, json.loads(body), body))
                act = self.script[0] if len(self.script) == 1 else self.script.popleft()
                await act(writer)
                if act is hangs_up:
                    return
        except (asyncio.IncompleteReadError, ConnectionError):
            pass
        finally:
            writer.close()


@asynccontextmanager
async def model_server() -> AsyncIterator[ModelServer]:
    """One, and the end of all it was doing."""
    server = ModelServer()
    tasks: set[asyncio.Task[None]] = set()

    def met(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        tasks.add(asyncio.create_task(server.serve(reader, writer)))

    listening = await asyncio.start_server(met, "127.0.0.1", 0)
    server.port = listening.sockets[0].getsockname()[1]
    try:
        yield server
    finally:
        listening.close()
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
