"""What is known of each camera outlives the analyst that learnt it."""

import logging
from pathlib import Path

import pytest

from kilocam.analyse import Learnt
from kilocam.cli.roles.quiet import recall, remember
from kilocam.core import CameraKey

GATE, YARD = CameraKey("default", "gate"), CameraKey("other", "yard")
LEARNT = {GATE: Learnt(levels=(7.25, 8.5)), YARD: Learnt(active=True)}


def test_what_was_learnt_comes_back_as_it_was(tmp_path: Path) -> None:
    file = tmp_path / "quiet.json"
    assert recall(file) == {}
    remember(file, LEARNT)
    assert recall(file) == LEARNT


@pytest.mark.parametrize(
    "content",
    ["", "{", "[1]", "null", '{"gate": [true, [1]]}', '{"a/b/c": [true, [1]]}', '{"a/b": 3}',
     '{"a/b": [true, ["x"]]}', '{"a/b": [1, [1]]}', '{"a/b": [true, {}]}', '{"a/b": [true, [NaN]]}',
     '{"a/b": [true]}', '{"a/b": [true, [1' + "0" * 400 + "]]}", "[" * 100_000],
)  # fmt: skip
def test_a_file_that_is_none_of_ours_is_passed_over_and_told(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, content: str
) -> None:
    file = tmp_path / "quiet.json"
    file.write_text(content)
    with caplog.at_level(logging.WARNING):
        assert recall(file) == {}
    assert "quiet.json cannot be read" in caplog.text


def test_a_place_that_cannot_be_written_is_no_reason_to_stop(tmp_path: Path) -> None:
    remember(tmp_path / "gone" / "quiet.json", LEARNT)
