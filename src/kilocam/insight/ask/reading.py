"""A question in plain English words as a plan: what is wanted, of which cameras, when.

Pure: the cameras there are and the time now are handed in. Classes, cameras and times are read as a
search reads them. What a plan does not hold is refused here, with what can be asked instead: a
question half understood would be answered with something else.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum

from kilocam.insight.errors import Invalid
from kilocam.insight.query import GROUPS, Query, parse_query

COLOURS = frozenset(
    {
        "black",
        "grey",
        "white",
        "red",
        "orange",
        "brown",
        "yellow",
        "green",
        "blue",
        "purple",
        "pink",
    }
)
"""Those that are told of objects."""
TOLD = frozenset({"speech", "text"})
CAN = (
    "I count what was seen, find it, tell when it was first or last seen, how long, by which "
    "camera, whether there was any, what was said or read, and what was recorded: "
    "'how many cars were at the gate yesterday?', 'when was the gate dark?'"
)  # fmt: skip


class Intent(StrEnum):
    """What is wanted of what was seen."""

    COUNT = "count"
    FIND = "find"
    ANY = "any"
    FIRST = "first"
    LAST = "last"
    WHEN = "when"
    HOW_LONG = "how long"
    WHICH_CAMERA = "which camera"
    COLOUR = "colour"
    QUOTE = "quote"
    SUMMARY = "summary"
    COVERAGE = "coverage"
    CAMERAS = "cameras"
    EVENT = "event"
    SIMILAR = "similar"


class NotUnderstood(Invalid):
    """The built-in planner cannot answer such a question; the text says what it can."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """What a question asks for."""

    intent: Intent
    labels: tuple[str, ...] = ()
    cameras: tuple[str, ...] = ()
    from_us: int | None = None
    to_us: int | None = None
    colours: tuple[str, ...] = ()
    any_colour: bool = False
    """One of `colours` is enough."""
    words: tuple[str, ...] = ()
    """What is none of that: looked for in what was read, heard and described."""
    phrases: tuple[str, ...] = ()
    """Words in quotation marks, to be found as they stand."""
    event: str = ""
    """Of `EVENT` and `SIMILAR`: its id."""
    rules: bool = False
    """It may speak of a zone or a line."""
    motion: tuple[str, ...] = ()
    """Words for moving and standing, which events do not tell apart."""

    @property
    def kinds(self) -> tuple[str, ...]:
        """The classes and groups that were named, the largest that fit."""
        return kinds_of(self.labels)

    @property
    def sure(self) -> bool:
        """Every word was understood for what it is."""
        return not self.words and not self.motion

    @property
    def text(self) -> str:
        """`words` and `phrases` as a search of texts takes them."""
        return " ".join([*self.words, *(f'"{phrase}"' for phrase in self.phrases)])


def _words(text: str) -> frozenset[str]:
    return frozenset(re.findall(r"[a-z']+", text))


_UUID = re.compile(r"\b[0-9a-f]{8}-(?:[0-9a-f]{4}-){3}[0-9a-f]{12}\b")
_QUOTED = re.compile(r'"([^"]{1,100})"|“([^”]{1,100})”')
_NUMBERED = re.compile(r"\b(?:camera|cam)[ _-]?0*(\d{1,9})\b")
_CALLED = re.compile(r"\bcam(?:era)?\s+'?([a-z0-9][\w-]*)")
_CALLED_BEFORE = re.compile(r"\b([a-z0-9][\w-]*)'? camera\b")
_STRANGE = (
    (r"\bwho(?:se|m)?\b|\bface|recogni[sz]|\bname of\b|'s name\b",
     "I do not know who somebody is"),
    (r"^\s*why\b|\bbecause\b", "I do not know why something happens"),
    (r"^\s*(?:please\s+)?(?:delete|remove|erase|stop|start|restart|disable|enable|turn|add|create|"
     r"change|set|open|close|unlock|lock|send|e-?mail|call|notify|alert|reboot|export|forget)\b",
     "I only look; I change, send and switch nothing"),
    (r"\bwill\b|\bgoing to\b|\bpredict|\bforecast|\bexpect", "I do not know what will be"),
    (r"\bhow (?:fast|tall|old|heavy|big|large|far|much (?:money|is|does))\b",
     "I cannot measure that; what a rule found stands with the rule"),
    (r"\bbusiest\b|\baverage\b|\bat once\b|\b(?:at the )?same time\b|\bper (?:second|minute|hour|"
     r"day|week)\b|\beach (?:hour|day)\b|\bmost (?:often|people|cars)\b|\bmaximum\b|\bpeak\b|"
     r"\bcompare|\bmore \w+ than\b|\bfewer\b|\bpercent|\bdifference\b",
     "I do not compare counts or times"),
    (r"\b(?:not|without|except|nobody|nothing|none|no one|neither|nor|never|didn't|wasn't|weren't|"
     r"isn't|than|while|between|before|after|until|since|followed|together|both|unless|if|alone)\b",
     "I do not read what one thing has to do with another, nor what was not"),
)  # fmt: skip
_INTENTS = (
    (Intent.COUNT, r"\bhow (?:many|often)\b|\bcount\b|\bnumber of\b|\bhow much traffic\b"),
    (Intent.HOW_LONG, r"\bhow long\b|\bhow much time\b|\bduration\b"),
    (Intent.WHICH_CAMERA, r"\b(?:which|what) cam(?:era)?s?\b|^\s*where\b"),
    (Intent.COLOUR, r"\b(?:what|which) colou?rs?\b"),
    (Intent.FIRST, r"\bfirst\b(?! (?:floor|aid|door|gate))|\bearliest\b"
     r"|^\s*when did .*\b(?:start|begin)"),
    (Intent.LAST, r"\bmost recent(?:ly)?\b|\blatest\b|\bnewest\b"),
    (Intent.WHEN, r"^\s*(?:at )?(?:when|what times?)\b"),
    (Intent.SUMMARY, r"\bsummar|\boverview\b|\bgoing on\b|\bhappen(?:ed|ing|s)?\b"
     r"|^\s*(?:what|which)\b"
     r"|^\s*(?:was|is|were) (?:there )?any(?:thing| activity)\b|\bactivity\b"),
    (Intent.ANY, r"^\s*(?:was|were|is|are|did|do|does|has|have|had|any|can)\b"
     r"|\bany(?:body|one|thing)\b"),
    (Intent.FIND, r"^\s*(?:please )?(?:find|show|list|search|give|display|get|look|see)\b"),
)  # fmt: skip
_NEWEST = (Intent.WHEN, Intent.SUMMARY, Intent.FIND, Intent.ANY)
"""These ask for the last one where "last" stands in the question."""
_LONE_WORDS = 3
"""So many words, and nothing else, are something to look for."""
_COVERED = _words("""
    dark offline online outage outages gap gaps recording recorded coverage missing
    connected disconnected working alive frozen live running up down footage
