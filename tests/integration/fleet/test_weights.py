"""Weights of cameras: kept in the database, asked for by the analyst."""

from dataclasses import replace
from typing import cast

import pytest
from tests.integration.fleet.conftest import House

from kilocam.analyse import Glance
from kilocam.cli.roles.weights import Weights
from kilocam.core import CameraKey
from kilocam.fleet import CameraChange, CameraInput, Invalid

pytestmark = pytest.mark.asyncio
GATE, YARD = CameraKey("default", "gate"), CameraKey("default", "yard")
INPUT = CameraInput(id="gate", url="rtsp://h/")


class Seen:
    """As much of a glance as says whose camera it was of."""

    def __init__(self, key: CameraKey) -> None:
        self.key = key


async def test_the_analyst_learns_the_weights_of_tenants_it_meets(house: House) -> None:
    await house.fleet.add_tenant("shop", actor="a")
    for tenant, weight in (("default", 2.5), ("shop", 0.5)):
        await house.fleet.add_camera(tenant, replace(INPUT, weight=weight), actor="a")
    weights = Weights(house.database, {"shop": 3.0, "other": 4.0})
    weights.looked(cast("Glance", Seen(YARD)))
    await weights.refresh()
    found = [weights.of(key) for key in (GATE, YARD, CameraKey("shop", "gate"))]
    assert found == [2.5, 1.0, 3.0]  # the shop's cameras are not asked for
    weights.looked(cast("Glance", Seen(CameraKey("shop", "gate"))))
    await house.fleet.update_camera("default", "gate", CameraChange(weight=1.0), actor="a")
    await weights.refresh()
    assert [weights.of(key) for key in (GATE, CameraKey("shop", "gate"))] == [1.0, 1.5]


async def test_a_weight_outlives_other_changes_and_a_rebuild(house: House) -> None:
    await house.fleet.add_camera("default", replace(INPUT, weight=2.5), actor="a")
    changed = await house.fleet.update_camera(
        "default", "gate", CameraChange(enabled=False), actor="a"
    )
    assert changed.weight == 2.5
    await house.control.rebuild()
    assert (await house.fleet.camera("default", "gate")).weight == 2.5


@pytest.mark.parametrize("weight", [0.0, -1.0, 11.0, float("nan")])
async def test_a_weight_out_of_bounds_is_refused(house: House, weight: float) -> None:
    with pytest.raises(Invalid, match=r"weight .* is not possible: give one from 0\.1 to 10"):
        await house.fleet.add_camera("default", replace(INPUT, weight=weight), actor="a")
