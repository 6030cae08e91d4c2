"""From the log to the queue: every window of footage is announced, sooner or later.

While the queue answers, references go out as their key frames are appended: at once where there are
few, gathered for a moment where there are many, as a message costs more than what it holds. When it
does not, they are forgotten here, for the log is its own outbox: they are read from it again, from
the watermark, once the queue is back. A reference may come twice; whoever reads them is idempotent.
"""

import asyncio
import itertools
import json
import logging
from collections import deque
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from kilocam.bus import Bus, BusError, BusUnavailable
from kilocam.cli.messages import gop_subject, gops_id
from kilocam.core import GopRef, GopRefs, now_us
from kilocam.record import LogStatus, Position, replay

_log = logging.getLogger(__name__)

STALE_US = 3_600_000_000
"""Windows that are older are not looked at any more, so they are not announced late either."""
_BATCH = 128
"""Sent at once out of the log; the queue takes 512 on their way, and new ones need room, too."""
_MOST_SENT = 20_000
"""A watermark that cannot move (its disk hangs) must not fill the memory: 40 s of 1000 cameras."""
_PAUSE_S = 0.01
"""After each message: with 1000 cameras 64 partitions' messages go out each 0.6 s."""
_SETTLE_S = 0.5
_SEND_S = 10.0
_FLUSH_S = 10.0


@dataclass(frozen=True, slots=True)
class _Sent:
    """What was gathered up to a position, on its way."""

    upto: Position
    windows: int
    messages: Sequence[asyncio.Future[int]]


class Log(Protocol):
    """What the feed asks of the recorder's log; `record.LogWriter` is one."""

    def status(self) -> LogStatus:
        """Up to where it has accepted."""
        ...

    def flush(self, timeout_s: float = ...) -> bool:
        """Wait until everything accepted so far can be read; False when time ran out."""
        ...


