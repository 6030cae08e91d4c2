"""The runner of migrations, the bootstrap of a server, places of tenants."""

import asyncio

import asyncpg
import pytest
from tests.fakes.intruder import admin_does
from tests.fakes.postgres import SECRETS, Installation, PostgresServer, running_postgres

from kilocam.database import (
    ADMIN,
    Database,
    DatabaseSecrets,
    DatabaseUnavailable,
    Denied,
    IsolationError,
    MigrationError,
    Mode,
    Place,
    Shard,
    UnknownShard,
    UnknownTenant,
    bootstrap,
)
from kilocam.database.credentials import APP, MIGRATE, with_login
from kilocam.database.migrations import Migration, migrate

pytestmark = pytest.mark.asyncio


def numbered(number: int, sql: str) -> Migration:
    return Migration(room="test", number=number, name="made_up", sql=sql)


async def test_a_migration_runs_once(installation: Installation) -> None:
    one = numbered(1, "create table once (id int)")
    url = installation.url(MIGRATE)
    assert await migrate(url, Place(), [one]) == ["test/0001_made_up.sql"]
    assert await migrate(url, Place(), [one]) == []
    async with installation.control() as control:
        assert await control.migrate() == []


async def test_a_changed_migration_is_refused(installation: Installation) -> None:
    url = installation.url(MIGRATE)
    await migrate(url, Place(), [numbered(1, "create table once (id int)")])
    with pytest.raises(MigrationError) as caught:
        await migrate(url, Place(), [numbered(1, "create table once (id bigint)")])
    assert str(caught.value) == (
        "migration test/0001_made_up.sql was changed after it had been applied to schema kilocam: "
        "restore the file as it was and put the change into a new one"
    )


async def test_of_a_failed_migration_nothing_stays(installation: Installation) -> None:
    url = installation.url(MIGRATE)
    bad = numbered(2, "create table half (id int); select 1 / 0")
    with pytest.raises(MigrationError, match=r"test/0002_made_up.sql failed, nothing of it was"):
        await migrate(url, Place(), [numbered(1, "create table whole (id int)"), bad])
    good = numbered(2, "create table half (id int)")
    assert await migrate(url, Place(), [good]) == ["test/0002_made_up.sql"]


async def test_two_controls_that_start_at_once_migrate_once(postgres: PostgresServer) -> None:
    installation = Installation(postgres)

    async def boot() -> list[str]:
        await bootstrap(installation.url(ADMIN), SECRETS)
        async with installation.control() as control:
            return await control.migrate()

    ran = await asyncio.gather(*(boot() for _ in range(3)))
    assert sorted(name for names in ran for name in names) == [
        "database/0001_base.sql",
        "fleet/0001_fleet.sql",
        "fleet/0002_rules.sql",
        "fleet/0003_weight.sql",
    ]


async def test_a_tenant_may_have_a_schema_of_its_own(installation: Installation) -> None:
    async with installation.control() as control, installation.database() as database:
        await control.prepare_schema("apart")
        await database.place("apart", mode=Mode.SCHEMA)
        insert = "insert into tenant (tenant, id, name, created) values ($1, 'x', 'x', now())"
        for tenant in ("apart", "default"):
            async with database.for_tenant(tenant) as transaction:
                await transaction.execute(insert, tenant)
                assert [row["tenant"] for row in await transaction.fetch("table tenant")] == [
                    tenant
                ]
        places = await control.places()
        seen = []
        for place in places:
            async with control.everything(place) as transaction:
                seen.append([row["tenant"] for row in await transaction.fetch("table tenant")])
        assert seen == [["default"], ["apart"]]
        assert await control.migrate() == []


async def test_a_tenant_may_live_in_another_shard(postgres: PostgresServer) -> None:
    installation, other = Installation(postgres), Installation(postgres)
    shards = (*installation.shards, Shard(name="eu-1", region="eu", url=other.url(ADMIN)))
    for shard in shards:
        await bootstrap(shard.url, SECRETS)
    installation.shards = shards
    async with installation.control() as control, installation.database() as database:
        await control.migrate()
        placement = await database.place("far", shard="eu-1", mode=Mode.DATABASE)
        assert (placement.region, placement.shard, placement.epoch) == ("eu", "eu-1", 1)
        async with database.for_tenant("far") as transaction:
            assert await transaction.fetchval("select current_database()") == other.name
        with pytest.raises(UnknownShard, match="'us-1' is not configured on this machine"):
            await database.place("farther", shard="us-1")


