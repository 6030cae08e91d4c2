import io
import logging

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kilocam.api.requests import spare_terminals, without_capability


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def test_requests_are_not_told_on_a_terminal(caplog: pytest.LogCaptureFixture) -> None:
    log = logging.getLogger("kilocam.api.requests")
    with caplog.at_level(logging.INFO, log.name):
        spare_terminals(io.StringIO())
        assert log.isEnabledFor(logging.INFO)
        spare_terminals(Terminal())
        assert not log.isEnabledFor(logging.INFO)
        assert log.isEnabledFor(logging.WARNING)


def test_a_capability_is_not_shown() -> None:
    shown = without_capability("/v1/media/key.83.MAC/default/gate/1-2-3-v.m4s")
    assert shown == "/v1/media/***/default/gate/1-2-3-v.m4s"


def test_a_bare_capability_is_not_shown() -> None:
    assert without_capability("/v1/media/key.83.MAC") == "/v1/media/***/"


@given(st.text())
def test_a_path_is_one_short_line(path: str) -> None:
    shown = without_capability(path)
    assert len(shown) <= 300
    assert shown.isascii()
    assert shown.isprintable()
