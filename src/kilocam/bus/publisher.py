"""Publishing with acknowledgements: a bounded window, no timer per message, nobody waits."""

import asyncio
import json
from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass

from nats.aio.msg import Msg

from kilocam.bus.connection import Connection, Session, unavailable
from kilocam.bus.errors import BusBusy, BusError, BusUnavailable, NotEncodable, RevisionConflict

ID_HEADER = "Nats-Msg-Id"
EXPECTED_REVISION_HEADER = "Nats-Expected-Last-Subject-Sequence"

_SWEEP_S = 0.25
_WRONG_REVISION = 10071
_HEADERS_ALLOWANCE = 4096


@dataclass(slots=True)
class _Message:
    token: str
    subject: str
    headers: dict[str, str]
    body: bytes
    deadline: float
    stored: asyncio.Future[int]


class Publisher:
    """Sends in the order given; each message is acknowledged or failed within `ack_s`.

    A failed message may still have been stored: its sender sends it again under the same id.
    """

    def __init__(self, connection: Connection, *, window: int, ack_s: float) -> None:
        self._connection = connection
        self._window = window
        self._ack_s = ack_s
        self._outgoing: deque[_Message] = deque()
        self._wake = asyncio.Event()
        self._waiting: dict[str, _Message] = {}
        self._room = asyncio.Event()
        self._room.set()
        self._next_token = 0
        self._session: Session | None = None
        self._inbox = ""
        self.sent = 0
        self.stored = 0
        self.duplicates = 0
        self.failed = 0

    @property
    def pending(self) -> int:
        """Messages neither acknowledged nor failed yet."""
        return len(self._waiting)

    async def attach(self, session: Session) -> None:
        """Use a new connection; called before anybody else sees it."""
        inbox = session.client.new_inbox()
        await session.client.subscribe(f"{inbox}.*", cb=self._take_ack)
        self._session, self._inbox = session, inbox

    def publish(self, subject: str, headers: Mapping[str, str], body: bytes) -> asyncio.Future[int]:
        """Hand over a message; the future gives its sequence in the stream.

        Raises:
            BusUnavailable: there is no connection.
            BusBusy: the window is full.
            NotEncodable: the message is larger than the server takes.
        """
        session = self._connection.session()
        if len(self._waiting) >= self._window:
            raise BusBusy(f"{self._window} messages wait for {self._connection.target.shown}")
        if len(body) > session.client.max_payload - _HEADERS_ALLOWANCE:
            raise NotEncodable(f"message of {len(body)} bytes for {subject} is too large")
        loop = asyncio.get_running_loop()
        self._next_token += 1
        message = _Message(
            token=str(self._next_token),
            subject=subject,
            headers=dict(headers),
            body=body,
            deadline=loop.time() + self._ack_s,
            stored=loop.create_future(),
        )
        message.stored.add_done_callback(_looked_at)
        self._waiting[message.token] = message
        if len(self._waiting) >= self._window:
            self._room.clear()
        self._outgoing.append(message)
        self._wake.set()
        return message.stored

    async def wait_room(self) -> None:
        """Until the window has room."""
        await self._room.wait()

    async def run(self) -> None:
        """Send what is handed over and fail what is late, for ever."""
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(self._send())
            tasks.create_task(self._sweep())

    async def _send(self) -> None:
        while True:
            await self._wake.wait()
            self._wake.clear()
            while self._outgoing:
                message = self._outgoing.popleft()
                if not message.stored.done():
                    await self._send_one(message)

    async def _send_one(self, message: _Message) -> None:
        session = self._session
        if session is None or session.lost.is_set():
            self._fail(message, self._lost())
            return
        try:
            with unavailable(self._connection.target.shown):
                await session.client.publish(
                    message.subject,
                    message.body,
                    reply=f"{self._inbox}.{message.token}",
                    headers=message.headers,
                )
            self.sent += 1
        except BusUnavailable as error:
            self._fail(message, error)

    async def _sweep(self) -> None:
        """Fail what is over its deadline (they are in the order of deadlines), or was cut off."""
        while True:
            await asyncio.sleep(_SWEEP_S)
            lost = self._session is None or self._session.lost.is_set()
            now = asyncio.get_running_loop().time()
            for message in list(self._waiting.values()):
                if lost:
                    self._fail(message, self._lost())
                elif message.deadline <= now:
                    late = f"the bus did not acknowledge {message.subject} in {self._ack_s:g} s"
                    self._fail(message, BusUnavailable(late))
                elif not message.stored.cancelled():
                    break

    def _lost(self) -> BusUnavailable:
        return BusUnavailable(f"the connection to {self._connection.target.shown} was lost")

    async def _take_ack(self, msg: Msg) -> None:
        message = self._waiting.get(msg.subject.rpartition(".")[2])
        if message is None:
            return
        result = _read_ack(message.subject, msg)
        if isinstance(result, BusError):
            self._fail(message, result)
            return
        sequence, duplicate = result
        self._settle(message)
        self.stored += 1
        self.duplicates += duplicate
        if not message.stored.done():
            message.stored.set_result(sequence)

    def _fail(self, message: _Message, error: BusError) -> None:
        self._settle(message)
        self.failed += 1
        if not message.stored.done():
            message.stored.set_exception(error)

    def _settle(self, message: _Message) -> None:
        self._waiting.pop(message.token, None)
        if len(self._waiting) < self._window:
            self._room.set()


def _read_ack(subject: str, msg: Msg) -> tuple[int, bool] | BusError:
    if msg.headers and msg.headers.get("Status") == "503":
        return BusUnavailable(f"no stream takes {subject}")
    try:
        answer = json.loads(msg.data)
        if error := answer.get("error"):
            text = f"{subject}: {error.get('description')}"
            wrong_revision = error.get("err_code") == _WRONG_REVISION
            return RevisionConflict(text) if wrong_revision else BusUnavailable(text)
        return int(answer["seq"]), bool(answer.get("duplicate"))
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        return BusUnavailable(f"{subject}: the server's answer is unreadable: {error}")


def _looked_at(stored: asyncio.Future[int]) -> None:
    """Senders that publish again from a watermark need not look at each failure."""
    if not stored.cancelled():
        stored.exception()
