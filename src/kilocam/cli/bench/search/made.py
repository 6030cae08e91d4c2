"""A fleet's weeks of events, made up: the same for the same size, any day of any tenant by itself.

Tenants are of uneven size, one has a hundredth. Days have their hours, cameras their share, plates
and words that come often and seldom. How an object looks is a point in a space of 32 dimensions
(half of them near one of 300 regulars of the tenant) around its class, thrown into 384, with noise
in all of them: no tight clusters, in which neighbours would be found too easily.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cached_property

import numpy as np
import numpy.typing as npt

from kilocam.analyse import BoxAt, ObjectSeen, StageCount, WindowResult, event_id
from kilocam.bus import Position
from kilocam.core import CameraKey, Window
from kilocam.insight import EventFilter

DAYS = 28
"""The last of them is not over."""
LENGTH = 384
MODEL = "made@1"
VERSION = "bench"
_HOUR_US = 3_600_000_000
_DAY_US = 24 * _HOUR_US
_FIRST_US = int(datetime(2026, 10, 5, tzinfo=UTC).timestamp()) * 1_000_000
NOW_US = _FIRST_US + DAYS * _DAY_US - 6 * _HOUR_US
_LATENT, _REGULARS = 32, 300
_SMALLEST = 0.01

_CLASSES = {
    "person": 0.44, "car": 0.28, "truck": 0.05, "bicycle": 0.05, "dog": 0.02, "bus": 0.02,
    "motorcycle": 0.02, "cat": 0.01, "bird": 0.0095, "bear": 0.0005, "text": 0.05, "speech": 0.05,
}  # fmt: skip
_LABELS = tuple(_CLASSES)
_SEEN = _LABELS[:-2]
_SEEN_SHARE = sum(_CLASSES[label] for label in _SEEN)
_COLOURS = ("black", "white", "grey", "blue", "red", "green", "brown", "yellow", "orange", "purple")
_COLOUR_SHARES = np.array([0.26, 0.22, 0.2, 0.1, 0.09, 0.05, 0.04, 0.02, 0.01, 0.01])
_PLACES = (
    "gate",
    "lobby",
    "dock",
    "yard",
    "street",
    "stairs",
    "platform",
    "garage",
    "hall",
    "shop",
)
_SIGNS = ("EXIT", "NO PARKING", "RECEPTION", "LOADING ZONE", "STAFF ONLY", "SALE", "TICKETS",
          "PLATFORM 3", "FIRE DOOR", "DELIVERIES")  # fmt: skip
_SAID = """
    please hello thanks where when open close door wait here there come go back
    ticket money card lost found help nobody alright ready parcel delivery
    driver manager office window water coffee lunch train late early platform number phone call
    police doctor fire smoke stop careful broken key lock alarm light dark cold warm rain snow
    child mother father brother friend school street corner bridge garden table chair box bottle
    glass paper letter name address signature receipt return exchange price cheap expensive queue
    counter basket trolley elevator stairs basement roof fence ladder hammer paint concrete engine
    battery tyre petrol diesel licence insurance accident ambulance emergency evacuate
"""
_WORDS = tuple(_SAID.split())
_WORD_SHARES = 1 / np.arange(1, len(_WORDS) + 1)
_SPANS_US = np.array([_HOUR_US, 6 * _HOUR_US, _DAY_US, 7 * _DAY_US, DAYS * _DAY_US])
_SPAN_SHARES = (0.2, 0.2, 0.25, 0.25, 0.1)
Floats = npt.NDArray[np.float32]


@dataclass(frozen=True, slots=True, kw_only=True)
class Made:
    """How an object looks; what `Likeness.keep_all` takes."""

    window: Window
    event_id: str
    label: str
    at_us: int
    vector: Sequence[float]
    model: str = MODEL


@dataclass(frozen=True, slots=True)
class Look:
    """A vector that is asked for; what `Encode` gives."""

    vector: Sequence[float]
    model: str = MODEL


@dataclass(frozen=True, slots=True, kw_only=True)
class Question:
    """What somebody asks."""

    kind: str
    tenant: str
    text: str
    wanted: EventFilter
    look: Look


@dataclass(frozen=True, slots=True, kw_only=True)
class Tenant:
    """One of the fleet's."""

    number: int
    share: float
    cameras: tuple[str, ...]

    @property
    def id(self) -> str:
        """As the directory has it."""
        return f"tenant-{self.number:02}"


