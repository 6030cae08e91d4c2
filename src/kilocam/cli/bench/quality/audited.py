"""The audit judged: does its sample say of what was passed over what is true of it?

The shipped scheduler and looks go through labelled scenes in time of their own, and of every window
that is passed over as quiet is found out what the audit would say of it. Then the audit's sample is
drawn as the product draws it, again and again under other cameras' names, and its bounds are held
against the share in all of them.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace

from kilocam.analyse import SchedulerOptions, StageCount
from kilocam.analyse.audit import drawn
from kilocam.analyse.detector import Detector
from kilocam.analyse.look import Looker, LookOutcome, LookTask
from kilocam.analyse.memory import Memories
from kilocam.analyse.scheduler import Scheduler
from kilocam.analyse.stored import StoredPictures
from kilocam.analyse.windows import Lane, Look, window_of
from kilocam.bus import Position
from kilocam.cli.bench.quality.scenes import Scene
from kilocam.cli.bench.windows import FilmWindows, samples
from kilocam.core import CameraKey, GopRef, share_within
from kilocam.record.gops import ONSET

_COST_US = 20_000
_SAMPLED_US = 400_000
"""A window's first sample is there so long after its key frame, at 10 pictures a second."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PassedOver:
    """A window that the gate passed over."""

    start_us: int
    seen: bool
    """The audit sees something move in it."""
    moving: bool
    """Something does, by the labels."""


@dataclass(frozen=True, slots=True, kw_only=True)
class LookedOver:
    """What became of a scene's windows, once the camera was known."""

    moving: int
    """Windows in which something moves, by the labels ..."""
    missed: int
    """... and those of them that were passed over."""
    windows: int
    passed_over: tuple[PassedOver, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Coverage:
    """How often the truth lay within the audit's bounds."""

    share: float
    """The truth."""
    draws: int
    within: int
    sample: float
    """Mean size of a draw ..."""
    estimate: float
    """... mean of what they say ..."""
    low: float
    high: float
    """... and mean bounds."""


def look_over(scene: Scene, detector: Detector) -> LookedOver:
    """Let the shipped scheduler have its way with a scene."""
    film = FilmWindows(scene.place.replace(" ", "-"), scene.video)
    camera = WatchedCamera(film, detector)
    firsts = [each[0] if each else 0.0 for each in samples(scene.video)]
    for number in range(len(scene.shown)):
        camera.offer(number, firsts[number])
    passed_over, missed, met = [], 0, scene.quiet_first // 2
    for number, shown in enumerate(scene.shown):
        start_us = film.window(number).start_us
        if number < met or start_us not in camera.audited:
            continue
        seen = camera.audited[start_us]
        passed_over.append(PassedOver(start_us=start_us, seen=seen, moving=shown.moving))
        missed += shown.moving
    return LookedOver(
        moving=sum(shown.moving for shown in scene.shown[met:]),
        missed=missed,
        windows=len(scene.shown) - met,
        passed_over=tuple(passed_over),
    )


def coverage(
    windows: Sequence[tuple[int, bool]], truth: float, *, cameras: int, draws: int, every: int
) -> Coverage:
    """Draw the sample of so many cameras that pass over these windows, again and again.

    Args:
        windows: when each begins, and whether the audit sees something in it.
        truth: the share that the audit's bounds should hold.
        cameras: all alike but in name, so each draw is another sample of the same windows.
        draws: how often.
        every: about one window in so many is drawn.
    """
    within = sampled = 0
    estimates, lows, highs = 0.0, 0.0, 0.0
    for draw in range(draws):
        sample = [
            seen
            for camera in range(cameras)
            for start_us, seen in windows
            if drawn(CameraKey("bench", f"cam-{draw}-{camera}"), start_us, every)
        ]
        low, high = share_within(len(sample), sum(sample))
        within += low <= truth <= high
        sampled += len(sample)
        estimates += sum(sample) / len(sample) if sample else 0.0
        lows, highs = lows + low, highs + high
    return Coverage(
        share=truth,
        draws=draws,
        within=within,
        sample=sampled / draws,
        estimate=estimates / draws,
        low=lows / draws,
        high=highs / draws,
    )


class WatchedCamera:
    """One camera, as an analyst treats it that has no other.

    Each window that is passed over is audited, so that the truth of all of them is known.
    """

    def __init__(self, film: FilmWindows, detector: Detector) -> None:
        self.audited: dict[int, bool] = {}
        """Of windows passed over, by start: whether the audit saw something move."""
        self.looks: dict[int, LookOutcome] = {}
        """Of all others."""
        self._film = film
        self._numbers: dict[int, int] = {}
        self._scheduler = Scheduler(SchedulerOptions(lookers=1, audit_every=1))
        self._memories = Memories()
        self._looker = Looker(detector, StoredPictures(), lambda: 0)

    def offer(self, number: int, first: float) -> None:
        """A window begins; what is due is looked at before the next one.

        Told again when its first sample stands out, as a recorder does.
        """
        window = self._film.window(number)
        self._numbers[window.start_us] = number
        before = self._film.complexity(number - 1) if number else 0.0
        ref = GopRef(
            tenant=window.tenant, camera=window.camera, session=1, epoch=1,
            start_us=window.start_us, gop_us=window.start_us, complexity=before, bytes_before=0,
            codec="h264", durable=True,
        )  # fmt: skip
        self._tell(ref, window.start_us)
        if 0 < before * ONSET < first:
            self._tell(replace(ref, onset=first), window.start_us + _SAMPLED_US)

    def _tell(self, ref: GopRef, now_us: int) -> None:
        self._scheduler.offer(ref, Position(1, self._numbers[ref.start_us] + 1), now_us)
        while (look := self._scheduler.take(now_us)) is not None:
            self._look(look)

    def _look(self, look: Look) -> None:
        number = self._numbers[look.target.start_us]
        before = look.before
        whole = look.lane is Lane.CATCH_UP
        footage = (
            self._film.whole(number)
            if whole
            else self._film.footage(number, before=before is not None)
        )
        outcome = self._looker.look(
            LookTask(
                key=look.key,
                window=look.window,
                before=window_of(look.key, before) if before is not None else None,
                whole=whole,
                audit=look.target.audit,
                footage=footage,
                memory=self._memories.recall(look.key, look.target.start_us, newest=not whole),
            )
        )
        self._memories.keep(look.key, outcome)
        if look.target.audit:
            audit = outcome.stages.get("audit", StageCount())
            self.audited[look.target.start_us] = bool(audit.passed)
        else:
            self.looks[look.target.start_us] = outcome
        self._scheduler.settle(look, cost_us=_COST_US, changed=outcome.changed, found=outcome.found)
