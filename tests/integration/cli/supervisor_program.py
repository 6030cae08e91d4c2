"""A supervisor as a program of its own, for tests that kill it: DATA JOURNAL ROLE..."""

import asyncio
import logging
import sys
from pathlib import Path

from kilocam.cli.supervise_spec import Command, EngineChild, Limits, RoleChild
from kilocam.cli.supervisor import Supervisor


def main() -> None:
    run_dir, journal, *roles = sys.argv[1:]
    logging.basicConfig(level=logging.INFO)
    here = str(Path(__file__).parent)
    children = [
        RoleChild(
            name=f"{role}-{number}",
            role=role,
            entry=f"supervised_roles:{role}",
            config={"journal": journal},
            env={"PYTHONPATH": here},
            limits=Limits(stop_s=60.0),
        )
        for number, role in enumerate(roles)
    ]

    async def prepare() -> Command:
        return Command(argv=("/bin/sleep", "600"), output=Path(run_dir) / "sleep.log")

    async def probe() -> bool:
        return True

    async def run() -> None:
        engine = EngineChild(name="sleep", role="sleep", prepare=prepare, probe=probe)
        supervisor = Supervisor([children, [engine]], Path(run_dir))
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(supervisor.run())
            if await supervisor.wait_ready():
                print("ready", flush=True)

    asyncio.run(run())


if __name__ == "__main__":
    main()
