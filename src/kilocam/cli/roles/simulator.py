"""The demo's cameras as a process of their own."""

import asyncio
from pathlib import Path

from kilocam.cli.child import Child
from kilocam.cli.demo import DemoFootage, demo_fleet
from kilocam.simulate import Simulator, serve


async def main(child: Child) -> None:
    """Play until told to stop."""
    count, port = int(str(child.config["cameras"])), int(str(child.config["port"]))
    footage = DemoFootage.find(Path(str(child.config["cache"])))
    fleet = await asyncio.to_thread(demo_fleet, footage, count)

    def announce(simulator: Simulator) -> None:
        child.report(f"playing {len(simulator.ledger.cameras)} cameras", ready=True)

    playing = asyncio.create_task(serve(fleet, port=port, announce=announce))
    stopping = asyncio.create_task(child.stopping.wait())
    await asyncio.wait({playing, stopping}, return_when=asyncio.FIRST_COMPLETED)
    for task in (playing, stopping):
        task.cancel()
    await asyncio.wait({playing, stopping})
    if not playing.cancelled():
        playing.result()
