"""How much of the footage was looked at, in which stages, and what the first of them misses."""

from collections.abc import Sequence
from typing import Annotated

from pydantic import Field

from kilocam.api.catalogue import Caller, Catalogue, Model, Operation
from kilocam.api.known import KnownCameras
from kilocam.api.operations.events import names, refuse_unknown
from kilocam.api.operations.footage import Moment
from kilocam.core import format_time, now_us
from kilocam.fleet import Role
from kilocam.insight import AUDIT, GATE, CameraCounts, Insight, StageSum, missed, stages

_DAY_US = 86_400_000_000
_STAGES = (GATE, "decode", "difference", "detector", "whole", "tiles", AUDIT)
"""In the order in which a window goes through them."""


class AnalysisIn(Model):
    """Since when, and of which cameras."""

    camera: str = ""
    start: Annotated[
        Moment | None, Field(alias="from", description="The hour it lies in; default: a day ago.")
    ] = None


class StageOut(Model):
    """One stage of the cascade; what it passes on, the next one sees."""

    name: str
    seen: Annotated[int, Field(description="Windows (gate, audit), else pictures.")]
    passed: int
    share: Annotated[float | None, Field(description="passed / seen.")]
    cost_ms: Annotated[
        float | None,
        Field(description="Of one that was seen; null: it runs in the recorder, or costs nothing."),
    ]


class MissedOut(Model):
    """What the gate misses, from a random sample of the windows that it passes over as quiet."""

    audited: Annotated[int, Field(description="The sample: looked at as a whole all the same.")]
    moving: Annotated[int, Field(description="Those in which the detector saw something move.")]
    low: Annotated[float, Field(description="Of all passed over, at least this share; 95 % sure.")]
    high: Annotated[float, Field(description="At most this share; 1 when nothing was audited.")]


class CascadeOut(Model):
    """Stage by stage, and what is missed, pooled over some cameras."""

    stages: list[StageOut]
    missed: MissedOut


class CameraAnalysis(Model):
    """Windows of footage: offered = looked + all skipped, exactly."""

    camera: str
    offered: int
    looked: int
    skipped: Annotated[dict[str, int], Field(description="By reason.")]
    last_look: str | None
    cascade: Annotated[
        CascadeOut | None, Field(description="For cameras that were named; its bounds are wide.")
    ]


class AnalysisOut(Model):
    """How much was looked at, and what was not, why."""

    offered: int
    looked: int
    skipped: dict[str, int]
    cascade: Annotated[CascadeOut, Field(description="Of all cameras, or those that were named.")]
    cameras: list[CameraAnalysis]


class AnalysisOperations:
    """The operation on the accounts."""

    def __init__(self, insight: Insight, cameras: KnownCameras) -> None:
        self._insight = insight
        self._cameras = cameras

    def enter(self, catalogue: Catalogue) -> None:
        """Put it into the catalogue."""
        catalogue.add(Operation(
            name="show_analysis", summary="What was looked at, in which stages, what is missed.",
            method="GET", path="/v1/analysis", needs=Role.VIEWER, tool=True,
            takes=AnalysisIn, gives=AnalysisOut, call=self.analysis,
        ))  # fmt: skip

    async def analysis(self, caller: Caller, given: AnalysisIn) -> AnalysisOut:
        """The accounts."""
        cameras = names(given.camera)
        refuse_unknown(caller.tenant, await self._cameras.unknown(caller.tenant, cameras))
        since_us = now_us() - _DAY_US if given.start is None else given.start
        counts = await self._insight.counts(caller.tenant, since_us=since_us, cameras=cameras)
        skipped: dict[str, int] = {}
        for each in counts:
            for reason, many in each.skipped.items():
                skipped[reason] = skipped.get(reason, 0) + many
        return AnalysisOut(
            offered=sum(each.offered for each in counts),
            looked=sum(each.looked for each in counts),
            skipped=skipped,
            cascade=_cascade(counts),
            cameras=[_account(each, named=bool(cameras)) for each in counts],
        )


def _cascade(counts: Sequence[CameraCounts]) -> CascadeOut:
    rejected = missed(counts)
    low, high = rejected.bounds
    by_stage = stages(counts)
    names = [name for name in _STAGES if name in by_stage]
    return CascadeOut(
        stages=[_stage(name, by_stage[name]) for name in [*names, *sorted({*by_stage} - {*names})]],
        missed=MissedOut(
            audited=rejected.audited, moving=rejected.moving, low=round(low, 5), high=round(high, 5)
        ),
    )


def _stage(name: str, count: StageSum) -> StageOut:
    return StageOut(
        name=name,
        seen=count.seen,
        passed=count.passed,
        share=round(count.passed / count.seen, 5) if count.seen else None,
        cost_ms=round(count.cost_us / 1000 / count.seen, 3)
        if count.seen and count.cost_us
        else None,
    )


def _account(counts: CameraCounts, *, named: bool) -> CameraAnalysis:
    last = counts.last_look_us
    return CameraAnalysis(
        camera=counts.camera,
        offered=counts.offered,
        looked=counts.looked,
        skipped=dict(counts.skipped),
        last_look=None if last is None else format_time(last),
        cascade=_cascade([counts]) if named else None,
    )