async def test_a_tenant_that_has_a_place_keeps_it(installation: Installation) -> None:
    async with installation.database() as database:
        first = await database.place("shop")
        assert await database.place("shop", mode=Mode.SCHEMA) == first
        with pytest.raises(UnknownTenant, match="tenant 'nobody' does not exist"):
            await database.placement("nobody")


async def test_partitions_are_made_once_and_closed(installation: Installation) -> None:
    await admin_does(
        installation,
        "set role kilocam_owner; set search_path = kilocam;"
        " create table thing (tenant text not null, at timestamptz not null)"
        " partition by range (at); select kilocam.secure('thing');"
        " grant select, insert on thing to kilocam_app",
    )
    async with installation.control() as control, installation.database() as database:
        for _ in range(2):
            name = await control.make_partition(Place(), "thing", "2026-12-31")
            assert name == "thing_20261231"
        await control.check_isolation()
        last = 1_798_761_599_999_999  # 2026-12-31T23:59:59.999999Z
        async with database.for_tenant("default") as transaction:
            await transaction.execute("insert into thing values ('default', $1)", last)
            assert await transaction.fetchval("select at from thing") == last


async def test_an_administrator_need_not_be_superuser() -> None:
    async with running_postgres() as server:
        installation = Installation(server)
        await run(server.url(ADMIN, "postgres"), "create role boss login createrole password 'b'")
        await run(
            server.url(ADMIN, "postgres"), f'create database "{installation.name}" owner boss'
        )
        url = with_login(installation.url(ADMIN), "boss", "b")
        await bootstrap(url, SECRETS)
        await bootstrap(url, SECRETS)
        installation.shards = (Shard(url=url),)
        async with installation.control() as control, installation.database() as database:
            await control.migrate()
            await database.place("default")
        await run(server.url(ADMIN, "postgres"), "create role weak login password 'w'")
        with pytest.raises(Denied, match="give it CREATEROLE and the ownership of the database"):
            await bootstrap(with_login(url, "weak", "w"), SECRETS)


@pytest.mark.parametrize(
    "weakness", ["alter role kilocam_app bypassrls", "grant kilocam_owner to kilocam_app"]
)
async def test_roles_that_are_too_strong_are_refused(weakness: str) -> None:
    async with running_postgres() as server:
        installation = Installation(server)
        await installation.prepare()
        await run(installation.url(ADMIN), weakness)
        with pytest.raises(IsolationError, match="none of ours may be superuser or bypass"):
            await bootstrap(installation.url(ADMIN), SECRETS)


async def test_a_new_key_file_locks_out_until_control_has_run() -> None:
    fresh = DatabaseSecrets(b"another secret, that is 32 bytes")
    async with running_postgres() as server:
        installation = Installation(server)
        await installation.prepare()
        async with Database(installation.shards, fresh) as database:
            with pytest.raises(DatabaseUnavailable, match="run the control role once"):
                await database.placement("default")
        await bootstrap(installation.url(ADMIN), fresh)
        with pytest.raises(asyncpg.InvalidPasswordError):
            await asyncpg.connect(installation.url(APP))


async def run(url: str, statement: str) -> None:
    connection = await asyncpg.connect(url)
    try:
        await connection.execute(statement)
    finally:
        await connection.close()


async def test_nearest_neighbours_are_searched_until_enough_are_found(
    installation: Installation,
) -> None:
    near = "select '[1,2]'::halfvec <-> '[1,4]'::halfvec"  # loads pgvector
    async with (
        installation.database() as database,
        database.for_tenant("default") as transaction,
    ):
        assert await transaction.fetchval(near) == 2
        assert await transaction.fetchval("show hnsw.iterative_scan") == "strict_order"
