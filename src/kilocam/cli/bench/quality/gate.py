"""The gate against labels: windows with something that moves, and quiet ones, let through.

As `bench/gate.py` measures it, on scenes and noise by which it was not made.
"""

from collections.abc import Iterable, Sequence

from kilocam.analyse.gate import RateGate
from kilocam.cli.bench.quality.figures import Figure, Section
from kilocam.cli.bench.quality.scenes import Scene
from kilocam.cli.bench.windows import complexities

TARGET_OBJECTS, TARGET_QUIET = 0.95, 0.15
_SIZE = "by packet size alone"


def gate_section(scenes: Iterable[Scene], name: str = "gate") -> Section:
    """By scene: what share of moving windows is passed over, and of quiet ones let through."""
    figures: list[Figure] = []
    reached = total = 0
    for scene in scenes:
        passed = let_through(scene, complexities(scene.video))
        plain = let_through(scene, complexities(scene.video, quantised=False))
        where = f"{scene.place}, {scene.sensor}"
        quiet = _of(scene, passed, "")
        figures.append(
            Figure(name=f"{where}: quiet windows let through", value=_share(quiet), of=len(quiet),
                   reference=_share(_of(scene, plain, "")), reference_is=_SIZE)
        )  # fmt: skip
        for part in dict.fromkeys(shown.part for shown in scene.shown if shown.moving):
            some = _of(scene, passed, part)
            figures.append(
                Figure(name=f"{where}, {part}: passed over", value=1 - _share(some), of=len(some),
                       reference=1 - _share(_of(scene, plain, part)), reference_is=_SIZE)
            )  # fmt: skip
            total += 1
            reached += _share(some) >= TARGET_OBJECTS and _share(quiet) <= TARGET_QUIET
    return Section(
        name=name,
        model="kilocam.analyse.gate, rate complexity",
        figures=tuple(figures),
        notes=(
            f"at least {TARGET_OBJECTS:.0%} of what moves let through at no more than "
            f"{TARGET_QUIET:.0%} of what is quiet: reached in {reached} of {total} scenes",
        ),
    )


def let_through(scene: Scene, values: Sequence[float]) -> list[bool]:
    """Whether each window passes, for a camera at which looks saw nothing in the first ones."""
    gate = RateGate()
    passed: list[bool] = []
    for number, value in enumerate(values[: len(scene.shown)]):
        if number < scene.quiet_first:
            passed.append(gate.busy(value))
            gate.asked()
            gate.answered(quiet=True)
        else:
            passed.append(gate.stands_out(value))
    return passed


def _of(scene: Scene, passed: Sequence[bool], part: str) -> list[bool]:
    """Windows that show a part and something that moves in it, or without a part the quiet ones."""
    return [
        let
        for number, (shown, let) in enumerate(zip(scene.shown, passed, strict=True))
        if number >= scene.quiet_first // 2 and shown.part == part and shown.moving == bool(part)
    ]


def _share(passed: Sequence[bool]) -> float:
    return sum(passed) / len(passed)
