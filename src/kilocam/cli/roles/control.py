"""Control: schema, declared cameras, assignments, the first administrator, the outbox, days.

It waits for the database as long as it takes; nobody waits for it. What recorders are to record is
written beside the log, so they need neither.
"""

import asyncio
import logging
import os
from collections.abc import Awaitable, Callable
from contextlib import AsyncExitStack
from pathlib import Path

from kilocam.bus import Bus
from kilocam.cli.assignment import AssignedCamera, write_assignment
from kilocam.cli.child import Child
from kilocam.cli.installation import RECORDER, ROOMS, Installation
from kilocam.cli.messages import SCHEMAS, bus_target, insight_subject
from kilocam.core import CameraKey, now_us
from kilocam.database import (
    SYSTEM,
    ControlDatabase,
    Database,
    DatabaseError,
    DatabaseUnavailable,
    OutboxMessage,
    bootstrap,
)
from kilocam.fleet import DEFAULT_TENANT, Assignment, Fleet, FleetControl, Role, Seal, Unavailable
from kilocam.insight import TOPIC, Closer, EventChange, drop_days, make_day_asked_for, make_days

_log = logging.getLogger(__name__)
_RETRY_S = 1.0
_LOOK_S = 1.0
_DAYS_EVERY_US = 3_600_000_000
_CLOSE_EVERY_S = 600.0
_NEAR_DROPPED_US = 2 * 86_400_000_000
"""Days that are about to go are left alone."""
_SEND_S = 10.0
_ACTOR = "control"


async def main(child: Child) -> None:
    """Keep the control plane in order until told to stop."""
    installation = Installation.from_json(child.config)
    async with AsyncExitStack() as stack:
        control = await stack.enter_async_context(
            ControlDatabase(installation.shards, installation.database_secrets, ROOMS)
        )
        database = await stack.enter_async_context(
            Database(installation.shards, installation.database_secrets)
        )
        bus = await stack.enter_async_context(
            Bus(bus_target(child.config), SCHEMAS, name=child.name)
        )
        fleet = Fleet(database, installation.keyring)
        desk = _Desk(child, installation, control, fleet, bus)
        working = asyncio.create_task(desk.work())
        stopping = asyncio.create_task(child.stopping.wait())
        done, waiting = await asyncio.wait({working, stopping}, return_when=asyncio.FIRST_COMPLETED)
        for task in waiting:
            task.cancel()
        await asyncio.gather(*waiting, return_exceptions=True)
        if working in done:
            working.result()


class _Desk:
    """What control does, step by step, each of them safe to repeat."""

    def __init__(
        self,
        child: Child,
        installation: Installation,
        control: ControlDatabase,
        fleet: Fleet,
        bus: Bus,
    ) -> None:
        self._child = child
        self._installation = installation
        self._control = control
        self._fleet = fleet
        self._cameras = FleetControl(control, fleet, installation.keyring)
        self._bus = bus
        self._found: tuple[Assignment, ...] | None = None
        """As they were assigned last."""
        self._days_made_us = 0

    async def work(self) -> None:
        """Prepare once, then keep assignments true, days made and the outbox empty."""
        await self._patiently(self._prepare)
        async with asyncio.TaskGroup() as group:
            for outbox in self._control.outboxes():
                group.create_task(outbox.run(self._publish))
            group.create_task(self._close_days_on())
            while True:
                await self._patiently(self._assign)
                if abs(now_us() - self._days_made_us) >= _DAYS_EVERY_US:  # clocks are put back too
                    await self._patiently(self._keep_days)
                await asyncio.sleep(_LOOK_S)

    async def _patiently(self, step: Callable[[], Awaitable[None]]) -> None:
        while True:
            try:
                await step()
            except (DatabaseUnavailable, Unavailable) as error:
                self._child.report(f"waiting for the database: {error}", ready=False)
                await asyncio.sleep(_RETRY_S)
            else:
                return

    async def _prepare(self) -> None:
        secrets = self._installation.database_secrets
        await bootstrap(self._installation.database_url, secrets)
        await self._control.migrate()
        await self._cameras.apply_declared(self._installation.settings.camera)
        await self._first_administrator()
        await make_days(self._control, now_us())

    async def _keep_days(self) -> None:
        """Insights live as long as the longest-kept footage."""
        await make_days(self._control, now_us())
        for name in await drop_days(self._control, now_us() - self._keep_us):
            _log.info("%s is older than any footage and was dropped", name)
        self._days_made_us = now_us()

    @property
    def _keep_us(self) -> int:
        longest = max((c.keep_us or 0 for c in self._found or ()), default=0)
        return max(longest, self._installation.settings.storage.keep)

    async def _close_days_on(self) -> None:
        """Tidy days that are over, beside all else; nobody waits for it."""
        closer = Closer(self._control)
        while True:
            await asyncio.sleep(_CLOSE_EVERY_S)
            oldest_us = now_us() - self._keep_us + _NEAR_DROPPED_US
            try:
                made = await closer.close_days(now_us(), oldest_us)
            except DatabaseError as error:
                _log.warning("days that are over were not tidied, they are again soon: %s", error)
            else:
                if made:
                    _log.info("%d indexes over vectors of days that are over were made", made)

    async def _publish(self, message: OutboxMessage) -> None:
        """What the outbox tells, on the queue; the fleet's own news has no readers there yet."""
        if await make_day_asked_for(self._control, message.tenant, message.topic, message.body):
            return
        if message.topic.partition(".")[0] != TOPIC:
            return
        change = EventChange.from_body(message.body)
        await self._bus.send(
            insight_subject(change), change, id=f"{message.tenant}/{message.id}", deadline_s=_SEND_S
        )

    async def _first_administrator(self) -> None:
        file = self._installation.data.admin_token
        if await asyncio.to_thread(file.exists):
            return
        made = await self._fleet.tokens.create(
            SYSTEM, Role.ADMIN, actor=_ACTOR, name="administrator of the first start"
        )
        await asyncio.to_thread(_write_secret, file, made.secret + "\n")

    async def _assign(self) -> None:
        found = await self._cameras.assignments()
        if found.cameras != self._found:
            await self._write(found.cameras)
            self._found = found.cameras
        self._child.report(f"{len(found.cameras)} cameras are assigned", ready=True)

    async def _write(self, found: tuple[Assignment, ...]) -> None:
        settings = self._installation.settings
        declared = {CameraKey(c.tenant or DEFAULT_TENANT, c.id) for c in settings.camera}
        cameras = [
            AssignedCamera(
                tenant=a.tenant, camera=a.camera, url=a.url, declared=a.key in declared,
                keep_us=a.keep_us or settings.storage.keep,
            )
            for a in found
        ]  # fmt: skip
        file = self._installation.data.assignment(RECORDER)
        seal = Seal(self._installation.keyring)
        await asyncio.to_thread(write_assignment, file, cameras, seal)
        _log.info("%d cameras are assigned to %s", len(cameras), RECORDER)


def _write_secret(file: Path, text: str) -> None:
    temporary = file.with_suffix(".new")
    with os.fdopen(os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w") as out:
        out.write(text)
    temporary.replace(file)
