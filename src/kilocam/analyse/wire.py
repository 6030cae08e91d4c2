"""How the service and its worker processes talk: length-prefixed pickles on a pair of pipes.

Both ends are this same code of the same version, parent and child; nothing else ever reaches the
pipes, which is why pickle is in order here.
"""

import pickle
import struct
from asyncio import StreamReader, StreamWriter
from dataclasses import dataclass
from typing import BinaryIO

from kilocam.analyse.look import LookOutcome, LookTask

LENGTH = struct.Struct(">I")
MAX_MESSAGE = 256 * 1024 * 1024
"""A minute of 30 Mbit/s; no window is near that."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Ready:
    """The worker has loaded its models."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Broken:
    """The worker cannot work at all; one line for a person."""

    text: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Looked:
    """A look is done."""

    outcome: LookOutcome
    rss_bytes: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Unreadable:
    """The footage holds no picture that can be decoded; one line for a person."""

    text: str


Answer = Ready | Broken | Looked | Unreadable


def encode(message: LookTask | Answer) -> bytes:
    """One message as bytes."""
    content = pickle.dumps(message, pickle.HIGHEST_PROTOCOL)
    if len(content) > MAX_MESSAGE:
        raise ValueError(f"a message of {len(content)} bytes is too long")
    return LENGTH.pack(len(content)) + content


def read_task(stream: BinaryIO) -> LookTask | None:
    """The worker's next task; None when the parent has gone."""
    head = stream.read(LENGTH.size)
    if len(head) < LENGTH.size:
        return None
    (length,) = LENGTH.unpack(head)
    content = stream.read(length)
    if len(content) < length:
        return None
    task = pickle.loads(content)  # noqa: S301 - see the module's docstring
    assert isinstance(task, LookTask)
    return task


async def read_answer(stream: StreamReader) -> Answer:
    """A worker's next answer; `IncompleteReadError` when it has gone."""
    (length,) = LENGTH.unpack(await stream.readexactly(LENGTH.size))
    answer = pickle.loads(await stream.readexactly(length))  # noqa: S301 - as above
    assert isinstance(answer, Answer)
    return answer


async def write_task(stream: StreamWriter, task: LookTask) -> None:
    """Hand a task to a worker; `ConnectionResetError` when it has gone."""
    if stream.is_closing():  # uvloop would call this an error of ours
        raise ConnectionResetError("the worker has closed its pipe")
    stream.write(encode(task))
    await stream.drain()
