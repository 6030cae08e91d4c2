"""API tokens: made, recognised, revoked, and what happens while Postgres is away."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest
from tests.fakes.postgres import SECRETS, Installation, running_postgres
from tests.integration.fleet.conftest import House
from typing_extensions import override

from kilocam.database import SYSTEM, Database, Limits, Shard, Transaction
from kilocam.fleet import (
    Conflict,
    Fleet,
    Invalid,
    Keyring,
    NotFound,
    Principal,
    Role,
    Unauthenticated,
    Unavailable,
)

pytestmark = pytest.mark.asyncio
HOUR_US = 3_600_000_000


class Hands:
    """A clock whose hands the test moves."""

    def __init__(self) -> None:
        self.now_us = 1_800_000_000_000_000

    def wall_us(self) -> int:
        return self.now_us

    def monotonic_us(self) -> int:
        return self.now_us


async def test_a_token_says_who_brings_it(house: House) -> None:
    made = await house.fleet.tokens.create("default", Role.OPERATOR, actor="a", name="gate PC")
    principal = await house.fleet.tokens.authenticate(made.secret)
    assert principal == Principal(
        tenant="default", role=Role.OPERATOR, subject=f"token/{made.token.id}"
    )
    assert made.secret not in repr(made)
    assert (await house.fleet.tokens.list("default")).items == (made.token,)


async def test_the_installations_own_token_reaches_every_tenant(house: House) -> None:
    made = await house.fleet.tokens.create(SYSTEM, Role.ADMIN, actor="a")
    principal = await house.fleet.tokens.authenticate(made.secret)
    assert principal.tenant_for(None) == "default"
    assert principal.tenant_for("shop") == "shop"


async def test_a_tenants_token_is_nobody_in_another_tenant(house: House) -> None:
    await house.fleet.add_tenant("shop", actor="a")
    made = await house.fleet.tokens.create("default", Role.ADMIN, actor="a")
    _, _, token_id, secret = made.secret.split(".")
    with pytest.raises(Unauthenticated, match="the token is not known here"):
        await house.fleet.tokens.authenticate(f"kct.shop.{token_id}.{secret}")


@pytest.mark.parametrize(
    "bearer",
    ["", "kct", "nonsense", "kct.default.x", "kct..x.y", "kct.nobody.x.y", "kct.default.x.y",
     "kct.Default.x.y", "kct._system.x.y", "kct.default.x.y.z", "kct.default.x." + "y" * 999,
     "kct.default.\0.y", "kct.default.\udc80.y"],
)  # fmt: skip
async def test_what_is_no_token_of_ours_is_refused(house: House, bearer: str) -> None:
    with pytest.raises(Unauthenticated):
        await house.fleet.tokens.authenticate(bearer)


async def test_a_revoked_token_is_refused_at_once(house: House) -> None:
    tokens = house.fleet.tokens
    made = await tokens.create("default", Role.VIEWER, actor="a")
    await tokens.authenticate(made.secret)
    await tokens.revoke("default", made.token.id, actor="b")
    with pytest.raises(Unauthenticated, match="the token was revoked: make a new one"):
        await tokens.authenticate(made.secret)
    with pytest.raises(Conflict, match="is revoked already"):
        await tokens.revoke("default", made.token.id, actor="b")
    with pytest.raises(NotFound, match="token 'none' does not exist in tenant 'default'"):
        await tokens.revoke("default", "none", actor="b")


async def test_a_token_revoked_while_it_is_looked_up_is_not_remembered(house: House) -> None:
    made = await house.fleet.tokens.create("default", Role.VIEWER, actor="a")
    looked_up, revoked = asyncio.Event(), asyncio.Event()

    class Slow(Database):
        """Whoever looks a token up learns what it found after the token was revoked."""

        @asynccontextmanager
        @override
        async def for_tenant(self, tenant: str) -> AsyncIterator[Transaction]:
            async with house.database.for_tenant(tenant) as transaction:
                yield transaction
            if not looked_up.is_set():
                looked_up.set()
                await revoked.wait()

    slow = Slow((Shard(url="postgresql://h/none"),), SECRETS)
    tokens = Fleet(slow, house.keyring).tokens
    looking = asyncio.create_task(tokens.authenticate(made.secret))
    await looked_up.wait()
    await tokens.revoke("default", made.token.id, actor="b")
    revoked.set()
    await looking  # it was good when it was asked for
    with pytest.raises(Unauthenticated, match="the token was revoked"):
        await tokens.authenticate(made.secret)


async def test_a_token_expires(house: House) -> None:
    hands = Hands()
    fleet = Fleet(house.database, house.keyring, hands)
    made = await fleet.tokens.create(
        "default", Role.VIEWER, actor="a", expires_us=hands.now_us + HOUR_US
    )
    await fleet.tokens.authenticate(made.secret)
    hands.now_us += HOUR_US
    with pytest.raises(Unauthenticated, match="the token has expired: make a new one"):
        await fleet.tokens.authenticate(made.secret)
    with pytest.raises(Invalid, match="would have expired already"):
        await fleet.tokens.create("default", Role.VIEWER, actor="a", expires_us=hands.now_us)


async def test_elsewhere_a_revoked_token_lives_30_seconds_at_most(house: House) -> None:
    hands = Hands()
    elsewhere = Fleet(house.database, house.keyring, hands)
    made = await house.fleet.tokens.create("default", Role.VIEWER, actor="a")
    await elsewhere.tokens.authenticate(made.secret)
    await house.fleet.tokens.revoke("default", made.token.id, actor="a")
    await elsewhere.tokens.authenticate(made.secret)
    hands.now_us += 30_000_001
    with pytest.raises(Unauthenticated):
        await elsewhere.tokens.authenticate(made.secret)


async def test_a_token_seen_within_the_hour_works_while_postgres_is_dead(keyring: Keyring) -> None:
    quick = Limits(free_place_s=0.5, connect_s=0.5, begin_s=0.5, statement_s=1.0)
    hands = Hands()
    async with running_postgres() as server:
        installation = Installation(server)
        await installation.prepare()
        async with installation.database(quick) as database:
            fleet = Fleet(database, keyring, hands)
            made = await fleet.tokens.create("default", Role.VIEWER, actor="a")
            unseen = await fleet.tokens.create("default", Role.VIEWER, actor="a")
            await fleet.tokens.authenticate(made.secret)
            server.kill()
            hands.now_us += HOUR_US - 1
            principal = await fleet.tokens.authenticate(made.secret)
            assert principal.subject == f"token/{made.token.id}"
            with pytest.raises(Unavailable):
                await fleet.tokens.authenticate(unseen.secret)
            hands.now_us += 2
            with pytest.raises(Unavailable):
                await fleet.tokens.authenticate(made.secret)
            server.start()
            await server.serves()
