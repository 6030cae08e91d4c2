"""Dead letters: what could not be read or done, kept whole with the reason, to be sent again."""

import json
from collections.abc import Mapping
from dataclasses import dataclass

from nats.js.api import RawStreamMsg
from nats.js.errors import NotFoundError
from nats.js.manager import JetStreamManager

from kilocam.bus.connection import Connection, unavailable
from kilocam.bus.errors import BusError
from kilocam.bus.publisher import ID_HEADER, Publisher
from kilocam.bus.pull import microseconds
from kilocam.bus.streams import DEAD

_REASON = "Kilocam-Dead-Reason"
_SUBJECT = "Kilocam-Dead-Subject"
_HEADERS = "Kilocam-Dead-Headers"
_REASON_LIMIT = 500
_HEADERS_LIMIT = 2000
_OF_THE_SERVER = "nats-"


@dataclass(frozen=True, slots=True, kw_only=True)
class DeadLetter:
    """One message that was buried."""

    sequence: int
    reason: str
    subject: str
    """Where it was first sent."""
    headers: Mapping[str, str]
    body: bytes
    buried_us: int


class DeadLetters:
    """The stream of dead letters."""

    def __init__(self, connection: Connection, publisher: Publisher) -> None:
        self._connection = connection
        self._publisher = publisher
        self.buried = 0

    async def bury(
        self, *, origin: str, subject: str, headers: Mapping[str, str], body: bytes, reason: str
    ) -> None:
        """Keep a message; `origin` (stream, sequence, who) makes burying it twice harmless.

        Raises:
            BusUnavailable: not now.
        """
        kept = {k: v for k, v in headers.items() if len(k) + len(v) < _HEADERS_LIMIT}
        await self._publisher.publish(
            f"dead.{subject}",
            {
                ID_HEADER: f"dead:{origin}",
                _REASON: reason[:_REASON_LIMIT],
                _SUBJECT: subject,
                _HEADERS: json.dumps(kept),
            },
            body,
        )
        self.buried += 1

    async def list(self, *, after: int = 0, limit: int = 100) -> list[DeadLetter]:
        """Dead letters in the order of burial, those after sequence `after`.

        Raises:
            BusUnavailable: not now.
        """
        found: list[DeadLetter] = []
        while len(found) < limit:
            raw = await self._get(after + 1, following=True)
            if raw is None:
                break
            found.append(_letter(raw))
            after = found[-1].sequence
        return found

    async def redrive(self, sequence: int) -> None:
        """Send one to its first subject again, then take it off the list.

        Raises:
            BusError: there is none with this sequence.
            BusUnavailable: not now; may be repeated.
        """
        raw = await self._get(sequence, following=False)
        if raw is None:
            raise BusError(f"there is no dead letter {sequence}; list them again")
        letter = _letter(raw)
        own = {k: v for k, v in letter.headers.items() if not k.lower().startswith(_OF_THE_SERVER)}
        # A new id: under the old one the stream might still take it for a duplicate.
        again = {**own, ID_HEADER: f"redrive:{sequence}:{letter.buried_us}"}
        await self._publisher.publish(letter.subject, again, letter.body)
        await self.discard(sequence)

    async def discard(self, sequence: int) -> None:
        """Take one off the list; it is no error if it is not there any more."""
        with unavailable(self._connection.target.shown):
            try:
                manager = JetStreamManager(self._connection.session().client)
                await manager.delete_msg(DEAD, sequence)
            except NotFoundError:
                return

    async def _get(self, sequence: int, *, following: bool) -> RawStreamMsg | None:
        manager = JetStreamManager(self._connection.session().client)
        with unavailable(self._connection.target.shown):
            try:
                if following:
                    return await manager.get_msg(
                        DEAD, sequence, subject="dead.>", direct=True, next=True
                    )
                return await manager.get_msg(DEAD, sequence, direct=True)
            except NotFoundError:
                return None


def _letter(raw: RawStreamMsg) -> DeadLetter:
    headers = raw.headers or {}
    return DeadLetter(
        sequence=raw.seq or 0,
        reason=headers.get(_REASON, ""),
        subject=headers.get(_SUBJECT, ""),
        headers=json.loads(headers.get(_HEADERS, "{}")),
        body=raw.data or b"",
        buried_us=microseconds(raw.time) if raw.time else 0,
    )
