"""Does the audit of the gate tell the truth? Its sample against the labels, drawn many times.

    python -m bench.audit [--cameras 200] [--draws 200] [--json]

The shipped scheduler and looks go through the labelled scenes of `kilocam bench analyse --quality`
(other noise than the gate was made by); of every window that is passed over as quiet is found out
what the audit would see in it. Printed, by scene: how many windows in which something moves were
passed over, in how many of those the audit sees it. Then, pooled: the share in truth, what the
audit of so many cameras estimates, and how often its 95 % bounds held the truth. Cameras are copies
of these scenes under other names: real ones differ more from each other, and so from the estimate.
"""

import argparse
import json
from dataclasses import asdict

from kilocam.analyse import DETECTOR, cache_directory, load_model, models_directory
from kilocam.analyse.detector import Detector
from kilocam.analyse.scheduler import SchedulerOptions
from kilocam.cli.bench.quality.audited import Coverage, LookedOver, coverage, look_over
from kilocam.cli.bench.quality.labels import read_labels
from kilocam.cli.bench.quality.run import LABELS
from kilocam.cli.bench.quality.scenes import PLACES, scenes


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--cameras", type=int, default=200, help="of each scene, in a draw")
    parser.add_argument("--draws", type=int, default=200)
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    detector = Detector(load_model(DETECTOR, models_directory()))
    looked: dict[str, LookedOver] = {}
    for place in PLACES:
        for scene in scenes(place, read_labels(LABELS / f"{place.labels}.json"), cache_directory()):
            looked[f"{scene.place}, {scene.sensor}"] = look_over(scene, detector)
    every = SchedulerOptions(lookers=1).audit_every
    windows = [one for each in looked.values() for one in each.passed_over]
    # Scenes are set apart in time, as the draw goes by it.
    starts = [
        one.start_us + number * 10_000_000_000
        for number, each in enumerate(looked.values())
        for one in each.passed_over
    ]
    sampled = list(zip(starts, (one.seen for one in windows), strict=True))
    held = {
        name: coverage(
            sampled, right / len(windows), cameras=options.cameras, draws=options.draws, every=every
        )
        for name, right in (
            ("detector", sum(one.seen for one in windows)),
            ("labels", sum(one.moving for one in windows)),
        )
    }
    if options.json:
        told = {"scenes": {k: asdict(v) for k, v in looked.items()},
                "coverage": {k: asdict(v) for k, v in held.items()}}  # fmt: skip
        print(json.dumps(told))
        return
    for name, each in looked.items():
        right = sum(one.seen for one in each.passed_over if one.moving)
        wrong = sum(one.seen for one in each.passed_over if not one.moving)
        print(
            f"{name}: {len(each.passed_over)} of {each.windows} windows passed over; something "
            f"moves in {each.moving}, {each.missed} of them passed over, of which the audit sees "
            f"{right}; it sees something in {wrong} others"
        )
    for name, each in held.items():
        print(_sentence(name, each))


def _sentence(name: str, held: Coverage) -> str:
    return (
        f"by the {name} something moves in {held.share:.3f} of what was passed over; "
        f"{held.draws} draws of {held.sample:.0f} windows say {held.estimate:.3f}, within "
        f"{held.low:.3f} to {held.high:.3f} (means), and hold it {held.within} times"
    )


if __name__ == "__main__":
    main()
