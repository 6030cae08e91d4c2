"""Labels as they lie in the repository, and what is no labels."""

import json
from collections import Counter
from pathlib import Path

import pytest

from kilocam.analyse import KINDS
from kilocam.cli.bench.quality.labels import Unclear, read_labels
from kilocam.cli.bench.quality.run import FILMS, LABELS
from kilocam.core import ConfigError

RAW = {
    "film": "some.avi", "width": 100, "height": 50, "fps": 10, "identities": True,
    "spans": [{"use": "tuning", "first": 0, "last": 9, "every": 5}],
    "kinds": ["person"], "covers": [[10, 10, 10, 10]],
    "ignored": [{"kind": "animal", "box": [0, 0, 10, 10], "first": 5, "last": 9, "why": "?"}],
    "tracks": [
        {"id": "p1", "kind": "person", "hidden": [5],
         "boxes": {"0": [0, 0, 10, 25], "5": [50, 0, 50, 50], "10": [0, 0, 1, 1]}},
    ],
}  # fmt: skip


def written(folder: Path, raw: object) -> Path:
    file = folder / "labels.json"
    file.write_text(json.dumps(raw))
    return file


def test_pixels_become_fractions_and_what_is_hidden_is_unclear(tmp_path: Path) -> None:
    first, second = read_labels(written(tmp_path, RAW)).spans[0].pictures
    assert [each.box for each in first.seen] == [(0, 0, 0.1, 0.5)]
    assert first.unclear == ()
    assert second.seen == ()
    assert second.unclear == (
        Unclear(kind="animal", box=(0, 0, 0.1, 0.2), region=True),
        Unclear(kind="person", box=(0.5, 0, 0.5, 1), region=False),
    )


@pytest.mark.parametrize(
    "raw", [[], {}, RAW | {"spans": 3}, RAW | {"covers": [[95, 0, 10, 10]]}, RAW | {"tracks": [1]}]
)
def test_what_is_no_labels_is_told_in_one_line(tmp_path: Path, raw: object) -> None:
    with pytest.raises(ConfigError, match=r"labels\.json cannot be read") as refused:
        read_labels(written(tmp_path, raw))
    assert "\n" not in str(refused.value)


def test_labels_that_are_not_there_are_told_with_the_way_out(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="run this from a checkout or give --labels"):
        read_labels(tmp_path / "none.json")


@pytest.mark.parametrize("name", FILMS)
def test_the_repositorys_labels_are_whole(name: str) -> None:
    labels = read_labels(LABELS / f"{name}.json")
    assert labels.kinds <= set(KINDS)
    numbers = [each.number for span in labels.spans for each in span.pictures]
    assert numbers == sorted(set(numbers))
    for span in labels.spans:
        assert span.use in {"tuning", "judging"}
        for each in span.pictures:
            assert each.seen
            assert max(Counter(seen.id for seen in each.seen).values()) == 1


def test_the_campus_has_sixteen_seconds_kept_for_judging() -> None:
    labels = read_labels(LABELS / "campus.json")
    judging = [span for span in labels.spans if span.use == "judging"]
    assert sum(len(span.pictures) for span in judging) / 2 >= 16
    everyone = {seen.id for span in judging for each in span.pictures for seen in each.seen}
    assert len(everyone) >= 10
