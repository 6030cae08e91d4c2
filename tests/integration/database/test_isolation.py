"""Tenants never meet: raw SQL on the app's own login, and what a broken policy looks like."""

import time

import asyncpg
import pytest
from tests.fakes.intruder import MALLORY, VICTIM, VICTIMS_WORD, Intruder, admin_does, prepare_scene
from tests.fakes.postgres import SECRETS, Installation

from kilocam.database import Denied, IsolationError
from kilocam.database.context import ContextSigner
from kilocam.database.credentials import APP

pytestmark = pytest.mark.asyncio

WEAK_TENANT = """
create or replace function kilocam.tenant() returns text language sql stable
as 'select nullif(current_setting(''kilocam.tenant'', true), '''')'
"""


async def test_raw_sql_on_the_apps_login_sees_its_tenant_only(installation: Installation) -> None:
    await prepare_scene(installation)
    intruder = Intruder(installation)
    assert await intruder.find_leaks() == []
    assert intruder.own_rows_read > 100
    async with installation.control() as control:
        await control.check_isolation()


@pytest.mark.parametrize(
    "mutation",
    [
        "drop policy tenant_only on kilocam.sighting",
        "alter policy tenant_only on kilocam.sighting using (true)",
        "alter table kilocam.sighting disable row level security",
        "create policy another on kilocam.sighting to kilocam_app using (true)",
        "grant select on kilocam.sighting_20261123 to kilocam_app;"
        " alter table kilocam.sighting_20261123 disable row level security",
    ],
)
async def test_without_the_policy_the_attack_succeeds(
    installation: Installation, mutation: str
) -> None:
    await prepare_scene(installation)
    await admin_does(installation, mutation)
    assert await Intruder(installation).find_leaks(["select 1"]) != []
    async with installation.control() as control:
        with pytest.raises(IsolationError, match=r"kilocam\.sighting"):
            await control.check_isolation()


async def test_without_the_proof_a_claim_would_be_enough(installation: Installation) -> None:
    await prepare_scene(installation)
    claim = f"select set_config('kilocam.tenant', '{VICTIM}', true)"
    assert await Intruder(installation).find_leaks([claim]) == []
    await admin_does(installation, WEAK_TENANT)
    assert await Intruder(installation).find_leaks([claim]) != []


@pytest.mark.parametrize(
    ("mutation", "why"),
    [
        (
            "alter table kilocam.camera no force row level security",
            "table kilocam.camera in database shard 'home' is open to other tenants: row security "
            "is not forced on the owner; close it with kilocam.secure()",
        ),
        (
            "set role kilocam_owner; create table kilocam.open (tenant text);"
            " grant select on kilocam.open to kilocam_app",
            "table kilocam.open in database shard 'home' is open to other tenants: row security "
            "is off; close it with kilocam.secure()",
        ),
        (
            "set role kilocam_owner; create view kilocam.all_cameras as"
            " select * from kilocam.camera; grant select on kilocam.all_cameras to kilocam_app",
            "table kilocam.all_cameras in database shard 'home' is open to other tenants: row "
            "security is off; close it with kilocam.secure()",
        ),
        (
            "set role kilocam_owner; create table kilocam.sighting_by_hand partition of"
            " kilocam.sighting for values from ('2000-01-01') to ('2000-01-02')",
            "table kilocam.sighting_by_hand in database shard 'home' is open to other tenants: row "
            "security is off; close it with kilocam.secure()",
        ),
        (
            "grant select on kilocam.sighting_20261123 to kilocam_app",
            "table kilocam.sighting_20261123 in database shard 'home' is open to other tenants: "
            "the app has a grant on a partition; close it with kilocam.secure()",
        ),
        (
            "alter policy tenant_only on kilocam.camera with check (true)",
            "table kilocam.camera in database shard 'home' is open to other tenants: its policies "
            "are not those that kilocam.secure() makes; close it with kilocam.secure()",
        ),
    ],
)
async def test_an_open_table_is_found_and_named(
    installation: Installation, mutation: str, why: str
) -> None:
    await prepare_scene(installation)
    await admin_does(installation, mutation)
    async with installation.control() as control:
        with pytest.raises(IsolationError) as caught:
            await control.migrate()
    assert str(caught.value) == why


async def test_without_a_tenant_nothing_is_seen_and_nothing_can_be_written(
    installation: Installation,
) -> None:
    await prepare_scene(installation)
    connection = await asyncpg.connect(installation.url(APP))
    try:
        assert await connection.fetch("select * from kilocam.sighting") == []
        with pytest.raises(asyncpg.InsufficientPrivilegeError, match="row-level security"):
            await connection.execute(
                "insert into kilocam.sighting values ('victim', '2026-11-23T12:00:00Z', 'x')"
            )
    finally:
        await connection.close()


async def test_an_expired_proof_is_an_error_not_an_empty_answer(installation: Installation) -> None:
    await prepare_scene(installation)
    old = ContextSigner(SECRETS.context_key()).proof(MALLORY, int(time.time()) - 3600)
    connection = await asyncpg.connect(installation.url(APP))
    try:
        await connection.execute("select set_config('kilocam.tenant', $1, false)", MALLORY)
        await connection.execute("select set_config('kilocam.proof', $1, false)", old)
        with pytest.raises(asyncpg.InsufficientPrivilegeError, match="the clocks of this machine"):
            await connection.fetch("select * from kilocam.sighting")
    finally:
        await connection.close()


async def test_a_transaction_of_one_tenant_cannot_write_another_ones_row(
    installation: Installation,
) -> None:
    await prepare_scene(installation)
    async with installation.database() as database:
        with pytest.raises(Denied, match="row-level security"):
            async with database.for_tenant(MALLORY) as transaction:
                await transaction.execute(
                    "insert into sighting values ('victim', $1, 'x')", 1_795_435_200_000_000
                )
        async with database.for_tenant(VICTIM) as transaction:
            rows = await transaction.fetch("select tenant, note from sighting")
    assert rows == [{"tenant": VICTIM, "note": VICTIMS_WORD}]


async def test_control_sees_all_tenants(installation: Installation) -> None:
    await prepare_scene(installation)
    async with installation.control() as control, control.everything() as transaction:
        assert await transaction.fetchval("select count(*) from sighting") == 2
        assert (
            await transaction.fetchval("select count(*) from only kilocam.sighting_20261123") == 2
        )