class GopFeed:
    """A recorder's `GopSink` over the queue; `announce` never waits and never raises.

    Args:
        bus: The queue, connected or not.
        recorder: Whose log this is.
        paths: Where the log is.
        file: Keeps the watermark over restarts.
    """

    def __init__(self, bus: Bus, recorder: str, paths: Sequence[Path], file: Path) -> None:
        self._bus = bus
        self._paths = paths
        self._file = file
        self._recorder = recorder
        self._mark = Position(recorder=recorder, sequence=0)
        self._saved = self._mark
        self._gathered: list[tuple[GopRef, Position]] = []
        self._waiting = asyncio.Event()
        self._sent: deque[_Sent] = deque()
        self._unsettled = 0
        self._behind = True
        self._trouble = ""
        self.announced = 0
        """References the queue has acknowledged."""

    @property
    def behind(self) -> bool:
        """References wait in the log."""
        return self._behind

    def announce(self, ref: GopRef, position: Position) -> None:
        """Publish soon, or leave it to the log."""
        if self._behind:
            return
        if self._unsettled >= _MOST_SENT:
            self._fall_behind("the queue or the disk takes none for long")
            return
        self._unsettled += 1
        self._gathered.append((ref, position))
        self._waiting.set()

    async def run(self, log: Log) -> None:
        """Publish, move the watermark, catch up whenever behind; until cancelled."""
        self._mark = self._saved = await asyncio.to_thread(self._load)
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(self._publish_on())
            tasks.create_task(self._settle_on(log))

    async def _publish_on(self) -> None:
        while True:
            await self._waiting.wait()
            await asyncio.sleep(self._publish() * _PAUSE_S)

    def _publish(self) -> int:
        """What is gathered, a message for each tenant and partition; gives how many."""
        gathered, self._gathered = self._gathered, []
        self._waiting.clear()
        if not gathered:
            return 0
        together = _by_subject(ref for ref, _ in gathered)
        try:
            sent = [
                self._bus.publish(subject, GopRefs(refs=refs), id=gops_id(refs))
                for subject, refs in together.items()
            ]
        except Exception as error:  # noqa: BLE001 - edge of a task: recording needs no queue
            if not isinstance(error, BusError):
                self._note(f"windows are announced later: {error!r}")
            self._behind = True  # what was sent before may still be acknowledged
            self._unsettled -= len(gathered)
            return 0
        self._sent.append(_Sent(max(at for _, at in gathered), len(gathered), sent))
        return len(sent)

    async def _settle_on(self, log: Log) -> None:
        while True:
            try:
                self._settle()
                if self._behind:
                    await self._catch_up(log)
                await self._save()
            except Exception as error:  # noqa: BLE001 - edge of a task: recording needs no queue
                self._behind = True
                self._note(f"windows are announced later: {str(error) or repr(error)}")
            await asyncio.sleep(_SETTLE_S)

    def _settle(self) -> None:
        """Everything up to the watermark is acknowledged, without exception."""
        while self._sent and all(each.done() for each in self._sent[0].messages):
            sent = self._sent.popleft()
            failed = [each for each in sent.messages if each.cancelled() or each.exception()]
            if failed:
                self._fall_behind("given up" if failed[0].cancelled() else failed[0].exception())
                return
            self._mark = max(self._mark, sent.upto)
            self.announced += sent.windows
            self._unsettled -= sent.windows

    def _fall_behind(self, why: object) -> None:
        """What is still on its way is published again out of the log; its outcome is nothing."""
        self._note(f"windows are announced later: {why}")
        self._behind = True
        self._sent.clear()
        self._gathered.clear()
        self._unsettled = 0

    async def _catch_up(self, log: Log) -> None:
        await self._bus.wait_connected(_SEND_S)
        await self._replay(log, log.status().accepted)
        # From here on new references go out by themselves. What was appended while the log was
        # read is taken up by a second walk, which ends exactly where that begins.
        self._behind = False
        await self._replay(log, log.status().accepted)
        if self._trouble:
            self._note("")
            _log.info("windows are announced as they come again")

    async def _replay(self, log: Log, upto: int) -> None:
        """Send what lies between the watermark and `upto`.

        What was accepted is written a moment later, and by several threads: not before it can be
        read may the watermark pass it.
        """
        if not await asyncio.to_thread(log.flush, _FLUSH_S):
            raise BusUnavailable("the disk does not take what is to be announced")
        # Sequences are times of the wall clock in microseconds, or greater (I9).
        start = max(self._mark.sequence, now_us() - STALE_US)
        found = replay(self._paths, Position(recorder=self._recorder, sequence=start))
        wanted = itertools.takewhile(lambda item: item[1].sequence <= upto, found)
        while batch := await asyncio.to_thread(lambda: list(itertools.islice(wanted, _BATCH))):
            await self._send(batch)
            self._mark = max(self._mark, batch[-1][1])
            await self._save()
        self._mark = max(self._mark, Position(recorder=self._recorder, sequence=upto))

    async def _send(self, batch: Sequence[tuple[GopRef, Position]]) -> None:
        oldest = now_us() - STALE_US
        together = _by_subject(ref for ref, _ in batch if ref.start_us >= oldest)
        sending = [
            self._bus.send(subject, GopRefs(refs=refs), id=gops_id(refs), deadline_s=_SEND_S)
            for subject, refs in together.items()
        ]
        for outcome in await asyncio.gather(*sending, return_exceptions=True):
            if isinstance(outcome, BaseException):
                raise outcome
        self.announced += sum(map(len, together.values()))

    def _note(self, trouble: str) -> None:
        """Say each trouble once, not each time it is met again."""
        if trouble and trouble != self._trouble:
            _log.warning("%s", trouble)
        self._trouble = trouble

    def _load(self) -> Position:
        try:
            sequence = int(json.loads(self._file.read_text())["sequence"])
        except (OSError, ValueError, KeyError, TypeError):
            sequence = 0  # announced again; consumers are idempotent
        return Position(recorder=self._recorder, sequence=sequence)

    async def _save(self) -> None:
        if self._mark != self._saved:
            mark = self._mark
            try:
                await asyncio.to_thread(self._write, mark)
                self._saved = mark
            except OSError as error:
                _log.warning("the watermark cannot be kept: %s", error)

    def _write(self, mark: Position) -> None:
        temporary = self._file.with_suffix(".new")
        temporary.write_text(json.dumps({"sequence": mark.sequence}))
        temporary.replace(self._file)


def _by_subject(refs: Iterable[GopRef]) -> dict[str, tuple[GopRef, ...]]:
    """In the order they came."""
    together: dict[str, list[GopRef]] = {}
    for ref in refs:
        together.setdefault(gop_subject(ref), []).append(ref)
    return {subject: tuple(each) for subject, each in together.items()}
