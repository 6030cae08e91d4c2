from hypothesis import given
from hypothesis import strategies as st

from kilocam.api.requests import without_capability


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
