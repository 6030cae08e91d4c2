"""Looking at footage: which windows are looked at, when, and what is in them.

Owns: the look scheduler, the cascade (rate complexity, key frame difference, detector, whole GOP),
the tracker, the worker processes, the identity of events.
Never does: store anything, speak HTTP, know where bytes come from.
Start reading at: `analyst.py`; `docs/design/analyse.md` says why.
"""

from kilocam.analyse.analyst import Analyst, AnalystOptions, AnalystStatus
from kilocam.analyse.detector import KINDS
from kilocam.analyse.errors import (
    AnalyseError,
    FootageError,
    ModelError,
    NotYet,
    Refused,
    WorkerError,
)
from kilocam.analyse.listening import Listening, ListeningOptions
from kilocam.analyse.models import (
    DETECTOR,
    Manifest,
    Model,
    cache_directory,
    load_model,
    models_directory,
)
from kilocam.analyse.pictures import Footage
from kilocam.analyse.pool import (
    ListenPool,
    LookPool,
    PoolCounts,
    PoolOptions,
    ReadPool,
    worker_command,
)
from kilocam.analyse.reading import Reading, ReadingOptions
from kilocam.analyse.results import (
    PIPELINE,
    SPEECH,
    TEXT,
    BoxAt,
    ObjectSeen,
    SkippedWindow,
    SkipReason,
    StageCount,
    WindowResult,
    event_id,
)
from kilocam.analyse.scheduler import SchedulerOptions
from kilocam.analyse.seams import (
    Companion,
    FootageSource,
    Glance,
    HearingSink,
    Noted,
    ReadingSink,
    Resume,
    WindowSink,
    WindowSource,
    Workers,
)
from kilocam.analyse.source import LEASES, BusWindows
from kilocam.analyse.windows import Counts, Learnt

__all__ = [
    "DETECTOR",
    "KINDS",
    "LEASES",
    "PIPELINE",
    "SPEECH",
    "TEXT",
    "AnalyseError",
    "Analyst",
    "AnalystOptions",
    "AnalystStatus",
    "BoxAt",
    "BusWindows",
    "Companion",
    "Counts",
    "Footage",
    "FootageError",
    "FootageSource",
    "Glance",
    "HearingSink",
    "Learnt",
    "ListenPool",
    "Listening",
    "ListeningOptions",
    "LookPool",
    "Manifest",
    "Model",
    "ModelError",
    "NotYet",
    "Noted",
    "ObjectSeen",
    "PoolCounts",
    "PoolOptions",
    "ReadPool",
    "Reading",
    "ReadingOptions",
    "ReadingSink",
    "Refused",
    "Resume",
    "SchedulerOptions",
    "SkipReason",
    "SkippedWindow",
    "StageCount",
    "WindowResult",
    "WindowSink",
    "WindowSource",
    "WorkerError",
    "Workers",
    "cache_directory",
    "event_id",
    "load_model",
    "models_directory",
    "worker_command",
]
