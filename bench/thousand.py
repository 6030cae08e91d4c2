"""A thousand cameras, some of them bad: what is stored is what was sent, packet for packet.

    python -m bench.thousand --cameras 1000 --seconds 120

640x360 at 15 fps, 256 kbit/s, key frame every 2 s; 20 of 1000 flap, 5 show a quirk each, 2 send 16
Mbit/s. The shipped recorder stores them; then each stored packet is compared with the ledger.
"""

import argparse
import dataclasses
import json
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from bench.recording import cameras, compare, recorder

from kilocam.media import PatternSpec
from kilocam.rtsp import ServerQuirk
from kilocam.simulate import Every, Faults, Group

PLAIN = PatternSpec(seconds=60)
HEAVY = PatternSpec(width=1920, height=1080, seconds=6, bitrate_kbps=16_000, strict_cbr=True)
QUIRKS = (
    ServerQuirk.OTHER_CHANNELS,
    ServerQuirk.RTP_BEFORE_PLAY,
    ServerQuirk.UNASSIGNED_CHANNEL,
    ServerQuirk.CRLF_BEFORE_FRAMES,
    ServerQuirk.GARBAGE,
)


def fleet(count: int, flapping: int, heavy: int, plain: PatternSpec = PLAIN) -> list[Group]:
    """`count` cameras in all; five of them with a quirk each."""
    flap = Faults(flap=Every(low_s=4, high_s=20), away_s=1.0)
    return [
        Group(count=count - flapping - heavy - len(QUIRKS), source=plain),
        Group(count=flapping, source=plain, faults=flap),
        *(Group(source=plain, faults=Faults(quirks=frozenset({quirk}))) for quirk in QUIRKS),
        *([Group(count=heavy, source=HEAVY)] if heavy else []),
    ]


@dataclass(frozen=True, slots=True, kw_only=True)
class Result:
    """One run."""

    cameras: int
    seconds: float
    start_s: float
    """Until all of them played."""
    connections: int
    packets: int
    differences: list[str]


def prove(groups: Sequence[Group], seconds: float, folder: Path, cache: Path | None) -> Result:
    """Record for `seconds` once all play, end the cameras, then the recorder, compare."""
    count = sum(group.count for group in groups)
    with cameras(groups, folder, cache=cache) as playing:
        began = time.monotonic()
        with recorder(folder, [playing.url(n) for n in range(count)]) as recording:
            # Some of those that flap are always away.
            flapping = sum(group.count for group in groups if group.faults.flap)
            recording.wait_recording(count - flapping, 180)
            start_s = time.monotonic() - began
            time.sleep(seconds)
            ledger = playing.stop()
            recording.wait_quiet()
        found = compare(recording.archive(), ledger, range(count))
    return Result(
        cameras=count,
        seconds=seconds,
        start_s=round(start_s, 1),
        connections=found.connections,
        packets=found.packets,
        differences=found.differences,
    )


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--cameras", type=int, default=1000)
    parser.add_argument("--seconds", type=float, default=120)
    parser.add_argument("--cache", type=Path, default=Path("build/bench-cache"))
    options = parser.parse_args()
    groups = fleet(options.cameras, max(1, options.cameras // 50), 2)
    with tempfile.TemporaryDirectory(prefix="kilocam-thousand-") as folder:
        result = prove(groups, options.seconds, Path(folder), options.cache)
    print(json.dumps(dataclasses.asdict(result), indent=1))
    return 1 if result.differences else 0


if __name__ == "__main__":
    sys.exit(main())
