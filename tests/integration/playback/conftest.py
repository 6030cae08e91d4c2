import pytest
from tests.fakes.footage import Change, FootageSpec, Loss, Outage
from tests.fakes.stored import Stored, store

PLAIN = FootageSpec(seconds=24, sound=True)
TROUBLED = FootageSpec(
    seconds=40,
    sound=True,
    b_frames=2,
    changes=(Change(at_s=20),),
    losses=(Loss(at_s=5.5, packets=1), Loss(at_s=8, packets=2)),
    outages=(Outage(from_s=12, to_s=15),),
)


@pytest.fixture(scope="session")
def plain(tmp_path_factory: pytest.TempPathFactory) -> Stored:
    """24 s with sound, no trouble."""
    return store(tmp_path_factory.mktemp("plain"), PLAIN)


@pytest.fixture(scope="session")
def troubled(tmp_path_factory: pytest.TempPathFactory) -> Stored:
    """40 s with B-frames, lost packets, an outage and another picture size from 25 s on."""
    return store(tmp_path_factory.mktemp("troubled"), TROUBLED)
