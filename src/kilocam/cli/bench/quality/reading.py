"""The reader against signs that are known: drawn into a real scene, coded as a camera codes them.

Drawn signs are no photographs of signs: perspective, dirt and light are missing, so the figures
flatter.
"""

from collections.abc import Iterator
from fractions import Fraction
from itertools import islice
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw, ImageFilter, ImageFont

from kilocam.analyse.lines import WHOLE
from kilocam.analyse.models import Model
from kilocam.analyse.reader import Reader
from kilocam.analyse.stored import StoredPicture, StoredPictures
from kilocam.cli.bench.quality.figures import Figure, Section
from kilocam.cli.bench.quality.films import decoded, pictures
from kilocam.cli.bench.quality.words import edits, letters
from kilocam.core import ConfigError
from kilocam.media import Picture, VideoEncoding, encode_media

WIDTH, HEIGHT, FPS = 640, 360, 15
SIGNS = (
    "LOADING BAY 7", "KX-29 TLC", "No parking", "Miller & Sons", "EXIT", "Mind the step",
    "B 1203 YZ", "Deliveries only", "Tel 555 0172", "PRIVATE PROPERTY", "Gate 4", "SLOW",
)  # fmt: skip
SIZES = (5, 8, 12)
"""Of the letters, in pixels of a picture of 640x360."""
WAYS = ("plain", "tilted by 12 degrees", "blurred by 1.5 pixels")
_EACH = 2 * FPS
"""Pictures of each sign: a key frame and what follows it."""
_NOISE = 2.0


def reading_section(model: Model, cache: Path) -> Section:
    """Errors a letter by size of the letters and by what was done to the sign.

    Raises:
        ConfigError: the footage is not there.
    """
    reader = Reader(model, StoredPictures())
    drawn = list(_drawn(cache))
    coded = _coded(cache, drawn)
    wrong: dict[tuple[int, str], list[tuple[int, int]]] = {}
    raw: dict[tuple[int, str], list[tuple[int, int]]] = {}
    for (size, way, sign, picture), shown in zip(drawn, coded, strict=True):
        for judged, seen in ((wrong, shown), (raw, _Drawn(picture))):
            lines = reader.lines(seen, WHOLE)
            read = letters(" ".join(line.text for line in lines)).replace(" ", "")
            want = letters(sign).replace(" ", "")
            judged.setdefault((size, way), []).append((edits(want, read), len(want)))
    return Section(
        name="reading",
        model=f"{model.manifest.name} {model.manifest.version}, from confidence .8 up",
        figures=tuple(
            Figure(
                name=f"letters of {size} pixels, {way}: character error",
                value=_share(wrong[size, way]), of=sum(of for _, of in wrong[size, way]),
                reference=_share(raw[size, way]), reference_is="the same, not coded",
            )
            for size in SIZES
            for way in WAYS
        ),
        notes=("drawn signs, coded at 256 kbit/s with noise of sigma 2: photographs are harder",),
    )  # fmt: skip


class _Drawn:
    """A picture that no camera sent."""

    def __init__(self, pixels: Picture) -> None:
        self._image = Image.fromarray(pixels)
        self.at_us, (self.width, self.height) = 0, self._image.size

    def rgb(self, width: int, height: int) -> Picture:
        """The whole picture squashed."""
        return np.asarray(self._image.resize((width, height), Image.Resampling.BICUBIC))

    def grey(self, width: int, height: int) -> Picture:
        """The same without colours."""
        return np.asarray(self._image.convert("L").resize((width, height)))


def _share(judged: list[tuple[int, int]]) -> float:
    return sum(wrong for wrong, _ in judged) / sum(of for _, of in judged)


def _drawn(cache: Path) -> Iterator[tuple[int, str, str, Picture]]:
    scene = next(pictures("vtest.avi", cache))
    ground = Image.fromarray(scene.rgb(WIDTH, HEIGHT))
    for number, sign in enumerate(SIGNS):
        for size in SIZES:
            for way in WAYS:
                board = _board(sign, size, way)
                image = ground.copy()
                at = (60 + 35 * number % (WIDTH - board.width - 60), 40 + 20 * number)
                image.paste(board, at, board)
                yield size, way, sign, np.asarray(image)


def _board(sign: str, size: int, way: str) -> Image.Image:
    font = ImageFont.load_default(size * 1.4)  # capitals are .7 of a font's size
    left, top, right, bottom = font.getbbox(sign)
    board = Image.new("RGBA", (int(right - left) + 16, int(bottom - top) + 12), "white")
    ImageDraw.Draw(board).text((8 - left, 6 - top), sign, fill="black", font=font)
    if way == WAYS[1]:
        board = board.rotate(12, Image.Resampling.BICUBIC, expand=True)
    if way == WAYS[2]:
        board = board.filter(ImageFilter.GaussianBlur(1.5))
    return board


def _coded(cache: Path, drawn: list[tuple[int, str, str, Picture]]) -> Iterator[StoredPicture]:
    """What a decoder gives for each: key frames of a camera's stream."""

    def shown() -> Iterator[Picture]:
        random = np.random.default_rng(3)
        for *_, picture in drawn:
            for _ in range(_EACH):
                noise = random.normal(0, _NOISE, (HEIGHT, WIDTH, 1))
                yield np.clip(picture + noise, 0, 255).astype(np.uint8)

    film = encode_media(
        "signs", shown(), cache=cache / "footage", cache_key=f"signs 1 {SIGNS} {SIZES} {WAYS}",
        encoding=VideoEncoding(
            width=WIDTH, height=HEIGHT, fps=Fraction(FPS), bitrate_kbps=256, key_interval_s=2.0
        ),
    )  # fmt: skip
    if film.video is None:
        raise ConfigError("signs that were drawn have no pictures; run it again")
    for picture in islice(decoded(film.video), 0, None, _EACH):
        yield StoredPicture(picture.pts, picture)
