"""Principals."""

import pytest

from kilocam.database import SYSTEM
from kilocam.fleet import Forbidden, Principal, Role


def test_a_tenants_people_act_in_their_tenant_only() -> None:
    alice = Principal(tenant="shop", role=Role.ADMIN, subject="user/alice")
    assert alice.tenant_for(None) == "shop"
    assert alice.tenant_for("shop") == "shop"
    with pytest.raises(Forbidden, match="user/alice of tenant 'shop' may not act in 'default'"):
        alice.tenant_for("default")


def test_the_installations_people_act_where_they_say() -> None:
    root = Principal(tenant=SYSTEM, role=Role.ADMIN, subject="token/1")
    assert root.tenant_for("shop") == "shop"
    assert root.tenant_for(None) == "default"
