"""A question in plain English words as filters, and what is left as words to look for.

"people at the gate in the last 10 minutes" asks for the class person, the camera `gate` and a time.
Pure: the cameras there are and the time now are handed in. Times are read by `query_time.py`.
"""

import difflib
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

from kilocam.insight.query_time import read_time, refuse_unread
from kilocam.insight.values import Event, EventFilter

_WORD = re.compile(r"[a-z0-9][a-z0-9_'-]*")
_MOST_WORDS = 16
_MOST_TEXT = 500

GROUPS: dict[str, tuple[str, ...]] = {
    "person": ("person",),
    "vehicle": ("car", "truck", "bus", "train", "boat", "motorcycle"),
    "car": ("car",),
    "truck": ("truck",),
    "bus": ("bus",),
    "train": ("train",),
    "boat": ("boat",),
    "cycle": ("bicycle", "motorcycle"),
    "bicycle": ("bicycle",),
    "motorcycle": ("motorcycle",),
    "animal": ("bird", "cat", "dog", "horse", "sheep", "cow", "bear"),
    "bird": ("bird",),
    "cat": ("cat",),
    "dog": ("dog",),
    "horse": ("horse",),
    "sheep": ("sheep",),
    "cow": ("cow",),
    "bear": ("bear",),
    "bag": ("backpack", "suitcase", "handbag"),
    "backpack": ("backpack",),
    "suitcase": ("suitcase",),
    "handbag": ("handbag",),
    "text": ("text",),
    "speech": ("speech",),
    "sound": ("sound",),
}
"""Classes that can be asked for by name, and the labels each of them stands for."""
_SYNONYMS = {
    "people": "person", "man": "person", "men": "person", "woman": "person", "women": "person",
    "human": "person", "somebody": "person", "someone": "person", "anybody": "person",
    "anyone": "person", "walker": "person", "pedestrian": "person", "child": "person",
    "children": "person", "kid": "person", "visitor": "person", "intruder": "person",
    "automobile": "car", "van": "car", "taxi": "car", "suv": "car", "lorry": "truck",
    "lorries": "truck", "coach": "bus", "ship": "boat", "bike": "bicycle", "cyclist": "cycle",
    "motorbike": "motorcycle", "moped": "motorcycle", "scooter": "motorcycle", "puppy": "dog",
    "kitten": "cat", "luggage": "suitcase", "rucksack": "backpack", "purse": "handbag",
    "traffic": "vehicle", "said": "speech", "says": "speech", "say": "speech", "saying": "speech",
    "spoke": "speech", "spoken": "speech", "heard": "speech", "sign": "text", "lettering": "text",
    "plate": "text", "written": "text", "reads": "text", "sounds": "sound", "noise": "sound",
}  # fmt: skip
_TOLD = ("speech", "text", "sound")
SEEN_CLASSES = tuple(name for name in GROUPS if name not in _TOLD)
"""Classes and groups of what was seen: those that rules may name."""
_SPELT = [word for word in (*GROUPS, *_SYNONYMS) if _SYNONYMS.get(word) not in _TOLD]
"""What may be misspelt: "spraying" is not "saying"."""
_ANYBODY = ("somebody", "someone", "anybody", "anyone", "people")
_SPELLINGS = {"gray": "grey"}
_STOP_WORDS = """
    a an the at in on by of near to from with and or any all some is was were are there did do does
    who what when where which show me find see seen every camera cameras cam event events it that
    this has have had been be for my our your please i you we they can could
"""
_STOP = frozenset(_WORD.findall(_STOP_WORDS))


