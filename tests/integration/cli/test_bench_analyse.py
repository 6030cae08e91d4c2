"""`kilocam bench analyse` measures with the shipped looks, on films as small as can be."""

import os
import subprocess
import sys
from itertools import pairwise
from pathlib import Path

import pytest

from kilocam.analyse import models_directory
from kilocam.cli.bench.analyse import Scene, measure_analyse
from kilocam.cli.bench.windows import FilmWindows
from kilocam.media import FileTrack, PatternSpec, StillSpec, pattern_media, still_media

SECONDS = 8
WINDOWS = SECONDS // 2 - 1  # what follows the last key frame is not played


@pytest.fixture(scope="module")
def moving() -> FileTrack:
    video = pattern_media(PatternSpec(width=320, height=240, seconds=SECONDS)).video
    assert video is not None
    return video


def test_figures_of_each_scene_tell_how_far_its_windows_came(moving: FileTrack) -> None:
    still = still_media(StillSpec(width=320, height=240, seconds=SECONDS)).video
    assert still is not None
    films = [
        Scene(name="still", video=still),
        Scene(name="moving", video=moving),
        Scene(name="moving_whole", video=moving, whole=True),
    ]
    figures = measure_analyse(films, 1, models_directory())
    assert figures["decode_ms_per_key_frame"] > 0
    assert figures["difference_ms_per_key_frame"] > 0
    for scene in ("still", "moving", "moving_whole"):
        shares = [figures[f"{scene}_{what}_share"] for what in ("looked", "changed", "found")]
        assert all(0 <= share <= 1 for share in shares)
        assert shares[1] <= shares[0]
        assert figures[f"{scene}_windows"] > 0
        assert figures[f"{scene}_windows_per_s_of_core"] > 0
        assert figures[f"{scene}_rss_mb"] > 0
    assert figures["moving_looked_share"] == 1
    assert figures["moving_changed_share"] == 1


def test_a_film_goes_on_for_ever_without_a_seam(moving: FileTrack) -> None:
    film = FilmWindows("moving", moving)
    windows = [film.window(number) for number in range(3 * WINDOWS)]
    assert len(film.complexities) == WINDOWS
    for one, next_one in pairwise(windows):
        assert one.end_us == next_one.start_us
    for number in (1, WINDOWS, WINDOWS + 1):
        times = [piece.wall_us for _, piece in film.footage(number, before=True)]
        assert times == sorted(times)
        assert times[0] == windows[number - 1].start_us
        assert windows[number].start_us in times


@pytest.mark.parametrize(
    ("arguments", "status", "says"),
    [
        (["--labels", "nowhere"], 2, "give both"),
        (["--quality", "--labels", "nowhere"], 2, "run this from a checkout or give --labels"),
        (["--seconds", "0"], 2, "--seconds"),
        (["--seconds", "soon"], 2, "--seconds"),
        ([], 2, "tools/footage.py"),
    ],
)
def test_wrong_use_gets_one_line(
    arguments: list[str], status: int, says: str, tmp_path: Path
) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "kilocam", "bench", "analyse", *arguments],
        env=os.environ | {"KILOCAM_CACHE": str(tmp_path)},
        check=False, capture_output=True, text=True, timeout=60,
    )  # fmt: skip
    assert done.returncode == status
    assert says in done.stderr.splitlines()[-1]
    assert "Traceback" not in done.stderr
    assert done.stdout == ""
