"""Footage by (camera, range) as something to look at: timelines, HLS, clips, snapshots, live.

Owns: stored pieces to samples with wall time, segments and their links, live muxing, exports.
Never does: store anything, analyse, speak HTTP; know the queue or the database.
Start reading at: `playback.py`, then `plan.py`; docs/design/playback.md says why.
"""

from kilocam.playback.capability import CapabilityKeys, sign, verify
from kilocam.playback.clip import Clip, clip
from kilocam.playback.errors import (
    Busy,
    CapabilityRefused,
    NoFootage,
    NoPicture,
    NoSuchSegment,
    NotPlayable,
    PlaybackError,
)
from kilocam.playback.export import Exported, export
from kilocam.playback.hls import CONTENT_TYPE, playlist
from kilocam.playback.library import Library, Range
from kilocam.playback.live import Live
from kilocam.playback.live_muxer import LiveFragment, LiveInit, LiveMessage, LiveMuxer
from kilocam.playback.plan import Plan, Planner, Segment, SegmentName
from kilocam.playback.playback import ClipStream, Jpeg, Limits, Playback
from kilocam.playback.segments import SegmentMaker, init_name, make_init
from kilocam.playback.snapshot import Snapshot, snapshot
from kilocam.playback.source import FollowSource, FootageSource
from kilocam.playback.timeline import Footage, footage
from kilocam.playback.tracks import Playable, playable
from kilocam.playback.units import Unit, UnitReader, read_units

__all__ = [
    "CONTENT_TYPE",
    "Busy",
    "CapabilityKeys",
    "CapabilityRefused",
    "Clip",
    "ClipStream",
    "Exported",
    "FollowSource",
    "Footage",
    "FootageSource",
    "Jpeg",
    "Library",
    "Limits",
    "Live",
    "LiveFragment",
    "LiveInit",
    "LiveMessage",
    "LiveMuxer",
    "NoFootage",
    "NoPicture",
    "NoSuchSegment",
    "NotPlayable",
    "Plan",
    "Planner",
    "Playable",
    "Playback",
    "PlaybackError",
    "Range",
    "Segment",
    "SegmentMaker",
    "SegmentName",
    "Snapshot",
    "Unit",
    "UnitReader",
    "clip",
    "export",
    "footage",
    "init_name",
    "make_init",
    "playable",
    "playlist",
    "read_units",
    "sign",
    "snapshot",
    "verify",
]
