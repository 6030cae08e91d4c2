"""`kilocam bench search` keeps what it says, finds what is nearest, and goes on where it ended."""

import json
from dataclasses import replace

import pytest
from tests.fakes.postgres import open_directory

from kilocam.cli.bench.record import BenchError
from kilocam.cli.bench.search.made import Fleet
from kilocam.cli.bench.search.measure import measure_search

FLEET = Fleet(events=3_000, vectors=1_000, cameras=12, tenants=3)


def test_a_small_fleet_is_kept_asked_and_used_again() -> None:
    told: list[str] = []
    with open_directory() as root:
        data = root / "data"
        figures = measure_search(FLEET, data, 12, told.append)
        assert figures.events == pytest.approx(FLEET.events, rel=0.05)
        assert figures.vectors == pytest.approx(FLEET.vectors, rel=0.2)
        assert (figures.tenants, figures.questions) == (3, 12)
        assert figures.cameras >= FLEET.cameras  # each tenant has one
        assert figures.recall_at_10_least == 1
        assert figures.disk_mb > figures.tables_mb["event"] > 0

        state = data / "search.json"
        before = json.loads(state.read_text())
        died = {**before, "done": before["done"][:-2]}
        state.write_text(json.dumps(died))
        measure_search(FLEET, data, 12, told.append)
        assert json.loads(state.read_text())["kept"] == before["kept"]

        with pytest.raises(BenchError, match="another fleet"):
            measure_search(replace(FLEET, events=4_000), data, 12, told.append)
    assert any("day 28 of 28" in line for line in told)
