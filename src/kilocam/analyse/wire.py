"""How the service and its worker processes talk: length-prefixed pickles on a pair of pipes.

Both ends are this same code of the same version, parent and child; nothing else ever reaches the
pipes, which is why pickle is in order here.
"""

import pickle
import struct
from asyncio import StreamReader, StreamWriter
from dataclasses import dataclass
from typing import BinaryIO, Generic, Protocol, TypeVar

Outcome = TypeVar("Outcome")

LENGTH = struct.Struct(">I")
MAX_MESSAGE = 256 * 1024 * 1024
"""A minute of 30 Mbit/s; no window is near that."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Ready:
    """The worker has loaded its models."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Broken:
    """The worker cannot go on, or not begin; one line for a person."""

    text: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Done(Generic[Outcome]):
    """A task is done."""

    outcome: Outcome
    rss_bytes: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Unreadable:
    """The footage holds nothing that can be decoded; one line for a person."""

    text: str


class Task(Protocol):
    """What a worker does at once; pickled, so all it needs is in it."""

    @property
    def what(self) -> str:
        """Camera and time, for whoever reads that it failed."""
        ...


def encode(message: object) -> bytes:
    """One message as bytes."""
    content = pickle.dumps(message, pickle.HIGHEST_PROTOCOL)
    if len(content) > MAX_MESSAGE:
        raise ValueError(f"a message of {len(content)} bytes is too long")
    return LENGTH.pack(len(content)) + content


def read_task(stream: BinaryIO) -> object:
    """The worker's next task; None when the parent has gone."""
    head = stream.read(LENGTH.size)
    if len(head) < LENGTH.size:
        return None
    (length,) = LENGTH.unpack(head)
    content = stream.read(length)
    if len(content) < length:
        return None
    task: object = pickle.loads(content)  # noqa: S301 - see the module's docstring
    return task


async def read_answer(stream: StreamReader) -> object:
    """A worker's next answer; `IncompleteReadError` when it has gone."""
    (length,) = LENGTH.unpack(await stream.readexactly(LENGTH.size))
    answer: object = pickle.loads(await stream.readexactly(length))  # noqa: S301 - as above
    return answer


async def write_task(stream: StreamWriter, task: Task) -> None:
    """Hand a task to a worker; `ConnectionResetError` when it has gone."""
    if stream.is_closing():  # uvloop would call this an error of ours
        raise ConnectionResetError("the worker has closed its pipe")
    stream.write(encode(task))
    await stream.drain()
