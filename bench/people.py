"""Cameras of which some see people: what they show, when people appear there, who noticed.

What `fleet.py`, `others.py` and `overload.py` share.
"""

import dataclasses
from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from itertools import chain, islice

from bench.looking import News, percentile

from kilocam.analyse import cache_directory
from kilocam.cli.demo import DemoFootage
from kilocam.media import (
    MediaFile,
    StillSpec,
    VideoEncoding,
    decode_pictures,
    draw_still,
    encode_media,
    open_media,
    resized,
)
from kilocam.simulate import Group, Ledger, Source

WIDTH, HEIGHT, FPS, KBPS = 640, 360, 15, 256
EMPTY_S, BUSY_S = 12, 12
END_S = 5.0
"""What begins so late in a run has no time to be told."""
_LATE_S = 12.0
_EARLY_US = 300_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Mix:
    """How many cameras show what; they are numbered in this order."""

    appearing: int
    """Nobody for 12 s, then people for 12 s."""
    always: int
    """People."""
    still: int
    """Nobody."""

    @classmethod
    def of(cls, cameras: int, busy: float) -> "Mix":
        """`busy` of the cameras see people at any time: half of these always."""
        appearing = max(2, round(cameras * busy))
        always = max(2, round(cameras * busy / 2))
        return cls(appearing=appearing, always=always, still=cameras - appearing - always)

    @property
    def busy(self) -> int:
        """How many see people at all."""
        return self.appearing + self.always

    def numbers(self) -> dict[str, range]:
        """The cameras of each kind."""
        return {
            "appearing": range(self.appearing),
            "always": range(self.appearing, self.busy),
            "still": range(self.busy, self.busy + self.still),
        }

    def groups(self) -> list[Group]:
        """As the simulator plays them: of each kind half at a strictly constant bit rate."""
        sources: list[tuple[int, Sequence[Source]]] = [
            (self.appearing, [entrance(), entrance(strict_cbr=True)]),
            (self.always, [street(), street(strict_cbr=True)]),
            (self.still, [quiet(), quiet(strict_cbr=True)]),
        ]
        return [
            Group(count=(count + n) // 2, source=source)
            for count, both in sources
            for n, source in enumerate(both)
        ]


# -- footage -----------------------------------------------------------------------------------


def street(key_interval_s: float = 2.0, *, strict_cbr: bool = False) -> MediaFile:
    """A street with people at a small camera's size and bit rate."""
    footage = DemoFootage.find(cache_directory())
    encoding = _encoding(key_interval_s, strict_cbr=strict_cbr)
    return open_media(footage.outdoor[0], cache=footage.folder, encoding=encoding)


def quiet(*, strict_cbr: bool = False) -> StillSpec:
    """That street without anybody, under sensor noise."""
    footage = DemoFootage.find(cache_directory())
    return StillSpec(
        background=footage.outdoor[0], width=WIDTH, height=HEIGHT, fps=FPS, bitrate_kbps=KBPS,
        strict_cbr=strict_cbr,
    )  # fmt: skip


def entrance(*, strict_cbr: bool = False) -> MediaFile:
    """Nobody for 12 s, then people for 12 s: they appear with picture `EMPTY_S * FPS`, a key
    frame."""
    footage = DemoFootage.find(cache_directory())
    empty = draw_still(dataclasses.replace(quiet(), seconds=EMPTY_S))
    # Sized as the empty street is, which must not move when people come.
    busy = (
        resized(picture, WIDTH, HEIGHT)
        for picture in islice(decode_pictures(footage.outdoor[0]), BUSY_S * FPS)
    )
    return encode_media(
        "entrance", chain(empty, busy), cache=footage.folder,
        encoding=_encoding(2.0, strict_cbr=strict_cbr),
        cache_key=f"entrance 2 {EMPTY_S} {BUSY_S} {footage.outdoor[0].name}",
    )  # fmt: skip


def _encoding(key_interval_s: float, *, strict_cbr: bool) -> VideoEncoding:
    return VideoEncoding(
        width=WIDTH, height=HEIGHT, fps=Fraction(FPS), bitrate_kbps=KBPS,
        key_interval_s=key_interval_s, strict_cbr=strict_cbr,
    )  # fmt: skip


# -- who noticed -------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True)
class Noticed:
    """What became of the appearances of a run."""

    appearances: int
    waits_s: list[float]
    """Of each that was told of, from its first picture until then."""

    @property
    def unnoticed(self) -> int:
        """Appearances without an event within 12 s."""
        return self.appearances - len(self.waits_s)


def noticed(
    ledger: Ledger, news: Sequence[News], appearing: range, between: tuple[int, int]
) -> Noticed:
    """Hold news of people against the appearances in [from, to), in microseconds."""
    from_us, to_us = between
    moments = [(n, at) for n in appearing for at in appearances(ledger, n, from_us, to_us)]
    waits = []
    for n, at_us in moments:
        told = [
            each.told_us
            for each in news
            if each.camera == f"cam{n}" and -_EARLY_US <= each.start_us - at_us < _LATE_S * 1e6
        ]
        if told:
            waits.append((min(told) - at_us) / 1e6)
    return Noticed(appearances=len(moments), waits_s=waits)


def appearances(ledger: Ledger, camera: int, from_us: int, to_us: int) -> list[int]:
    """When people appeared in [from, to), long enough before the end to be told."""
    loop_us = (EMPTY_S + BUSY_S) * 1_000_000
    moments = {
        ledger.picture_us(camera, EMPTY_S * FPS, near_us=near_us)
        for near_us in range(from_us, to_us + loop_us, loop_us // 2)
    }
    return sorted(at for at in moments if from_us <= at < to_us - END_S * 1e6)


def told_per_minute(news: Sequence[News], always: range, between: tuple[int, int]) -> float:
    """Events of people that began in [from, to), in microseconds, of one such camera."""
    from_us, to_us = between[0], between[1] - END_S * 1e6
    names = {f"cam{n}" for n in always}
    many = sum(each.camera in names and from_us <= each.start_us < to_us for each in news)
    return round(many / len(names) / (to_us - from_us) * 60e6, 1)


def spread(waits: Sequence[float]) -> dict[str, float]:
    """Median, 95th percentile and the longest."""
    return {name: percentile(waits, q) for name, q in (("p50", 0.5), ("p95", 0.95), ("max", 1.0))}
