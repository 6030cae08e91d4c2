"""Stored is what was sent, by the ledger, packet for packet: flapping, quirky and heavy cameras."""

from pathlib import Path

import pytest
from bench.thousand import fleet, prove

from kilocam.media import PatternSpec

CACHE = Path("build/bench-cache")


def test_thirty_cameras_are_stored_packet_for_packet(tmp_path: Path) -> None:
    result = prove(fleet(30, 3, 0, PatternSpec(seconds=10)), 15, tmp_path, None)
    assert result.differences == []
    assert result.connections > 30
    assert result.packets > 30 * 15 * 15


@pytest.mark.full
@pytest.mark.timeout(1200)
def test_a_thousand_cameras_are_stored_packet_for_packet(tmp_path: Path) -> None:
    result = prove(fleet(1000, 20, 2), 120, tmp_path, CACHE)
    assert result.differences == []
    assert result.packets > 1000 * 15 * 120
