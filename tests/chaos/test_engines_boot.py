"""Boot with the queue and the database unable to start: recording does, the rest comes later."""

import stat
from pathlib import Path

import pytest
from tests.fakes.house import house


def _occupy(data: Path) -> None:
    for engine in ("nats", "postgres"):
        (data / engine).write_text("somebody's file\n")


@pytest.mark.timeout(240)
def test_recording_starts_without_queue_and_database_and_the_rest_comes_when_they_do() -> None:
    with house(cameras=6, prepare=_occupy) as it:
        it.wait_recording()
        assert not it.child("nats").get("ready")
        assert not it.child("postgres").get("ready")
        assert it.lines(f"queue directory {it.data / 'nats'} is a file: move it away")
        assert it.lines(f"{it.data / 'postgres'} is not a directory of user")
        for engine in ("nats", "postgres"):
            (it.data / engine).unlink()
        it.wait_ready()
        it.wait_announced()
        assert stat.S_IMODE((it.data / "admin-token").stat().st_mode) == 0o600
        assert it.footage(0, 5)["gaps"] == []
        assert it.stop() == 0
        truth = it.recorded()
    assert truth.differences == []
    assert truth.gaps == []
    assert truth.connections == 6
