"""A camera as the writer knows it: its session, its class, its newest moments, its followers."""

from collections.abc import Callable
from typing import TYPE_CHECKING

from kilocam.core import CameraKey, Piece, Session
from kilocam.record.format import Origin, session_payload

if TYPE_CHECKING:
    from kilocam.record.gops import GopTracker
    from kilocam.record.lane import Lane

Tap = Callable[[Session, Piece], None]


class Opened:
    """A session with what its records share, packed once."""

    __slots__ = ("origin", "payload", "session")

    def __init__(self, session: Session) -> None:
        key = CameraKey(session.tenant, session.camera)
        self.session = session
        self.origin = Origin(key, session.epoch, session.session)
        self.payload = session_payload(session)


class Source:
    """Mutable state of one camera; written by the loop's thread but for `stored_us`."""

    __slots__ = (
        "accounted",
        "keep_us",
        "key",
        "lane",
        "last_us",
        "opened",
        "origin",
        "stored_us",
        "taps",
        "tracker",
    )

    def __init__(self, key: CameraKey, lane: "Lane", keep_us: int, epoch: int) -> None:
        self.key = key
        self.lane = lane
        self.keep_us = keep_us
        self.origin = Origin(key, epoch, 0)
        """For gaps that belong to no session."""
        self.opened: Opened | None = None
        self.accounted = False
        """The gap before this run was written, or there was none."""
        self.last_us: int | None = None
        """End of the newest footage or gap accepted."""
        self.stored_us: int | None = None
        """End of the newest footage or gap written; set by the writer thread."""
        self.taps: tuple[Tap, ...] = ()
        self.tracker: GopTracker | None = None
