"""Sound to pictures, measured once for all who read the same footage (`rtsp/sync.py` measures).

What it is measured from depends on the moment alone, so every reader of the same footage finds the
same.
"""

import threading
from collections import OrderedDict
from collections.abc import Iterable

from kilocam.core import CameraKey, Piece, Session
from kilocam.playback.source import FootageSource
from kilocam.playback.tracks import playable
from kilocam.rtsp import SYNC_PERIOD_US, SYNC_WINDOW_US, Sync, measure_sync

_KEPT = 4096


class SyncFinder:
    """Measures the relation once per camera, session and period."""

    def __init__(self, source: FootageSource) -> None:
        self._source = source
        self._lock = threading.Lock()
        self._found: OrderedDict[tuple[CameraKey, int, int, int], Sync | None] = OrderedDict()

    def at(self, session: Session, at_us: int, end_us: int) -> Sync | None:
        """The relation that holds at `at_us`; what is stored up to `end_us` may be read.

        None when the session has no sound that can be played, or none arrived.
        """
        if playable(session).sound is None:
            return None
        key = CameraKey(session.tenant, session.camera)
        for window in _windows(session, at_us, end_us):
            name = (key, session.session, *window)
            with self._lock:
                known, found = name in self._found, self._found.get(name)
            if not known:
                found = self._measured(key, session, *window)
                self._keep(name, found)
            if found is not None:
                return found
        return None

    def _measured(self, key: CameraKey, session: Session, from_us: int, to_us: int) -> Sync | None:
        pieces = self._source.pieces(key, from_us, to_us, exact=True)
        return measure(session, (p for s, p in pieces if s.session == session.session))

    def _keep(self, name: tuple[CameraKey, int, int, int], found: Sync | None) -> None:
        with self._lock:
            self._found[name] = found
            if len(self._found) > _KEPT:
                self._found.popitem(last=False)


def _windows(session: Session, at_us: int, end_us: int) -> list[tuple[int, int]]:
    """Where to look, the best place first."""
    period = at_us // SYNC_PERIOD_US * SYNC_PERIOD_US
    if period - SYNC_WINDOW_US >= session.started_us:
        best = (period - SYNC_WINDOW_US, period)
    else:
        start = session.started_us - 1_000_000
        best = (start, min(start + SYNC_WINDOW_US, end_us))
    return [best, (at_us, end_us)]


def measure(session: Session, pieces: Iterable[Piece]) -> Sync | None:
    """The relation in some pieces of a session, in order."""
    tracks = playable(session)
    if tracks.sound is None:
        return None
    payloads = ((piece.payload, piece.media_ts) for piece in pieces)
    return measure_sync(tracks.video, tracks.sound, payloads)