""")
_OUTAGE = frozenset(
    {"dark", "offline", "outage", "outages", "gap", "gaps", "coverage", "frozen", "disconnected"}
)
_CAMERA_WORDS = frozenset({"offline", "online", "recording", "connected", "disconnected"})
_NEUTRAL = _words("""
    how many much often count number long time times duration which first earliest last
    latest newest most recent recently begin began start started end ended since seen saw
    spotted detected noticed observed appear appeared appears show showed shown shows up
    present visible pass passed passes passing come came comes coming go went goes visit
    visited visits visible view around total altogether overall ever happen happened happens
    happening going summary summarise summarize overview activity activities traffic tell
    list give display get look looked search footage video clip clips picture pictures
    recording recorded moment moments exactly kind kinds type types were been being day so
    far yet just now currently right still there's what's colour colours color colors
    anything something everything thing things object objects us also into out through about
    very really along across past today's yesterday's per together ago would should if then
    hear hearing read said reading written word words phrase stay stayed stand stood remain
    remained spend spent was were here other another please kilocam hello hi thanks
""")
_MOTION = _words("""
    parked parking standing stationary motionless walk walked walking drive drove driven
    driving ride rode riding run ran running move moved moving cycle cycled cycling travel
    travelled arrive arrived arriving
""")
_MOST_WORDS = 16
"""A search drops what is beyond."""
_FOREIGN = re.compile(r"[^\W\d_a-z]")
"""Letters that no word of a search has."""
_LETTERING = re.compile(r"\b(?:signs?|plates?|lettering|written)\b")
_RULE = re.compile(
    r"\b(?:zones?|lines?|rules?|cross\w*|enter\w*|exit\w*|left|leav\w*|inside|outside|loiter\w*)\b"
)


def read_question(text: str, *, cameras: Sequence[str], now_us: int) -> Plan:
    """The plan of a question.

    Raises:
        NotUnderstood: it asks for what the built-in planner cannot tell.
        Invalid: it speaks of a time that cannot be read.
    """
    asked = text.strip().lower()
    if found := _UUID.search(asked):
        alike = re.search(r"\b(?:similar|like|alike|resembl\w*|same)\b", asked)
        return Plan(intent=Intent.SIMILAR if alike else Intent.EVENT, event=found[0])
    phrases = tuple(one or other for one, other in _QUOTED.findall(asked))
    asked = _QUOTED.sub(" ", asked)
    asked = _numbered(asked, cameras)
    query = parse_query(asked, cameras=_meant(asked, cameras), now_us=now_us)
    if len(query.words) >= _MOST_WORDS:
        raise NotUnderstood(f"that is more than I read at once: ask in fewer words. {CAN}")
    if _FOREIGN.search(asked):
        raise NotUnderstood(f"I read English; put other words in quotation marks. {CAN}")
    for pattern, why in _STRANGE:
        if re.search(pattern, _without(asked, query.cameras)):
            raise NotUnderstood(f"{why}. {CAN}")
    return _plan(asked, query, phrases)


def kinds_of(labels: Sequence[str]) -> tuple[str, ...]:
    """The groups that some labels are made of, the largest first; a lone label is its own."""
    left, found = set(labels), []
    for name in sorted(GROUPS, key=lambda each: (-len(GROUPS[each]), each)):
        if set(GROUPS[name]) <= left:
            left -= set(GROUPS[name])
            found.append(name)
    return (*found, *sorted(left))


def _plan(asked: str, query: Query, phrases: tuple[str, ...]) -> Plan:
    words = query.words
    _refuse_unknown_camera(asked, words)
    bare = _without(asked, query.cameras)
    labels = query.labels
    if set(labels) >= TOLD and _LETTERING.search(bare):
        labels = tuple(label for label in labels if label != "speech")  # a sign that "says"
    things = set(labels) - TOLD
    colours = tuple(word for word in words if word in COLOURS) if not labels or things else ()
    states = _COVERED & set(re.findall(r"[a-z]+", bare))
    left = tuple(
        word for word in words
        if word not in _NEUTRAL | _MOTION and word not in colours
    )  # fmt: skip
    intent = _intent(bare, query, states, tuple(w for w in left if w not in _COVERED), phrases)
    if intent in (Intent.COVERAGE, Intent.CAMERAS):
        left = tuple(word for word in words if word in _CAMERA_WORDS)
    kinds = kinds_of(labels)
    if colours and len(kinds) > 1:
        raise NotUnderstood(f"I cannot tell which colour goes with which: ask for one thing. {CAN}")
    return Plan(
        intent=intent,
        labels=labels,
        cameras=query.cameras,
        from_us=query.from_us,
        to_us=query.to_us,
        colours=colours,
        any_colour=" or " in bare,
        words=left,
        phrases=phrases,
        rules=bool(_RULE.search(bare)),
        motion=tuple(word for word in words if word in _MOTION),
    )


def _intent(
    bare: str, query: Query, states: frozenset[str], left: tuple[str, ...], phrases: tuple[str, ...]
) -> Intent:
    """What is wanted; `left` are the words that mean nothing yet.

    Raises:
        NotUnderstood: nothing that is known here.
    """
    something = bool(query.labels or phrases)
    if not something and not left and (intent := _of_footage(bare, query, states)):
        return intent
    asked = next((intent for intent, pattern in _INTENTS if re.search(pattern, bare)), None)
    if asked is Intent.COUNT and re.search(r"\bhow many cam(?:era)?s?\b", bare):
        return Intent.WHICH_CAMERA
    if asked is Intent.SUMMARY and TOLD & set(query.labels):
        return Intent.QUOTE
    if asked is Intent.SUMMARY and left and not something:
        asked = None  # "what is the meaning of life": nothing in it is known here
    if asked is None and re.match(r"\s*(?:wh|how)", bare):
        raise NotUnderstood(f"I do not understand what is asked. {CAN}")
    if asked in (None, *_NEWEST) and "last" in query.words:
        return Intent.LAST
    if asked is not None:
        return asked
    if something or (query.words and len(left) <= _LONE_WORDS):
        return Intent.FIND
    if query.cameras and not left:
        return Intent.SUMMARY
    raise NotUnderstood(f"I do not understand what is asked. {CAN}")


def _of_footage(bare: str, query: Query, states: frozenset[str]) -> Intent | None:
    """Where a question is about cameras and what they recorded, not about what was seen."""
    of_cameras = bool(re.search(r"\bcam(?:era)?s?\b", bare))
    if states and (of_cameras or query.cameras or states & _OUTAGE or "footage" in states):
        now = states & _CAMERA_WORDS and query.from_us is None
        listing = re.match(r"\s*(?:which|what|how many|list|show|are|is)\b", bare)
        return Intent.CAMERAS if now and listing else Intent.COVERAGE
    listed = re.search(
        r"\b(?:how many|list|show|what|which)(?: me| the| all)* cam(?:era)?s?\b", bare
    )
    seeing = re.search(r"\bsaw\b|\bseen?\b", bare)
    return Intent.CAMERAS if listed and not seeing and not query.cameras else None


def _without(asked: str, cameras: Sequence[str]) -> str:
    """The question without the cameras it names: what they are called asks for nothing."""
    for camera in cameras:
        parts = [re.escape(part) for part in re.split(r"[-_]+", camera) if part]
        asked = re.sub(rf"(?<![a-z0-9]){'[-_ ]+'.join(parts)}(?![a-z0-9])", "~", asked, count=1)
    return asked


def _numbered(asked: str, cameras: Sequence[str]) -> str:
    """The question with "camera 12" as the id of the camera that can only be meant: `cam-12`."""

    def named(found: re.Match[str]) -> str:
        pattern = re.compile(rf"(?:camera|cam)?[-_]?0*{found[1]}")
        fitting = [each for each in cameras if pattern.fullmatch(each)]
        return fitting[0] if len(fitting) == 1 else found[0]

    return _NUMBERED.sub(named, asked)


def _meant(asked: str, cameras: Sequence[str]) -> list[str]:
    """Cameras that the question names.

    One that is called by a word of questions ("people", "how", "yesterday", "red") is meant only
    where "camera" stands beside it: its name must not change what others ask.
    """
    spaced = f" {re.sub('[^a-z0-9]+', ' ', asked)} "
    beside = {*_CALLED.findall(asked), *_CALLED_BEFORE.findall(asked)}
    return [
        camera
        for camera in cameras
        if f" {' '.join(part for part in re.split('[-_]+', camera) if part)} " in spaced
        and (camera in beside or not _is_a_word(camera))
    ]


def _is_a_word(camera: str) -> bool:
    """Whether a camera's name is made of words that mean something in a question."""
    parts = [part for part in re.split("[-_]+", camera) if part]
    try:
        query = parse_query(" ".join(parts), cameras=(), now_us=0)
    except Invalid:
        return len(parts) == 1  # "night": alone it is a time, "night-yard" is not
    means = _NEUTRAL | _MOTION | _COVERED | COLOURS
    others = [word for word in query.words if word not in means]
    return not others or query.from_us is not None


def _refuse_unknown_camera(asked: str, words: Sequence[str]) -> None:
    plain = _NEUTRAL | _MOTION | _COVERED | COLOURS
    for name in _CALLED.findall(asked):
        if name in words and name not in plain:
            raise NotUnderstood(
                f"there is no camera {name!r} that I know of; ask: 'which cameras are there?'"
            )
