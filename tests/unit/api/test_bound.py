"""Operations that are called in a caller's name pass what a request of the caller's passes."""

from collections.abc import Mapping
from typing import Annotated, Any

import pytest
from pydantic import Field
from tests.fakes.clock import FakeClock

from kilocam.api.app import PROBLEMS
from kilocam.api.bound import BoundTools
from kilocam.api.catalogue import Caller, Catalogue, Model, Operation
from kilocam.api.limits import RateLimit
from kilocam.api.problems import Translator
from kilocam.fleet import NotFound, Principal, Role
from kilocam.insight.ask import ToolRefused

pytestmark = pytest.mark.asyncio


class Look(Model):
    where: Annotated[str, Field(alias="at", max_length=10)]


class Seen(Model):
    tenant: str
    where: Annotated[str, Field(alias="at")]


async def look(caller: Caller, given: Look) -> Seen:
    if given.where == "nowhere":
        raise NotFound("there is no such place")
    return Seen(tenant=caller.tenant, where=given.where)


def bound(limit: RateLimit | None = None) -> BoundTools:
    catalogue = Catalogue()
    for name, role in (("look", Role.VIEWER), ("mend", Role.OPERATOR), ("hidden", Role.VIEWER)):
        catalogue.add(
            Operation(
                name=name, summary="", method="GET", path=f"/{name}", needs=role,
                takes=Look, gives=Seen, call=look,
            )
        )  # fmt: skip
    who = Principal(tenant="default", role=Role.VIEWER, subject="user/test")
    caller = Caller(tenant="default", principal=who)
    return BoundTools(
        catalogue, {"look", "mend"}, caller, Translator(PROBLEMS), limit or RateLimit()
    )


async def test_an_operation_is_called_as_the_caller() -> None:
    assert await bound().call("look", {"at": "gate"}) == {"tenant": "default", "at": "gate"}
    assert {each.name for each in bound().specs} == {"look", "mend"}


@pytest.mark.parametrize(
    ("name", "given", "status", "text"),
    [
        ("hidden", {"at": "gate"}, 404, "no operation 'hidden'"),
        ("made-up", {}, 404, "no operation 'made-up'"),
        ("mend", {"at": "gate"}, 403, "needs the role operator"),
        ("look", {}, 422, "at: "),
        ("look", {"at": "x" * 11}, 422, "at: "),
        ("look", {"at": "gate", "tenant": "other"}, 422, "tenant: "),
        ("look", {"at": "a\0b"}, 422, "U\\+0000"),
        ("look", {"at": "nowhere"}, 404, "no such place"),
    ],
)
async def test_what_a_request_would_be_refused_is_refused(
    name: str, given: Mapping[str, Any], status: int, text: str
) -> None:
    with pytest.raises(ToolRefused, match=text) as told:
        await bound().call(name, given)
    assert told.value.status == status


async def test_each_call_counts_as_a_request() -> None:
    tools = bound(RateLimit(per_s=1, burst=2, clock=FakeClock()))
    for _ in range(2):
        await tools.call("look", {"at": "gate"})
    with pytest.raises(ToolRefused) as told:
        await tools.call("look", {"at": "gate"})
    assert told.value.status == 429
