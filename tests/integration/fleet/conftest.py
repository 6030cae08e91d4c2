"""A fleet on a fresh database, with a key file of its own."""

from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path

import pytest
import pytest_asyncio
from tests.fakes.postgres import Installation

from kilocam.database import ControlDatabase, Database
from kilocam.fleet import Fleet, FleetControl, Keyring


@dataclass(frozen=True)
class House:
    installation: Installation
    keyring: Keyring
    database: Database
    control_database: ControlDatabase
    fleet: Fleet
    control: FleetControl


@pytest.fixture
def keyring(tmp_path: Path) -> Keyring:
    return Keyring.open(tmp_path / "keys.json")


@pytest_asyncio.fixture
async def house(installation: Installation, keyring: Keyring) -> AsyncIterator[House]:
    async with installation.database() as database, installation.control() as control:
        fleet = Fleet(database, keyring)
        await fleet.ensure_tenant("default", actor="test")
        yield House(
            installation=installation,
            keyring=keyring,
            database=database,
            control_database=control,
            fleet=fleet,
            control=FleetControl(control, fleet, keyring),
        )
