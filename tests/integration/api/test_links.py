"""Sign-in links made over HTTP, with the database dead."""

import pytest
from tests.integration.api.conftest import House

from kilocam.fleet import Role

pytestmark = pytest.mark.asyncio


async def test_an_administrator_makes_links_that_sign_in_as_itself_once(house: House) -> None:
    async with house.signed_in(tenant="acme", role=Role.ADMIN) as admin:
        made = await admin.post("/v1/session/links")
    assert made.status_code == 201
    link = made.json()["link"]
    assert link.startswith("/v1/session/link?link=")
    assert made.json()["expires"].endswith("Z")
    async with house.client() as browser:
        assert (await browser.get(link)).status_code == 303
        who = (await browser.get("/v1/session")).json()
    assert who == {"tenant": "acme", "role": "admin", "subject": "user/test"}
    async with house.client() as thief:
        assert (await thief.get(link)).status_code == 401


async def test_nobody_else_makes_links(house: House) -> None:
    async with house.signed_in(role=Role.OPERATOR) as operator, house.client() as nobody:
        assert (await operator.post("/v1/session/links")).status_code == 403
        assert (await nobody.post("/v1/session/links")).status_code == 401