@dataclass(frozen=True)
class Fleet:
    """What there is in all; everything follows from it."""

    events: int
    vectors: int
    cameras: int
    tenants: int

    @cached_property
    def members(self) -> tuple[Tenant, ...]:
        """The tenants, the one of a hundredth last."""
        sizes = np.array([(n + 2) ** -0.7 for n in range(self.tenants - 1)] or [1.0])
        shares = [*(sizes / sizes.sum() * (1 - _SMALLEST))] if self.tenants > 1 else [1.0]
        shares += [_SMALLEST] * (self.tenants > 1)
        return tuple(
            Tenant(number=n, share=float(share), cameras=self._cameras(share))
            for n, share in enumerate(shares)
        )

    def _cameras(self, share: float) -> tuple[str, ...]:
        count = max(1, round(share * self.cameras))
        return tuple(f"{_PLACES[n % len(_PLACES)]}-{n // len(_PLACES) + 1}" for n in range(count))

    def day(self, tenant: Tenant, day: int) -> tuple[list[WindowResult], list[Made]]:
        """What the analysis of one day of a tenant came to, each event by one window."""
        random = np.random.default_rng([1, tenant.number, day])
        count = round(self.events * tenant.share / DAYS)
        labels = random.choice(len(_LABELS), count, p=list(_CLASSES.values()))
        cameras = random.choice(len(tenant.cameras), count, p=_falling(len(tenant.cameras)))
        starts = _moments(random, day, count)
        lasting = np.clip(random.lognormal(2.0, 1.0, count), 0.5, 1800) * 1e6
        scores = np.round(0.3 + 0.69 * random.beta(4, 2, count), 3)
        boxes = np.round(random.uniform(0.02, 0.45, (count, 4)), 4)
        colours = random.choice(len(_COLOURS), (count, 2), p=_COLOUR_SHARES / _COLOUR_SHARES.sum())
        results, known = [], {}
        for n in range(count):
            label = _LABELS[labels[n]]
            key = CameraKey(tenant.id, tenant.cameras[cameras[n]])
            start_us = int(starts[n])
            window = Window(
                tenant=key.tenant, camera=key.camera, start_us=start_us, end_us=start_us + 2_000_000
            )
            x, y, w, h = map(float, boxes[n])
            at = [start_us, start_us + int(lasting[n] / 2), start_us + int(lasting[n])]
            seen = ObjectSeen(
                event_id=event_id(key, start_us, 0), opens=True, label=label, still=False,
                boxes=tuple(
                    BoxAt(at_us=us, box=(x + i / 100, y, w, h), score=float(scores[n]) - i / 20)
                    for i, us in enumerate(at)
                ),
                colours=_named(colours[n]) if label in _SEEN else (),
                text=_told(random, label, tenant.number),
            )  # fmt: skip
            results.append(
                WindowResult(
                    window=window, version=VERSION, partition=key.partition,
                    position=Position(1, start_us // 1000), looked_us=start_us + 3_000_000,
                    objects=(seen,), changed=(x, y, w, h),
                    stages={"detector": StageCount(seen=1, passed=1, cost_us=20_000)},
                )
            )  # fmt: skip
            if labels[n] < len(_SEEN):
                known[n] = seen
        return results, self._looks(tenant, day, results, known)

    def _looks(
        self, tenant: Tenant, day: int, results: Sequence[WindowResult], seen: dict[int, ObjectSeen]
    ) -> list[Made]:
        random = np.random.default_rng([2, tenant.number, day])
        share = self.vectors / (self.events * _SEEN_SHARE)
        chosen = [n for n in seen if random.random() < share]
        kinds = [_SEEN.index(seen[n].label) for n in chosen]
        vectors = _vectors(random, tenant, np.array(kinds, dtype=np.int64))
        return [
            Made(
                window=results[n].window, event_id=seen[n].event_id, label=seen[n].label,
                at_us=seen[n].boxes[0].at_us, vector=vector.tolist(),
            )
            for n, vector in zip(chosen, vectors, strict=True)
        ]  # fmt: skip

    def looks(self, tenant: Tenant, count: int) -> Floats:
        """Vectors to ask for, shape (count, LENGTH): of what a tenant has, and seen anew."""
        random = np.random.default_rng([3, tenant.number])
        kinds = random.choice(3, count)
        return _vectors(random, tenant, kinds)

    def questions(self, count: int) -> list[Question]:
        """What is asked, all tenants by turns."""
        random = np.random.default_rng(4)
        asked = [self._question(random, self.members[n % self.tenants]) for n in range(count)]
        return [asked[n] for n in random.permutation(count)]

    def _question(self, random: np.random.Generator, tenant: Tenant) -> Question:
        span = int(random.choice(_SPANS_US, p=_SPAN_SHARES))
        back = random.uniform(0, DAYS * _DAY_US - span) if random.random() < 0.7 else 0.0
        to_us = NOW_US - int(back)
        camera = str(random.choice(tenant.cameras, p=_falling(len(tenant.cameras))))
        label = str(random.choice(_SEEN[:4]))
        colour = _COLOURS[int(random.integers(8))]
        kind = str(random.choice(["hybrid", "colour", "plate", "spoken", "class", "looks"]))
        cameras: tuple[str, ...] = ()
        match kind:
            case "hybrid":
                text, cameras = f"{colour} {label}", (camera,)
            case "colour":
                text = f"{colour} {label}"
            case "plate":
                text = f"plate {_plate(random, tenant.number)}"
            case "spoken":
                text = f"someone said {' '.join(_sentence(random)[:2])}"
            case "class":
                text = str(random.choice(["dog", "bear", "vehicle", "person", label]))
            case _:
                text = f"{label} carrying an umbrella"
        kinds = np.array([_SEEN.index(label)])
        return Question(
            kind=kind, tenant=tenant.id, text=text,
            wanted=EventFilter(cameras=cameras, from_us=max(_FIRST_US, to_us - span), to_us=to_us),
            look=Look(_vectors(random, tenant, kinds)[0].tolist()),
        )  # fmt: skip


ALL_TIME = EventFilter(from_us=_FIRST_US, to_us=NOW_US)


def day_us(day: int) -> int:
    """When a day begins."""
    return _FIRST_US + day * _DAY_US


def _falling(count: int) -> npt.NDArray[np.float64]:
    shares = 1 / np.sqrt(np.arange(2, count + 2))
    return np.asarray(shares / shares.sum())


def _moments(random: np.random.Generator, day: int, count: int) -> npt.NDArray[np.int64]:
    """Mostly by day, in order; never two at once."""
    morning = random.random(count) < 0.45
    hours = np.where(morning, random.normal(9, 2, count), random.normal(16, 3, count))
    most = 18.0 if day == DAYS - 1 else 24.0
    moments = np.sort((np.mod(hours, most) * _HOUR_US).astype(np.int64))
    return moments + np.arange(count) + day_us(day)


def _named(colours: npt.NDArray[np.int64]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(_COLOURS[int(each)] for each in colours))


def _told(random: np.random.Generator, label: str, tenant: int) -> str:
    if label == "speech":
        return " ".join(_sentence(random))
    if label == "text":
        return _plate(random, tenant) if random.random() < 0.7 else str(random.choice(_SIGNS))
    return ""


def _sentence(random: np.random.Generator) -> list[str]:
    count = int(random.integers(3, 12))
    return [str(word) for word in random.choice(_WORDS, count, p=_WORD_SHARES / _WORD_SHARES.sum())]


def _plate(random: np.random.Generator, tenant: int) -> str:
    """One of 5000 that a tenant meets."""
    number = int(random.integers(5_000)) * 7_919 + tenant * 104_729
    letters = "".join(chr(65 + number // 26**n % 26) for n in range(3))
    return f"{letters} {number % 900 + 100}"


def _vectors(random: np.random.Generator, tenant: Tenant, kinds: npt.NDArray[np.int64]) -> Floats:
    """One for each kind of object, of length 1; shape (kinds, LENGTH)."""
    space = np.random.default_rng(5)
    centres = space.normal(size=(len(_SEEN), LENGTH)) / np.sqrt(LENGTH)
    thrown = space.normal(size=(_LATENT, LENGTH)) / np.sqrt(LENGTH)
    regulars = np.random.default_rng([6, tenant.number]).normal(size=(_REGULARS, _LATENT))
    count = len(kinds)
    free = random.normal(size=(count, _LATENT))
    near = regulars[random.integers(_REGULARS, size=count)] * 0.8 + free * 0.6
    latent = np.where(random.random((count, 1)) < 0.5, near, free) / np.sqrt(_LATENT)
    noise = random.normal(size=(count, LENGTH)) / np.sqrt(LENGTH)
    vectors = 0.5 * centres[kinds] + latent @ thrown + 0.3 * noise
    return np.asarray(vectors / np.linalg.norm(vectors, axis=1, keepdims=True), dtype=np.float32)
