"""Trials as all analysts share them: one value of the queue's key-value store a pair of models.

There, and not in the database: a trial is the installation's and no tenant's, every analyst reads
the queue anyway, and compare-and-set is all that adding counts together needs. Who loses the files
of the queue loses trials, and tries again what was rolled back, which costs no event.
"""

from dataclasses import dataclass, field, replace
from typing import Protocol

from blake3 import blake3

from kilocam.analyse.canary import Limits, Tally, Verdict, judge
from kilocam.analyse.models import Manifest
from kilocam.bus import Bucket, RevisionConflict
from kilocam.core import Clock

BUCKET = "model_trials_1"
"""With the version of what lies in it: a change of `Trial` or `Tally` is a new number."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Trial:
    """Of one candidate beside one detector in use, by their references."""

    current: str
    candidate: str
    begun_us: int
    tally: Tally = field(default_factory=Tally)
    verdict: Verdict = Verdict.UNDECIDED
    why: str = ""
    decided_us: int = 0


class Trials(Protocol):
    """Whoever keeps a trial (`BusTrial`)."""

    async def add(self, more: Tally, failure: str = "") -> Trial:
        """Add what was counted since; gives the trial as it stands now, perhaps decided.

        Args:
            more: what was counted.
            failure: how the candidate failed last, for a verdict that is about that.

        Raises:
            KilocamError: not now; hand it in again with what comes.
        """
        ...


class BusTrial:
    """The trial of one candidate; a verdict, once taken, stays.

    A write whose acknowledgement is lost may count twice what was counted in some seconds: it is
    evidence, not an account.
    """

    def __init__(
        self,
        bucket: Bucket[Trial],
        current: Manifest,
        candidate: Manifest,
        *,
        limits: Limits,
        clock: Clock,
    ) -> None:
        self._bucket = bucket
        self._current, self._candidate = current.reference, candidate.reference
        # By content too: another file under the same version is another model.
        pair = f"{self._current} {current.sha256} {self._candidate} {candidate.sha256}"
        self._key = blake3(pair.encode()).hexdigest(16)
        self._limits = limits
        self._clock = clock

    async def add(self, more: Tally, failure: str = "") -> Trial:
        """As `Trials` has it."""
        while True:
            known, revision = await self._get()
            trial = self._judged(known, more, failure)
            if trial == known:
                return trial
            try:
                await self._bucket.update(self._key, trial, revision)
            except RevisionConflict:
                continue  # another analyst was faster
            return trial

    def _judged(self, known: Trial | None, more: Tally, failure: str) -> Trial:
        now_us = self._clock.wall_us()
        trial = known or Trial(current=self._current, candidate=self._candidate, begun_us=now_us)
        if trial.verdict is not Verdict.UNDECIDED:
            return trial
        trial = replace(trial, tally=trial.tally + more)
        verdict, why = judge(trial.tally, now_us - trial.begun_us, self._limits, failure)
        decided_us = 0 if verdict is Verdict.UNDECIDED else now_us
        return replace(trial, verdict=verdict, why=why, decided_us=decided_us)

    async def _get(self) -> tuple[Trial | None, int]:
        entry = await self._bucket.get(self._key)
        return (entry.value, entry.revision) if entry is not None else (None, 0)
