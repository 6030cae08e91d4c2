"""Signs and sentences shown to simulated cameras are found by their words.

    python -m bench.telling --cameras 4 --seconds 120 [--kill-every 20]

Half of the cameras show a real scene into which a sign comes for ten of thirty seconds; the others
show the scene alone, and somebody speaks (real voices, and a synthetic one where `espeak-ng` is).
Latency: from the picture that first shows the sign, or the moment a sentence ends (ledger), until
`POST /v1/search` with some of the words finds it. With `--kill-every` the analyst is killed, and
every other time frozen for longer than its leases last: no sentence may be missing at the end, or
be there twice.
"""

import argparse
import dataclasses
import json
import shutil
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from fractions import Fraction
from itertools import pairwise
from pathlib import Path
from typing import Any

import av
import numpy as np
from bench.looking import percentile, table
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont
from tests.fakes.house import House, house

from kilocam.analyse import cache_directory
from kilocam.cli.demo import DemoFootage
from kilocam.core import parse_time
from kilocam.media import MediaFile, VideoEncoding, decode_pictures, encode_media
from kilocam.simulate import Group, Ledger

WITHIN_S = 15.0
WIDTH, HEIGHT, FPS, LOOP_S = 640, 360, 15, 30
TOLD_S = 12
"""The sign comes, and somebody begins to speak, so late in the loop."""
SIGN, SIGN_WORDS = "LOADING BAY 7", "loading bay"
SENTENCE = "Please call the fire brigade. There is smoke in the loading dock."
_RATE = 48_000
_SETTLING_S = 20.0
_FROZEN_S = 15.0
_CATCH_UP_S = 60.0

Picture = NDArray[np.uint8]


@dataclass(kw_only=True)
class Outcome:
    """What came of signs, or of sentences."""

    told: int = 0
    missed: int = 0
    latencies_s: list[float] = field(default_factory=list)


@dataclass(kw_only=True)
class Result:
    """One run."""

    cameras: int
    seconds: float
    signs: Outcome = field(default_factory=Outcome)
    sentences: Outcome = field(default_factory=Outcome)
    doubled: int = 0
    """Sentences that are two events."""
    killed: int = 0
    heard: list[str] = field(default_factory=list)
    read: list[str] = field(default_factory=list)


def signed() -> MediaFile:
    """A scene into which a sign comes."""
    return encode_media(
        "sign", _pictures(with_sign=True), encoding=_encoding(),
        cache=cache_directory() / "footage", cache_key=f"sign 1 {SIGN}",
    )  # fmt: skip


def spoken() -> tuple[MediaFile, str, float]:
    """The scene with somebody who speaks; words of it, and how long it takes."""
    pcm, words = _speech()
    sound = np.zeros(LOOP_S * _RATE, np.int16)
    sound[TOLD_S * _RATE : TOLD_S * _RATE + len(pcm)] = pcm
    film = encode_media(
        "speech", _pictures(with_sign=False), encoding=_encoding(), sound=sound, sound_rate=_RATE,
        cache=cache_directory() / "footage", cache_key=f"speech 1 {words} {len(pcm)}",
    )  # fmt: skip
    return film, words, len(pcm) / _RATE


def _encoding() -> VideoEncoding:
    return VideoEncoding(
        width=WIDTH, height=HEIGHT, fps=Fraction(FPS), bitrate_kbps=256, key_interval_s=2.0
    )


def _pictures(*, with_sign: bool) -> Iterator[Picture]:
    footage = DemoFootage.find(cache_directory())
    scene = Image.fromarray(next(decode_pictures(footage.outdoor[0]))).resize((WIDTH, HEIGHT))
    sign = scene.copy()
    draw, font = ImageDraw.Draw(sign), ImageFont.load_default(26)
    draw.rectangle((200, 120, 420, 165), fill="white")
    draw.text((210, 128), SIGN, fill="black", font=font)
    for number in range(LOOP_S * FPS):
        shown = with_sign and TOLD_S <= number / FPS < TOLD_S + 10
        noise = np.random.default_rng(number).normal(0, 2, (HEIGHT, WIDTH, 1))
        lit = np.asarray(sign if shown else scene) + noise
        yield np.clip(lit, 0, 255).astype(np.uint8)


def _speech() -> tuple[NDArray[np.int16], str]:
    if shutil.which("espeak-ng") is None:
        voice = cache_directory() / "footage" / "front-center.wav"
        return _pcm(voice), "front center"
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "spoken.wav"
        subprocess.run(
            ["espeak-ng", "-s", "150", "-w", str(file), SENTENCE], check=True, timeout=30
        )
        return _pcm(file), "fire brigade"


def _pcm(file: Path) -> NDArray[np.int16]:
    resampler = av.AudioResampler(format="s16", layout="mono", rate=_RATE)
    with av.open(file) as opened:
        frames = [out for frame in opened.decode(audio=0) for out in resampler.resample(frame)]
    return np.concatenate([np.asarray(f.to_ndarray()[0], np.int16) for f in frames])


