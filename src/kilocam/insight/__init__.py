"""Insights: what was seen, when and where; kept in Postgres, found again.

Owns: windows with their outcome and counts, events and what each window adds to them, checkpoints
of the queue's partitions, what rules find, search, the order of changes, the daily partitions of
all that.
Never does: HTTP; look at footage; know how an object was recognised.
Start reading at: `windows.py` and `told.py` (writing), then `insight.py` (reading).
"""

from kilocam.insight.audit import AUDIT, GATE, Missed, missed, stages
from kilocam.insight.closing import Closer
from kilocam.insight.contributions import TOPIC
from kilocam.insight.days import (
    DAYS_AHEAD,
    DAYS_BEHIND,
    drop_days,
    make_day_asked_for,
    make_days,
)
from kilocam.insight.errors import (
    InsightError,
    Invalid,
    NotFound,
    NotSeen,
    NotYet,
    Refused,
    Unavailable,
)
from kilocam.insight.feed import Bell, Feed
from kilocam.insight.hits import Evaluated, HitCount, RuleHits, RulesOf
from kilocam.insight.insight import Insight
from kilocam.insight.likeness import Likeness
from kilocam.insight.meaning import Meaning
from kilocam.insight.query import SEEN_CLASSES, admits, expand
from kilocam.insight.seams import Encode, Encoded, LookedWindow, SkippedWindow
from kilocam.insight.told import Grant, Stretch, Told
from kilocam.insight.tracks import Hit
from kilocam.insight.values import (
    Alike,
    Answer,
    CameraCounts,
    ChangeKind,
    Cursor,
    Event,
    EventChange,
    EventFilter,
    Found,
    Page,
    Sight,
    StageSum,
    Withdrawn,
)
from kilocam.insight.windows import Settled, Windows

__all__ = [
    "AUDIT",
    "DAYS_AHEAD",
    "DAYS_BEHIND",
    "GATE",
    "SEEN_CLASSES",
    "TOPIC",
    "Alike",
    "Answer",
    "Bell",
    "CameraCounts",
    "ChangeKind",
    "Closer",
    "Cursor",
    "Encode",
    "Encoded",
    "Evaluated",
    "Event",
    "EventChange",
    "EventFilter",
    "Feed",
    "Found",
    "Grant",
    "Hit",
    "HitCount",
    "Insight",
    "InsightError",
    "Invalid",
    "Likeness",
    "LookedWindow",
    "Meaning",
    "Missed",
    "NotFound",
    "NotSeen",
    "NotYet",
    "Page",
    "Refused",
    "RuleHits",
    "RulesOf",
    "Settled",
    "Sight",
    "SkippedWindow",
    "StageSum",
    "Stretch",
    "Told",
    "Unavailable",
    "Windows",
    "Withdrawn",
    "admits",
    "drop_days",
    "expand",
    "make_day_asked_for",
    "make_days",
    "missed",
    "stages",
]
