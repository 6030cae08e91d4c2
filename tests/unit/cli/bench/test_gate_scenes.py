"""Labelled scenes, the gate's figures on them, and the audit's sample against the truth."""

from collections.abc import Sequence

import numpy as np
import pytest

from kilocam.analyse.audit import drawn
from kilocam.cli.bench.quality.audited import coverage
from kilocam.cli.bench.quality.gate import gate_section, let_through
from kilocam.cli.bench.quality.labels import Box, LabelledPicture, Labels, Seen, Span, read_labels
from kilocam.cli.bench.quality.run import LABELS
from kilocam.cli.bench.quality.scenes import (
    PLACES,
    QUIET_FIRST,
    WINDOW_S,
    Part,
    Place,
    Scene,
    Shown,
    moves,
)
from kilocam.core import CameraKey
from kilocam.media import FileTrack

HERE: Box = (0.1, 0.1, 0.1, 0.2)
THERE: Box = (0.6, 0.1, 0.1, 0.2)
LEFT = Part(name="left", region=(0.0, 0.0, 0.5, 1.0), stretches=())


def labels(*boxes: Sequence[Box]) -> Labels:
    """Objects, each with its boxes from picture 0 on."""
    pictures = tuple(
        LabelledPicture(
            number=number,
            seen=tuple(
                Seen(id=str(who), kind="person", box=track[number])
                for who, track in enumerate(boxes)
                if number < len(track)
            ),
            unclear=(),
        )
        for number in range(max(map(len, boxes), default=0))
    )
    return Labels(
        film="", fps=1, kinds=frozenset({"person"}), identities=True, covers=(),
        spans=(Span(use="judging", pictures=pictures),),
    )  # fmt: skip


@pytest.mark.parametrize(
    ("boxes", "moving"),
    [
        ([[HERE, HERE]], False),
        ([[HERE, (0.2, 0.1, 0.1, 0.2)]], True),
        ([[HERE, THERE]], True),  # it leaves the part: one sight is left
        ([[THERE, (0.7, 0.1, 0.1, 0.2)]], False),  # elsewhere
        ([[HERE]], True),  # it is gone in the second picture
        ([[HERE, HERE], [THERE, THERE]], False),
    ],
)
def test_what_moves_in_a_part_is_elsewhere_in_it_or_gone(
    boxes: list[list[Box]], *, moving: bool
) -> None:
    assert moves(labels(*boxes), LEFT, range(2)) is moving


@pytest.mark.parametrize("place", PLACES, ids=lambda place: place.name)
def test_stretches_are_whole_windows_of_the_take_with_labels(place: Place) -> None:
    known = read_labels(LABELS / f"{place.labels}.json")
    for part in place.parts:
        for stretch in part.stretches:
            assert len(stretch) % (WINDOW_S * known.fps) == 0
            assert place.first <= stretch.start < stretch.stop <= place.last + 1
            assert moves(known, part, stretch)


def scene(shown: Sequence[Shown]) -> Scene:
    nothing = FileTrack(codec="h264", clock_rate=90_000, duration=0, samples=())
    return Scene(place="made up", sensor="none", video=nothing, shown=tuple(shown))


def test_what_stands_out_is_let_through_and_teaches_nothing_later() -> None:
    random = np.random.default_rng(1)
    quiet = [Shown(part="", moving=False)] * (QUIET_FIRST + 40)
    busy = [Shown(part="all of it", moving=True)] * 40
    values = [*random.lognormal(3, 0.1, len(quiet)), *random.lognormal(4, 0.1, len(busy))]
    passed = let_through(scene([*quiet, *busy]), values)
    assert all(passed[len(quiet) :])
    assert np.mean(passed[QUIET_FIRST : len(quiet)]) < 0.5
    assert all(let_through(scene(quiet[:4]), values[:4]))  # nothing is learnt yet


def test_the_section_without_scenes_reaches_nothing() -> None:
    assert gate_section([]).figures == ()
    assert gate_section([]).notes[0].endswith("reached in 0 of 0 scenes")


def test_one_window_in_so_many_is_drawn_and_always_the_same() -> None:
    key = CameraKey("default", "gate")
    windows = [n * 2_000_000 for n in range(50_000)]
    some = [at for at in windows if drawn(key, at, 500)]
    assert 60 < len(some) < 140
    assert some == [at for at in windows if drawn(key, at, 500)]
    assert some != [at for at in windows if drawn(CameraKey("default", "yard"), at, 500)]


@pytest.mark.parametrize("share", [0.0, 0.03, 0.3])
def test_the_audits_bounds_hold_the_truth_in_nine_of_ten_draws(share: float) -> None:
    """Drawn as the product draws, only more of fewer; 95 % is meant."""
    windows = [(n * 2_000_000, n < 1000 * share) for n in range(1000)]
    held = coverage(windows, share, cameras=4, draws=200, every=50)
    assert held.within >= 0.9 * held.draws
    assert held.estimate == pytest.approx(share, abs=0.03)
    assert 60 < held.sample < 100


def test_bounds_that_tell_of_something_else_do_not_hold_it() -> None:
    windows = [(n * 2_000_000, n < 50) for n in range(1000)]
    assert coverage(windows, 0.5, cameras=4, draws=20, every=50).within == 0


def test_bounds_are_as_wide_as_the_sample_is_small() -> None:
    windows = [(n * 2_000_000, n < 100) for n in range(1000)]
    few = coverage(windows, 0.1, cameras=1, draws=20, every=100)
    many = coverage(windows, 0.1, cameras=20, draws=20, every=100)
    assert few.high - few.low > 2 * (many.high - many.low)
    assert few.high > 0.4
