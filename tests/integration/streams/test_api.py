"""How streams stand, over HTTP: the tenant's own, for its administrators."""

from collections.abc import AsyncIterator
from pathlib import Path

import httpx
import pytest
import pytest_asyncio
from fastapi import FastAPI
from tests.fakes.receiver import outgoing
from tests.integration.streams.conftest import House

from kilocam.api import Catalogue, RateLimit
from kilocam.api.app import PROBLEMS
from kilocam.api.identity import COOKIE, Identity
from kilocam.api.operations.streams import StreamOperations
from kilocam.api.problems import Translator, install
from kilocam.api.rest import mount
from kilocam.fleet import Fleet, Keyring, Principal, Role, Sessions
from kilocam.streams import Ledger, Places
from kilocam.streams.places import letter

pytestmark = pytest.mark.asyncio


class Gateway:
    def __init__(self, app: FastAPI, sessions: Sessions) -> None:
        self._app, self._sessions = app, sessions

    def client(self, tenant: str = "default", role: Role = Role.ADMIN) -> httpx.AsyncClient:
        client = httpx.AsyncClient(
            transport=httpx.ASGITransport(self._app), base_url="http://kilocam.test"
        )
        who = Principal(tenant=tenant, role=role, subject="user/test")
        client.cookies.set(COOKIE, self._sessions.issue(who))
        return client


@pytest_asyncio.fixture
async def gateway(house: House, tmp_path: Path) -> AsyncIterator[Gateway]:
    keyring = Keyring.open(tmp_path / "keys.json")
    sessions, catalogue, app = Sessions(keyring), Catalogue(), FastAPI()
    identity = Identity(Fleet(house.database, keyring).tokens, sessions, RateLimit())
    install(app, Translator(PROBLEMS))
    StreamOperations(Ledger(house.database)).enter(catalogue)
    mount(app, catalogue, identity.caller)
    yield Gateway(app, sessions)


async def test_dead_letters_are_shown_to_the_tenants_administrators(
    house: House, gateway: Gateway
) -> None:
    await house.database.place("other")
    places = Places(house.database, "default", "hook")
    await places.begin("")
    refused = letter(outgoing(3), "refused (status 422)", 0)
    await places.move("", "3", delivered=2, refused=[refused])
    await places.move("3", "4", delivered=1)
    async with gateway.client() as admin:
        listed = (await admin.get("/v1/streams")).json()
        letters = (await admin.get("/v1/streams/hook/letters")).json()
        unknown = await admin.get("/v1/streams/fax/letters")
    [stream] = listed["items"]
    assert (stream["name"], stream["delivered"], stream["dead_letters"]) == ("hook", 3, 1)
    [shown] = letters["items"]
    assert (shown["event_id"], shown["camera"]) == ("event-3", "gate")
    assert shown["why"] == "refused (status 422)"
    assert shown["body"] == {"id": "event-3", "changed": 3}
    assert unknown.status_code == 404
    assert "GET /v1/streams lists" in unknown.json()["detail"]
    async with gateway.client("other") as other:
        assert (await other.get("/v1/streams")).json()["items"] == []
        assert (await other.get("/v1/streams/hook/letters")).status_code == 404
    async with gateway.client(role=Role.OPERATOR) as operator:
        assert (await operator.get("/v1/streams")).status_code == 403
