"""Key-value buckets: last values, compare-and-set, and watching over reconnections."""

import logging
from collections.abc import AsyncGenerator
from contextlib import aclosing
from dataclasses import dataclass
from typing import Generic, TypeVar

from nats.aio.msg import Msg
from nats.js.api import RawStreamMsg
from nats.js.errors import NotFoundError
from nats.js.manager import JetStreamManager

from kilocam.bus.codec import from_json, to_json
from kilocam.bus.connection import Connection, unavailable
from kilocam.bus.errors import RevisionConflict, Unreadable
from kilocam.bus.publisher import EXPECTED_REVISION_HEADER, Publisher
from kilocam.bus.reader import First, Reader

_OPERATION = "KV-Operation"

_T = TypeVar("_T")
_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Entry(Generic[_T]):
    """A key's value and its revision."""

    value: _T
    revision: int


@dataclass(frozen=True, slots=True)
class Change(Generic[_T]):
    """A key has a new value, or none."""

    key: str
    value: _T | None
    revision: int


@dataclass(frozen=True, slots=True)
class Synced:
    """All values there were at the moment of asking have been told."""

    anew: bool
    """The bucket itself was made anew: what was told before this run is void."""


class Bucket(Generic[_T]):
    """One bucket of values of one type. Keys: parts of `A-Z a-z 0-9 - _ = /`, joined by dots."""

    def __init__(
        self, connection: Connection, publisher: Publisher, name: str, kind: type[_T]
    ) -> None:
        self._connection = connection
        self._publisher = publisher
        self._stream = f"KV_{name}"
        self._prefix = f"$KV.{name}."
        self._kind = kind

    async def get(self, key: str) -> Entry[_T] | None:
        """The value of now.

        Raises:
            BusUnavailable: not now.
            Unreadable: what is there is not a value of this type.
        """
        raw = await self._raw(key)
        if raw is None or (raw.headers or {}).get(_OPERATION):
            return None
        return Entry(from_json(self._kind, raw.data or b""), raw.seq or 0)

    async def _raw(self, key: str) -> RawStreamMsg | None:
        manager = JetStreamManager(self._connection.session().client)
        with unavailable(self._connection.target.shown):
            try:
                # Not `direct`, which any replica may answer: a lease is decided on what is so.
                return await manager.get_msg(self._stream, subject=self._prefix + key)
            except NotFoundError:
                return None

    async def put(self, key: str, value: _T) -> int:
        """Set it, whatever was there; returns the revision."""
        return await self._publisher.publish(self._prefix + key, {}, to_json(self._kind, value))

    async def create(self, key: str, value: _T) -> int:
        """Set it if there is none (`RevisionConflict`)."""
        try:
            return await self.update(key, value, 0)
        except RevisionConflict:
            raw = await self._raw(key)
            if raw is None or not (raw.headers or {}).get(_OPERATION):
                raise
            return await self.update(key, value, raw.seq or 0)

    async def update(self, key: str, value: _T, revision: int) -> int:
        """Set it if its revision is still this one (`RevisionConflict`)."""
        return await self._publisher.publish(
            self._prefix + key,
            {EXPECTED_REVISION_HEADER: str(revision)},
            to_json(self._kind, value),
        )

    async def delete(self, key: str, revision: int | None = None) -> None:
        """Remove it, if its revision is still this one where one is given."""
        headers = {_OPERATION: "DEL"}
        if revision is not None:
            headers[EXPECTED_REVISION_HEADER] = str(revision)
        await self._publisher.publish(self._prefix + key, headers, b"")

    async def watch(self, keys: str = ">") -> AsyncGenerator[Change[_T] | Synced, None]:
        """All values, `Synced`, then each change, for ever; again `Synced` after a reconnection."""
        reader = Reader(
            self._connection,
            self._stream,
            self._prefix + keys,
            after=None,
            first=First.LAST_OF_EACH,
        )
        epoch: int | None = None
        anew = synced = False
        async with aclosing(reader.messages()) as messages:
            async for raw in messages:
                if raw.fresh:
                    anew, synced = epoch not in (None, raw.position.epoch), False
                    epoch = raw.position.epoch
                if raw.msg and (change := self._change(raw.msg, raw.position.sequence)):
                    yield change
                if raw.pending == 0 and not synced:
                    synced = True
                    yield Synced(anew)

    def _change(self, msg: Msg, revision: int) -> Change[_T] | None:
        key = msg.subject.removeprefix(self._prefix)
        if (msg.headers or {}).get(_OPERATION):
            return Change(key, None, revision)
        try:
            return Change(key, from_json(self._kind, msg.data), revision)
        except Unreadable as error:
            _log.warning("value of %s is unreadable: %s", msg.subject, error)
            return None
