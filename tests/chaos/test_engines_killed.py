"""Queue and database killed and frozen under load: recording, live and playback do not notice."""

import urllib.error

import pytest
from tests.fakes.house import ENGINES, House, house

STRANGER = "kct._system.0123456789.nobody-has-made-this-token-before-so-it-is-unknown"


def _viewers_are_served(it: House) -> None:
    """By a token that is known, and without a database."""
    found = it.footage(0, 5)
    assert found["gaps"] == []
    assert found["coverage"] > 0.5
    assert it.plays(1, 12)[4:8] in (b"styp", b"moof", b"ftyp")
    assert it.live(2) > 0


@pytest.mark.timeout(300)
def test_engines_killed_and_frozen_leave_no_gap_and_come_back_by_themselves() -> None:
    with house(cameras=6) as it:
        it.wait_ready()
        it.wait_recording()
        recorder, gateway = it.pid("recorder-0"), it.pid("api-0")
        _viewers_are_served(it)
        for engine in ENGINES:
            it.wait_replaced(engine, it.kill(engine))
        it.wait_announced()
        for engine in ENGINES:
            before = it.pid(engine)
            with it.frozen(engine):
                # The supervisor notices after 10 s; until then it is simply silent.
                _viewers_are_served(it)
                if engine == "postgres":
                    with pytest.raises(urllib.error.HTTPError) as caught:
                        it.get("/v1/cameras/cam0/footage", token=STRANGER)
                    assert caught.value.code == 503
                it.wait_dead(engine, before)
                _viewers_are_served(it)
        it.wait_ready()
        it.wait_announced()
        assert it.get_json("/v1/cameras")["items"]
        assert (it.pid("recorder-0"), it.pid("api-0")) == (recorder, gateway)
        assert it.secrets_shown() == []
        assert it.stop() == 0
        truth = it.recorded()
    assert truth.differences == []
    assert truth.gaps == []
