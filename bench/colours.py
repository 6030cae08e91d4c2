"""Colours against labels: of what people called red, how much is named red, and the other way.

    python -m bench.colours

`labels/colours.json` was written by looking at pictures of what the detector found in the demo's
footage: what each object `has`, and what it `may` be called too. The thresholds of
`kilocam.analyse.colours` were chosen on these very objects, and the cars among them are two, so
the figures flatter.
"""

import json
from collections import Counter
from pathlib import Path
from typing import Any

import av

from kilocam.analyse import cache_directory
from kilocam.analyse.colours import COLOURS, Pixels, colours_of, named

LABELS = Path(__file__).parent / "labels" / "colours.json"
SIDE = 300
"""Pictures as the detector gets them, squashed."""


def pictures(objects: list[dict[str, Any]]) -> dict[tuple[str, int], Pixels]:
    """The frames that have labels, by file and number."""
    wanted = {(each["file"], each["frame"]) for each in objects}
    found: dict[tuple[str, int], Pixels] = {}
    for file in sorted({name for name, _ in wanted}):
        with av.open(str(cache_directory() / "footage" / file)) as container:
            for number, frame in enumerate(container.decode(video=0)):
                if (file, number) in wanted:
                    small = frame.reformat(SIDE, SIDE, "rgb24", interpolation="AREA")
                    found[file, number] = small.to_ndarray()
    return found


def main() -> None:
    """Print a table."""
    objects = json.loads(LABELS.read_text())
    frames = pictures(objects)
    right, wrong, missed = Counter[str](), Counter[str](), Counter[str]()
    for each in objects:
        said = named(colours_of(frames[each["file"], each["frame"]], tuple(each["box"])))
        right.update(name for name in said if name in each["has"])
        wrong.update(name for name in said if name not in each["has"] + each["may"])
        missed.update(name for name in each["has"] if name not in said)
    print(f"{len(objects)} objects")
    print(f"{'colour':10} {'precision':>12} {'recall':>12}")
    for name in COLOURS:
        said, there = right[name] + wrong[name], right[name] + missed[name]
        if said or there:
            print(f"{name:10} {f'{right[name]}/{said}':>12} {f'{right[name]}/{there}':>12}")


if __name__ == "__main__":
    main()
