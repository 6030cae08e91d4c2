"""Decoding times for streams that only carry the time at which a picture is shown, as RTP does.

With at most D frames before one that is shown earlier, the n-th picture can be decoded when the
(n - D)-th is shown: sorted by time, the newest D frames wait, and the earliest leaves. Encoders
derive theirs in the same way, so on whole streams at a constant rate the two are equal.
"""

from bisect import bisect_right, insort
from collections.abc import Iterable

_DEEPEST = 16
"""Frames a decoder can hold (section A.3.1), so the deepest reordering there is."""


def reorder_depth(pts: Iterable[int]) -> int:
    """The most frames that come before one that is shown earlier, in decoding order."""
    depth = 0
    seen: list[int] = []
    for time in pts:
        insort(seen, time)
        later = len(seen) - bisect_right(seen, time)
        depth = max(depth, later)
        if len(seen) > 2 * _DEEPEST:
            del seen[0]
    return depth


class DecodingTimes:
    """Gives each access unit of a stream its decoding time, in decoding order.

    Decoding times never decrease and are never after the presentation time, as long as the stream
    reorders no deeper than `reorder`. A frame that breaks this gets the decoding time of the frame
    before it, is counted in `late`, and the depth grows for what follows. Where the timeline jumps,
    call `reset`.

    Args:
        reorder: depth, from `Sps.reorder_frames` or `reorder_depth` of a GOP at hand.
        frame_ticks: time between frames, used before the first frame only: the frames of the
            first `reorder` steps are decoded this much apart.
    """

    __slots__ = ("_frame_ticks", "_last", "_waiting", "late", "reorder")

    def __init__(self, reorder: int, frame_ticks: int) -> None:
        self.reorder = min(reorder, _DEEPEST)
        self.late = 0
        self._frame_ticks = frame_ticks
        self._waiting: list[int] = []
        self._last: int | None = None

    def reset(self) -> None:
        """The next frame starts a new timeline; the depth is kept."""
        self._waiting.clear()
        self._last = None

    def next(self, pts: int) -> int:
        """The decoding time of the next frame, which is shown at `pts`."""
        waiting = self._waiting
        if self._last is None:
            waiting.extend(pts - n * self._frame_ticks for n in range(self.reorder, 0, -1))
        insort(waiting, pts)
        dts = waiting.pop(0)
        if self._last is not None and dts < self._last:
            self.late += pts < self._last
            dts = self._last
            if self.reorder < _DEEPEST:
                self.reorder += 1
                insort(waiting, dts)
        self._last = dts
        return dts
