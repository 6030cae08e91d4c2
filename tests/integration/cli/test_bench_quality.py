"""What `kilocam bench analyse --quality` says, of the checkout's labels and of a made-up film."""

import json
from collections.abc import Iterator
from dataclasses import replace
from fractions import Fraction

import pytest

from kilocam.analyse import DETECTOR, cache_directory, load_model, models_directory
from kilocam.analyse.detector import Detector
from kilocam.analyse.models import LISTENER, READER
from kilocam.cli.bench.quality.audited import look_over
from kilocam.cli.bench.quality.figures import as_json, table
from kilocam.cli.bench.quality.gate import gate_section
from kilocam.cli.bench.quality.hearing import SENTENCES, hearing_section
from kilocam.cli.bench.quality.labels import read_labels
from kilocam.cli.bench.quality.reading import SIGNS, reading_section
from kilocam.cli.bench.quality.run import FILMS, LABELS, large_sections, seeing_sections
from kilocam.cli.bench.quality.scenes import Scene, Shown
from kilocam.media import (
    H265Encoding,
    PatternSpec,
    Picture,
    StillSpec,
    VideoEncoding,
    draw_pattern,
    draw_still,
    encode_media,
)

FPS, SIZE = 10, (320, 240)
QUIET, MOVING = 20, 4


def test_seeing_is_judged_on_the_labels_of_the_checkout() -> None:
    known = [read_labels(LABELS / f"{name}.json") for name in FILMS]
    some = seeing_sections(known, cache_directory(), models_directory())
    sections = {each.name: each for each in some}
    values = {figure.name: figure.value for figure in sections["detector"].figures}
    assert values["vtest.avi, judging, person: recall"] > 0.7
    assert values["vtest.avi, judging, person: precision"] > 0.8
    kept = {figure.name: figure for figure in sections["tracker"].figures}
    ours = kept["vtest.avi, judging, 2 pictures a second: IDF1"]
    assert ours.reference is not None
    assert ours.value > ours.reference
    assert json.loads(json.dumps(as_json(some))).keys() == sections.keys()
    for section in some:
        assert all(figure.name in table([section]) for figure in section.figures)


def test_tiles_find_more_of_those_who_are_small_in_a_large_picture() -> None:
    known = read_labels(LABELS / "campus.json")
    first = replace(known.spans[0], pictures=known.spans[0].pictures[:7])
    model = load_model(DETECTOR, models_directory())
    some = large_sections(model, replace(known, spans=(first,)), cache_directory())
    found = {each.name: {one.name: one for one in each.figures} for each in some}
    name = "vtest.avi in a corner of 1920x1080, tuning, person: recall"
    whole, tiled = (
        found[f"detector, large picture {how}"] for how in ("by the whole", "with tiles")
    )
    assert whole[name].of == tiled[name].of == 27
    assert whole[name].value + 0.2 < tiled[name].value


def test_hearing_is_judged_by_the_words_that_were_said() -> None:
    model = load_model(LISTENER, models_directory())
    section = hearing_section(model, cache_directory() / "footage", SENTENCES[1:2])
    values = {figure.name: figure.value for figure in section.figures}
    assert values["a real voice: word error"] < 0.3
    assert values["synthetic voices, clean: word error"] < 0.5
    assert values["nobody speaks, noise: words made up"] == 0


def test_reading_is_judged_by_the_letters_that_were_drawn() -> None:
    model = load_model(READER, models_directory())
    section = reading_section(model, cache_directory(), SIGNS[:1])
    values = {figure.name: figure.value for figure in section.figures}
    assert values["letters of 12 pixels, plain: character error"] < 0.1
    assert len(values) == 9


def drawn_pictures() -> Iterator[Picture]:
    width, height = SIZE
    still = StillSpec(width=width, height=height, fps=FPS, seconds=2 * QUIET, sigma=1)
    yield from draw_still(still)
    yield from draw_pattern(PatternSpec(width=width, height=height, fps=FPS, seconds=2 * MOVING))
    yield next(draw_still(still))  # its key frame closes the last window


def drawn_scene(codec: type[VideoEncoding]) -> Scene:
    width, height = SIZE
    encoding = codec(width=width, height=height, fps=Fraction(FPS), key_interval_s=2)
    video = encode_media("made up", drawn_pictures(), encoding=encoding).video
    assert video is not None
    shown = [Shown(part="", moving=False)] * QUIET + [Shown(part="all", moving=True)] * MOVING
    return Scene(
        place="made up", sensor="none", video=video, shown=tuple(shown), quiet_first=QUIET
    )  # fmt: skip


@pytest.fixture(scope="module")
def scene() -> Scene:
    return drawn_scene(VideoEncoding)


@pytest.mark.parametrize("codec", [VideoEncoding, H265Encoding])
def test_the_gate_lets_through_what_moves_and_little_else(codec: type[VideoEncoding]) -> None:
    quiet, moving = gate_section([drawn_scene(codec)]).figures
    assert (quiet.of, moving.of) == (QUIET // 2, MOVING)
    assert quiet.value < 0.5
    assert moving.value == 0  # passed over


def test_the_shipped_scheduler_passes_over_quiet_windows_alone(scene: Scene) -> None:
    looked = look_over(scene, Detector(load_model(DETECTOR, models_directory())))
    assert (looked.windows, looked.moving, looked.missed) == (QUIET // 2 + MOVING, MOVING, 0)
    assert looked.passed_over
    assert not any(each.moving or each.seen for each in looked.passed_over)
