"""Looking at footage: which windows are looked at, when, and what is in them.

Owns: the look scheduler, the cascade (rate complexity, key frame difference, detector, whole GOP),
the tracker, the worker processes, the identity of events.
Never does: store anything, speak HTTP, know where bytes come from.
Start reading at: `analyst.py`; `docs/design/analyse.md` says why.
"""

from kilocam.analyse.analyst import Analyst, AnalystOptions, AnalystStatus
from kilocam.analyse.canary import Limits, Tally, Verdict
from kilocam.analyse.comparing import Comparing, ComparingOptions
from kilocam.analyse.describing import Describing, DescribingOptions
from kilocam.analyse.detector import KINDS
from kilocam.analyse.detectors import check_detector
from kilocam.analyse.embedder import check_embedding
from kilocam.analyse.embedding import EmbedOutcome, TextTask
from kilocam.analyse.errors import (
    AnalyseError,
    FootageError,
    ModelError,
    NotYet,
    Refused,
    WorkerError,
)
from kilocam.analyse.likening import Likening, LikeningOptions
from kilocam.analyse.listening import Listening, ListeningOptions
from kilocam.analyse.models import (
    DETECTOR,
    DETECTOR_32,
    LIKENESS,
    LISTENER,
    READER,
    Manifest,
    Model,
    cache_directory,
    known_models,
    load_manifest,
    load_model,
    models_directory,
)
from kilocam.analyse.pictures import Footage
from kilocam.analyse.pool import (
    ComparePool,
    CutPool,
    EmbedPool,
    ListenPool,
    LookPool,
    PoolCounts,
    PoolOptions,
    ReadPool,
    TextPool,
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
    LikenessSink,
    Noted,
    Permit,
    Portrait,
    ReadingSink,
    Resume,
    WindowSink,
    WindowSource,
    Workers,
)
from kilocam.analyse.source import LEASES, BusWindows
from kilocam.analyse.trials import BUCKET, BusTrial, Trial
from kilocam.analyse.windows import Counts, Learnt

__all__ = [
    "BUCKET",
    "DETECTOR",
    "DETECTOR_32",
    "KINDS",
    "LEASES",
    "LIKENESS",
    "LISTENER",
    "PIPELINE",
    "READER",
    "SPEECH",
    "TEXT",
    "AnalyseError",
    "Analyst",
    "AnalystOptions",
    "AnalystStatus",
    "BoxAt",
    "BusTrial",
    "BusWindows",
    "Companion",
    "ComparePool",
    "Comparing",
    "ComparingOptions",
    "Counts",
    "CutPool",
    "Describing",
    "DescribingOptions",
    "EmbedOutcome",
    "EmbedPool",
    "Footage",
    "FootageError",
    "FootageSource",
    "Glance",
    "HearingSink",
    "Learnt",
    "LikenessSink",
    "Likening",
    "LikeningOptions",
    "Limits",
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
    "Permit",
    "PoolCounts",
    "PoolOptions",
    "Portrait",
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
    "Tally",
    "TextPool",
    "TextTask",
    "Trial",
    "Verdict",
    "WindowResult",
    "WindowSink",
    "WindowSource",
    "WorkerError",
    "Workers",
    "cache_directory",
    "check_detector",
    "check_embedding",
    "event_id",
    "known_models",
    "load_manifest",
    "load_model",
    "models_directory",
    "worker_command",
]