def prove(
    cameras: int, seconds: float, settling_s: float = _SETTLING_S, kill_every_s: float = 0
) -> Result:
    """One run."""
    result = Result(cameras=cameras, seconds=seconds)
    signs = max(1, cameras // 2)
    film, words, lasts_s = spoken()
    groups = [
        Group(count=signs, source=signed()),
        Group(count=max(1, cameras - signs), source=film),
    ]
    told: dict[tuple[str, str], tuple[float, dict[str, Any]]] = {}
    with house(groups=groups) as it:
        it.wait_ready(seconds=300)
        it.wait_recording(180)
        time.sleep(settling_s)
        from_us = time.time_ns() // 1000
        over = time.monotonic() + seconds
        kill_at = time.monotonic() + kill_every_s if kill_every_s else over
        while time.monotonic() < over:
            if time.monotonic() >= kill_at:
                _disturb(it, frozen=bool(result.killed % 2))
                result.killed += 1
                kill_at = time.monotonic() + kill_every_s
            for query in (SIGN_WORDS, words):
                for found in _search(it, query):
                    state = found["event_id"], found["end"]
                    told.setdefault(state, (time.time_ns() / 1000, found))
            time.sleep(0.25)
        if kill_every_s:
            it.end_cameras()  # nothing more is said; what was, is caught up
            _wait_caught_up(it)
            for found in _search(it, words):
                told.setdefault((found["event_id"], found["end"]), (time.time_ns() / 1000, found))
        spoken_of = it.get_json("/v1/events?class=speech&limit=500")["items"]
        it.end_cameras()
        ledger = it.ledger
    to_us = from_us + int((seconds - WITHIN_S) * 1e6)
    kinds = (
        ("text", range(signs), 0.0, result.signs),
        ("speech", range(signs, max(cameras, signs + 1)), lasts_s, result.sentences),
    )
    for kind, of, ends_s, outcome in kinds:
        for camera in of:
            moments = _moments(ledger, camera, from_us, to_us)
            found_s = [
                round((told_us - moment) / 1e6 - ends_s, 2)
                for moment in moments
                if (told_us := _first(told.values(), kind, camera, moment)) is not None
            ]
            outcome.latencies_s += found_s
            outcome.told += len(moments)
            outcome.missed += len(moments) - len(found_s)
    result.doubled = _doubled(spoken_of)
    titles = {(found["kind"], found["title"]) for _, found in told.values()}
    result.read = sorted(title for kind, title in titles if kind == "text")
    result.heard = sorted(title for kind, title in titles if kind == "speech")
    return result


def _disturb(it: House, *, frozen: bool) -> None:
    """The analyst dies, or stops for a while."""
    if not frozen:
        it.kill("analyst-0")
        return
    with it.frozen("analyst-0"):
        time.sleep(_FROZEN_S)


def _wait_caught_up(it: House) -> None:
    """Until nothing more is found for a while."""
    before, since = -1, time.monotonic()
    while time.monotonic() - since < _CATCH_UP_S:
        many = len(it.get_json("/v1/events?class=speech&limit=500")["items"])
        if many != before:
            before, since = many, time.monotonic()
        time.sleep(1)


def _doubled(found: Iterable[dict[str, Any]]) -> int:
    """Sentences of one camera that overlap: one was kept twice."""
    spans = sorted(
        {
            (each["camera"], parse_time(each["start"]), parse_time(each["end"]), each["id"])
            for each in found
        }
    )
    return sum(a[0] == b[0] and b[1] < a[2] for a, b in pairwise(spans))


def _first(
    told: Iterable[tuple[float, dict[str, Any]]], kind: str, camera: int, moment_us: int
) -> float | None:
    """When the first answer came that holds what was told at a moment.

    A sign that goes and comes again within seconds may be one event that lasts longer.
    """
    return min(
        (
            told_us
            for told_us, found in told
            if found["kind"] == kind
            and found["camera"] == f"cam{camera}"
            and parse_time(found["start"]) - 10e6 < moment_us < parse_time(found["end"]) + 2e6
        ),
        default=None,
    )


def _moments(ledger: Ledger, camera: int, from_us: int, to_us: int) -> list[int]:
    """When the sign came, or somebody began to speak, in [from, to)."""
    found = {
        ledger.picture_us(camera, TOLD_S * FPS, near_us=near_us)
        for near_us in range(from_us, to_us + LOOP_S * 1_000_000, LOOP_S * 500_000)
    }
    return sorted(at for at in found if from_us <= at < to_us)


def _search(it: House, query: str) -> list[dict[str, Any]]:
    request = urllib.request.Request(
        f"{it.url}/v1/search",
        data=json.dumps({"query": query, "limit": 100}).encode(),
        headers={"Authorization": f"Bearer {it.token}", "Content-Type": "application/json"},
    )
    with urllib.request.urlopen(request, timeout=20) as answer:
        items: list[dict[str, Any]] = json.load(answer)["items"]
    return items


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--cameras", type=int, default=4)
    parser.add_argument("--seconds", type=float, default=120)
    parser.add_argument("--kill-every", type=float, default=0)
    given = parser.parse_args()
    result = prove(given.cameras, given.seconds, kill_every_s=given.kill_every)
    print(json.dumps(dataclasses.asdict(result), indent=1))
    rows = []
    for what, of in (("sign", result.signs), ("sentence", result.sentences)):
        for name, value in (
            ("median", percentile(of.latencies_s, 0.5)), ("slowest", max(of.latencies_s, default=0))
        ):  # fmt: skip
            found = f"{what} found by its words, {name} s"
            if not given.kill_every:
                rows.append((found, value, f"<= {WITHIN_S:g}", 0 < value <= WITHIN_S))
        held = of.missed == 0 or (what == "sign" and given.kill_every > 0)
        rows.append((f"{what}s missed, of {of.told}", of.missed, "0", held))
    rows.append(("sentences twice", result.doubled, "0", result.doubled == 0))
    print(table(rows))
    return 0 if all(held for *_, held in rows) else 1


if __name__ == "__main__":
    sys.exit(main())