@dataclass(frozen=True, slots=True, kw_only=True)
class Query:
    """What a question asks for."""

    labels: tuple[str, ...] = ()
    cameras: tuple[str, ...] = ()
    from_us: int | None = None
    to_us: int | None = None
    words: tuple[str, ...] = ()
    """What is none of that."""

    @property
    def restricts(self) -> bool:
        """Whether it names more than words."""
        return bool(self.labels or self.cameras or self.from_us is not None)

    @property
    def named(self) -> int:
        """How many of classes, cameras and a time it names."""
        return sum(map(bool, (self.labels, self.cameras, self.from_us is not None)))

    def narrow(self, wanted: EventFilter) -> EventFilter | None:
        """`wanted` and this; None: nothing can be both."""
        labels = _both({x for word in wanted.labels for x in expand(word)}, self.labels)
        cameras = _both(wanted.cameras, self.cameras)
        if labels is None or cameras is None:
            return None
        return replace(
            wanted,
            labels=labels,
            cameras=cameras,
            from_us=max((t for t in (wanted.from_us, self.from_us) if t is not None), default=None),
            to_us=min((t for t in (wanted.to_us, self.to_us) if t is not None), default=None),
        )

    def score(self, event: Event, hits: int) -> float:
        """How well an event that passed the filters fits: 0 to 1.

        Half is how much of the question it answers, half how sure the detector was.
        """
        terms = self.named + len(self.words)
        share = (self.named + min(hits, len(self.words))) / terms if terms else 1.0
        return round(share * (0.5 + 0.5 * min(event.score, 1.0)), 4)


def alike(label: str) -> tuple[str, ...]:
    """Labels that share a group with this one: looks mistake them for each other."""
    return tuple(sorted({each for of in GROUPS.values() if label in of for each in of} | {label}))


def expand(word: str) -> tuple[str, ...]:
    """The labels that a class or group stands for; an unknown one stands for itself."""
    return GROUPS.get(word, (word,))


def admits(wanted: EventFilter, event: Event) -> bool:
    """Whether an event is of a camera and a class that are wanted; times and text aside."""
    labels = {label for word in wanted.labels for label in expand(word)}
    return (not labels or event.label in labels) and (
        not wanted.cameras or event.camera in wanted.cameras
    )


def parse_query(text: str, *, cameras: Sequence[str], now_us: int) -> Query:
    """Read a question.

    Raises:
        Invalid: it speaks of a day that does not exist, or of a time in a way nobody understands.
    """
    rest, from_us, to_us = read_time(text[:_MOST_TEXT].lower(), now_us)
    words = _WORD.findall(rest)
    named, words = _cameras(words, cameras)
    labels: dict[str, None] = {}
    others: dict[str, None] = {}
    said = any(_class(word) in _TOLD for word in words)
    for word in words:
        if said and word in _ANYBODY:
            continue  # "someone said" is no person to be seen
        known = _class(word)
        if known is not None:
            labels.update(dict.fromkeys(GROUPS[known]))
        elif word not in _STOP:
            others[_SPELLINGS.get(word, word)] = None
    refuse_unread(others)
    return Query(
        labels=tuple(labels),
        cameras=tuple(named),
        from_us=from_us,
        to_us=to_us,
        words=tuple(others)[:_MOST_WORDS],
    )


def _cameras(words: list[str], cameras: Sequence[str]) -> tuple[list[str], list[str]]:
    """Cameras that are named, in one word or in several, and the words left."""
    named: list[str] = []
    for camera in sorted(cameras, key=lambda each: (-len(each), each)):
        parts = [part for part in re.split(r"[-_]+", camera) if part]
        for spelling in ([camera], parts):
            at = next(
                (i for i in range(len(words)) if words[i : i + len(spelling)] == spelling), -1
            )
            if at >= 0 and spelling:
                named.append(camera)
                words = words[:at] + words[at + len(spelling) :]
                break
    return named, words


def _class(word: str) -> str | None:
    """The class a word means: by name, plural, synonym, or slightly misspelt."""
    for form in (word, word.removesuffix("s"), word.removesuffix("es"), word[:-3] + "y"):
        known = _SYNONYMS.get(form, form)
        if known in GROUPS:
            return known
    if len(word) < 5 or word in _STOP:
        return None
    singular = word.removesuffix("s")
    near = difflib.get_close_matches(singular, _SPELT, n=1, cutoff=0.85)
    return _SYNONYMS.get(near[0], near[0]) if near else None


def _both(given: Iterable[str], asked: Sequence[str]) -> tuple[str, ...] | None:
    """What both name; either may name nothing, which does not restrict. None: they exclude."""
    one, other = tuple(given), tuple(asked)
    if not one or not other:
        return one or other
    return tuple(each for each in other if each in set(one)) or None
