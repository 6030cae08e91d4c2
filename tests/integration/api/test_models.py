"""Which models there are, over HTTP."""

from dataclasses import replace

import pytest
from tests.integration.api.conftest import House

from kilocam.analyse import Manifest, Tally, Trial, Verdict
from kilocam.analyse.canary import Agreement
from kilocam.api.operations.models import ModelOperations
from kilocam.cli.models_board import listing, write_models

pytestmark = pytest.mark.asyncio
EYE = Manifest(
    name="eye",
    version="1",
    file="eye.onnx",
    sha256="00",
    licence="Apache-2.0",
    source="here",
    input=(1, 2, 2, 3),
    classes={0: "person", 17: "dog"},
)


async def test_models_are_told_with_what_became_of_the_trial(house: House) -> None:
    candidate, idle = replace(EYE, version="2"), replace(EYE, name="ear")
    glass = replace(EYE, name="glass")
    trial = Trial(
        current="eye@1",
        candidate="eye@2",
        begun_us=1_774_550_000_000_000,
        decided_us=1_774_550_600_000_000,
        verdict=Verdict.ROLLED_BACK,
        why="it misses 40 of 40 persons that the one in use sees",
        tally=Tally(looks=7, kinds={"person": Agreement(known=40, missed=40)}),
    )
    shown = listing(
        [EYE, candidate, idle, glass],
        configured=EYE,
        looking=EYE,
        candidate=candidate,
        trial=trial,
        likeness=glass,
        problem="",
    )
    write_models(house.folder / "models.json", shown)
    async with house.signed_in() as viewer:
        answer = (await viewer.get("/v1/models")).raise_for_status().json()

    assert [(m["name"], m["version"], m["role"]) for m in answer["items"]] == [
        ("eye", "1", "current"),
        ("eye", "2", "rolled back"),
        ("ear", "1", "idle"),
        ("glass", "1", "likeness"),
    ]
    assert answer["items"][0]["classes"] == ["dog", "person"]
    assert answer["items"][0]["licence"] == "Apache-2.0"
    assert answer["items"][0]["trial"] is None
    told = answer["items"][1]["trial"]
    assert told["why"] == "it misses 40 of 40 persons that the one in use sees"
    assert told["kinds"]["person"] == {"known": 40, "missed": 40, "found": 0, "extra": 0}
    assert told["begun"].endswith("Z")


async def test_before_an_analyst_has_told_of_them_that_is_told(house: House) -> None:
    async with house.signed_in() as viewer:
        answer = (await viewer.get("/v1/models")).raise_for_status().json()
    assert answer["items"] == []
    assert answer["problem"] == "no analyst has told of its models yet"


async def test_what_is_wrong_with_likeness_is_told_by_itself(house: House) -> None:
    file = house.folder / "models.json"
    shown = listing([], configured=None, looking=None, candidate=None, trial=None, likeness=None,
                    problem="", likeness_problem="model glass: it is broken")  # fmt: skip

    async def read() -> str | None:
        return file.read_text() if file.exists() else None

    models = ModelOperations(read)
    assert await models.likeness_problem() == ""
    write_models(file, shown)
    assert await models.likeness_problem() == "model glass: it is broken"
