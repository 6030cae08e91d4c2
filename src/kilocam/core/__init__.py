"""What several rooms share and none owns.

Owns: ids, times, the clock, the breaker, the base of all errors, settings, what a rule is, and the
values that cross rooms.
Never does: input or output beyond reading settings; anything only one room needs.
Start reading at: `values.py`.
"""

from kilocam.core.bounds import share_within
from kilocam.core.breaker import Breaker
from kilocam.core.clock import Clock, SystemClock
from kilocam.core.errors import ConfigError, KilocamError
from kilocam.core.ids import CameraKey, check_id
from kilocam.core.times import (
    Microseconds,
    format_duration,
    format_time,
    now_us,
    parse_duration,
    parse_retry_after,
    parse_size,
    parse_time,
)
from kilocam.core.values import (
    Detection,
    Gap,
    GapCause,
    GopRef,
    GopRefs,
    Piece,
    PieceFlag,
    Session,
    Span,
    Track,
    Window,
)

__all__ = [
    "Breaker",
    "CameraKey",
    "Clock",
    "ConfigError",
    "Detection",
    "Gap",
    "GapCause",
    "GopRef",
    "GopRefs",
    "KilocamError",
    "Microseconds",
    "Piece",
    "PieceFlag",
    "Session",
    "Span",
    "SystemClock",
    "Track",
    "Window",
    "check_id",
    "format_duration",
    "format_time",
    "now_us",
    "parse_duration",
    "parse_retry_after",
    "parse_size",
    "parse_time",
    "share_within",
]
