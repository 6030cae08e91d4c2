"""Access units to samples: decoding times, durations, the bytes an MP4 wants.

Owns: `VideoSamples` and `SoundSamples`, each for one track of one run. A run is a stretch of one
session in which media time goes on.
"""

from bisect import insort
from collections import deque
from collections.abc import Callable

from kilocam.bitstream import NalKind, join_avcc, nal_kind
from kilocam.media import Sample, VideoFormat
from kilocam.playback.tracks import (
    SOUND_ID,
    VIDEO_ID,
    parameter_sets_of,
    reorder_depth,
)
from kilocam.rtsp import AccessUnit

_DEEPEST = 16
"""Frames the decoded picture buffer holds at most (H.264 section A.3.1)."""


class VideoSamples:
    """Pictures of one track in decoding order.

    RTP carries no decoding times. The n-th picture to be decoded gets the n-th timestamp in sorted
    order. So decoding times are even, begin with a GOP at its key frame's timestamp, and need
    nothing but the GOP at hand: GOPs read apart fit together. A picture shown before its turn then
    has a negative composition offset, as CMAF has it (ISO 23000-19) and browsers like it; for
    others, files are presented `delay` later and an edit list takes the delay back.

    Args:
        entry: the pictures' format.
        clock_rate: of their timestamps.
        shift: added to all times; a file begins at 0, segments keep the session's own times.
        format_index: which of the file's formats `entry` is.
        delay: ticks by which presentation times are moved.
        in_band: put the parameter sets into each key frame that has none.
        hold: wait for the next picture, so that durations are exact; else a picture is taken to
            last as long as the one before.
    """

    def __init__(
        self,
        entry: VideoFormat,
        clock_rate: int,
        *,
        shift: int = 0,
        format_index: int = 0,
        delay: int = 0,
        in_band: bool = False,
        hold: bool = True,
    ) -> None:
        self._format = format_index
        self._sets = parameter_sets_of(entry) if in_band else ()
        self._depth = min(reorder_depth(entry), _DEEPEST)
        self._shift = shift
        self._delay = delay
        self._hold = hold
        self._waiting: deque[AccessUnit] = deque()
        self._times: list[int] = []
        self._held: tuple[AccessUnit, int] | None = None
        self._last = -(1 << 62)
        self._interval = clock_rate // 25

    def push(self, unit: AccessUnit) -> list[Sample]:
        """Take the next access unit; the samples that are complete now."""
        out = self._release(0) if unit.key else []
        self._waiting.append(unit)
        insort(self._times, unit.ts)
        return out + self._release(self._depth)

    def finish(self, end_ts: int | None = None) -> list[Sample]:
        """The rest; the last picture is shown until `end_ts`, else as long as the one before."""
        out = self._release(0)
        if self._held is not None:
            unit, time = self._held
            duration = self._interval if end_ts is None else max(0, end_ts - time)
            out.append(self._sample(unit, time, duration))
            self._held = None
        return out

    def _release(self, keep: int) -> list[Sample]:
        out: list[Sample] = []
        while len(self._waiting) > keep:
            # A stream that reorders deeper than its SPS says must not go back in decoding time.
            time = max(self._times.pop(0), self._last)
            unit = self._waiting.popleft()
            if self._last >= 0 and time > self._last:
                self._interval = time - self._last
            self._last = time
            if not self._hold:
                out.append(self._sample(unit, time, self._interval))
                continue
            if self._held is not None:
                before, start = self._held
                out.append(self._sample(before, start, time - start))
            self._held = (unit, time)
        return out

    def _sample(self, unit: AccessUnit, time: int, duration: int) -> Sample:
        units = unit.units
        if self._sets and unit.key and not any(nal_kind(n) == NalKind.SPS for n in units):
            units = (*self._sets, *units)
        return Sample(
            track=VIDEO_ID,
            pts=unit.ts + self._shift + self._delay,
            dts=time + self._shift,
            duration=duration,
            key=unit.key,
            data=join_avcc(units),
            format=self._format,
        )


class SoundSamples:
    """Frames of sound of one track; each lasts until the next, the last one its own length.

    Args:
        length: tells how long a frame is.
        hold: wait for the next frame, so that holes are filled.
    """

    def __init__(
        self, length: Callable[[bytes], int], *, format_index: int = 0, hold: bool = True
    ) -> None:
        self._length = length
        self._format = format_index
        self._hold = hold
        self._held: tuple[bytes, int] | None = None
        self._before = -(1 << 62)

    def push(self, unit: AccessUnit, time: int) -> list[Sample]:
        """Take the next frame, which is heard at `time`; one before its turn is dropped."""
        if time <= self._before:
            return []
        out: list[Sample] = []
        self._before = time
        if not self._hold:
            return [self._sample(unit.units[0], time, self._length(unit.units[0]))]
        if self._held is not None:
            data, start = self._held
            out.append(self._sample(data, start, time - start))
        self._held = (unit.units[0], time)
        return out

    def finish(self, end: int = 0) -> list[Sample]:
        """The last frame; it lasts until `end` where that is later than its own."""
        if self._held is None:
            return []
        (data, start), self._held = self._held, None
        return [self._sample(data, start, max(self._length(data), end - start))]

    def _sample(self, data: bytes, time: int, duration: int) -> Sample:
        return Sample(
            track=SOUND_ID, pts=time, dts=time, duration=duration, key=True, data=data,
            format=self._format,
        )  # fmt: skip
