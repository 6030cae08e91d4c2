"""The recorder: cameras in, log out, ranges served. It starts with nothing else alive.

The loop reads sockets (`ingest`), a thread per disk writes and syncs (`record`), the range server
answers beside them with bounded work.
"""

import asyncio
import logging
from contextlib import AsyncExitStack
from pathlib import Path
from random import Random

from kilocam.bus import Bus
from kilocam.cli.assignment import watch_assignment
from kilocam.cli.camera_board import EVERY_S, BoardWriter
from kilocam.cli.child import Child, keep_collector_away
from kilocam.cli.installation import Installation
from kilocam.cli.messages import SCHEMAS, bus_target
from kilocam.cli.roles.gop_feed import GopFeed
from kilocam.core import GapCause, KilocamError, SystemClock
from kilocam.fleet import Keyring, Seal
from kilocam.ingest import Ingest, TcpDialler
from kilocam.ranges import RangesServer
from kilocam.record import Archive, LogOptions, LogWriter

_log = logging.getLogger(__name__)
_RETRY_S = 1.0


async def main(child: Child) -> None:
    """Record until told to stop; then drain, seal and mark a clean stop."""
    installation = Installation.from_json(child.config)
    storage = installation.settings.storage
    async with AsyncExitStack() as stack:
        feed: GopFeed | None = None
        if child.config["nats"] is not None:
            target = bus_target(child.config)
            bus = await stack.enter_async_context(Bus(target, SCHEMAS, name=child.name))
            mark = installation.data.watermark(child.name)
            feed = GopFeed(bus, child.name, installation.footage, mark)
        writer = LogWriter(
            installation.footage,
            child.name,
            LogOptions(keep_us=storage.keep, max_size=storage.max_size),
            gops=feed,
            died=GapCause.RECORDER_FROZEN if child.froze else GapCause.RECORDER_DIED,
        )
        await asyncio.to_thread(writer.start)
        try:
            await _record(child, installation, writer, feed)
        finally:
            await asyncio.to_thread(writer.close)


async def _record(
    child: Child, installation: Installation, writer: LogWriter, feed: GopFeed | None
) -> None:
    ingest = Ingest(
        sink=writer,
        clock=SystemClock(),
        random=Random(),  # noqa: S311 - jitter, not secrets
        dialler=TcpDialler(),
        epoch=writer.epoch,
    )

    server = RangesServer(
        installation.data.ranges(child.name), writer, Archive(installation.footage), ingest.watch
    )
    await server.start()
    keep_collector_away()
    try:
        async with asyncio.TaskGroup() as group:
            tasks = [
                group.create_task(ingest.run()),
                group.create_task(_follow_assignment(child.name, installation, ingest, writer)),
                group.create_task(_report(child, ingest)),
                group.create_task(_show_cameras(installation.data.board(child.name), ingest)),
            ]
            if feed is not None:
                tasks.append(group.create_task(feed.run(writer)))
            await child.stopping.wait()
            for task in tasks:
                task.cancel()
    finally:
        await server.close()


async def _follow_assignment(
    name: str, installation: Installation, ingest: Ingest, writer: LogWriter
) -> None:
    """Record what is assigned; what cannot be read later does not end what is recorded now."""
    file, told, trouble = installation.data.assignment(name), False, ""
    while True:
        try:
            keyring = await asyncio.to_thread(Keyring.open, installation.key_file)
            async for cameras in watch_assignment(file, Seal(keyring)):
                for camera in cameras:
                    writer.set_keep(camera.key, camera.keep_us)
                ingest.apply(camera.spec for camera in cameras)
                told, trouble = True, ""
        except (KilocamError, OSError) as error:
            if not told:
                raise
            if trouble != (trouble := str(error)):
                _log.error("recording goes on as it was told before: %s", error)
        await asyncio.sleep(_RETRY_S)


async def _report(child: Child, ingest: Ingest) -> None:
    while True:
        child.report(
            f"recording {ingest.recording} of {ingest.cameras} cameras",
            ready=True,
            cameras=ingest.cameras,
            recording=ingest.recording,
            lag_ms=ingest.lag_us / 1000,
        )
        await asyncio.sleep(1)


async def _show_cameras(file: Path, ingest: Ingest) -> None:
    clock, board = SystemClock(), BoardWriter(file)
    while True:
        await asyncio.sleep(EVERY_S)
        try:
            await asyncio.to_thread(board.write, ingest.status(), clock.monotonic_us())
        except OSError as error:
            _log.warning("camera states cannot be written: %s", error)
