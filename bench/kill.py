"""The recorder killed and frozen under load: what is lost, and whether the log says so.

    python -m bench.kill --cameras 200 --kills 5

Of each camera the last packet stored before a `kill -9` was sent at most a second before it; what
is stored is whole and begins with what was sent; a recorder stopped by SIGSTOP is replaced, and the
gap it leaves has its cause and is as long as what the ledger misses.
"""

import argparse
import dataclasses
import json
import random
import signal
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from bench.recording import (
    Recording,
    camera_id,
    cameras,
    connection_of,
    gaps,
    recorder,
    stored_packets,
    stored_sessions,
)

from kilocam.core import Gap, GapCause, Piece
from kilocam.media import PatternSpec
from kilocam.record import Archive, FileOk, log_files, verify_files
from kilocam.simulate import Group, Ledger

FROZEN_S = 15.0
LOST_S = 1.0
SLACK_S = 0.5
"""Footage is known to the turn: gap and ledger may differ by this much at each end."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Result:
    """What was found; all of it within bounds when there are no faults."""

    cameras: int
    strokes: int
    worst_lost_s: float
    """Longest from the last packet stored to the kill; frozen recorders do not count."""
    worst_gap_s: float
    worst_difference_s: float
    """Between a gap in the log and what the ledger misses."""
    records: int
    faults: list[str]


@dataclass(frozen=True, slots=True)
class Stroke:
    """One signal to the recorder."""

    number: signal.Signals
    at_us: int

    @property
    def cause(self) -> GapCause:
        """What the log should say."""
        froze = self.number is signal.SIGSTOP
        return GapCause.RECORDER_FROZEN if froze else GapCause.RECORDER_DIED


@dataclass(frozen=True, slots=True)
class _Life:
    """What is stored of a camera from one connection, by the ledger's clock."""

    first_us: int
    last_us: int
    fault: str


def strike(recording: Recording, number: signal.Signals, count: int) -> Stroke:
    """Kill or freeze the recorder; returns when its successor records all cameras."""
    pid = recording.pid
    stroke = Stroke(number, recording.signal(number))
    recording.wait_replaced(pid)
    recording.wait_recording(count)
    return stroke


def prove(
    groups: Sequence[Group], numbers: Sequence[signal.Signals], folder: Path, dice: random.Random
) -> Result:
    """Strike at random moments while all cameras are recorded, then judge what is stored."""
    count = sum(group.count for group in groups)
    with cameras(groups, folder) as playing:
        with recorder(folder, [playing.url(n) for n in range(count)]) as recording:
            recording.wait_recording(count)
            strokes = []
            for number in numbers:
                time.sleep(dice.uniform(3, 6))
                strokes.append(strike(recording, number, count))
            time.sleep(3)
            ledger = playing.stop()
            recording.wait_quiet()
        return judge(recording, ledger, strokes, range(count))


def judge(
    recording: Recording, ledger: Ledger, strokes: Sequence[Stroke], numbers: Sequence[int]
) -> Result:
    """Compare log and ledger camera by camera, stroke by stroke."""
    archive = recording.archive()
    faults: list[str] = []
    lost, lengths, differences = [0.0], [0.0], [0.0]
    for camera in numbers:
        lives = [_life(ledger, camera, pieces) for _, pieces in stored_sessions(archive, camera)]
        faults += [f"{camera_id(camera)}: {life.fault}" for life in lives if life.fault]
        for stroke in strokes:
            before = max((x for x in lives if x.first_us < stroke.at_us), key=lambda x: x.last_us)
            after = min((x for x in lives if x.first_us > stroke.at_us), key=lambda x: x.first_us)
            if stroke.number is signal.SIGKILL:
                lost.append((stroke.at_us - before.last_us) / 1e6)
            gap = _gap(archive, camera, stroke)
            if gap is None:
                faults.append(f"{camera_id(camera)}: no gap {stroke.cause}")
                continue
            lengths.append((after.first_us - before.last_us) / 1e6)
            differences += [
                abs(gap.start_us - before.last_us) / 1e6,
                abs(gap.end_us - after.first_us) / 1e6,
            ]
    records = list(verify_files(log_files([recording.footage])))
    faults += [str(found) for found in records if not isinstance(found, FileOk)]
    faults += _over("lost before a kill", max(lost), LOST_S)
    faults += _over("gap and ledger differ", max(differences), SLACK_S)
    faults += _over("gap", max(lengths), FROZEN_S)
    return Result(
        cameras=len(numbers),
        strokes=len(strokes),
        worst_lost_s=round(max(lost), 3),
        worst_gap_s=round(max(lengths), 3),
        worst_difference_s=round(max(differences), 3),
        records=sum(found.records for found in records if isinstance(found, FileOk)),
        faults=faults,
    )


def _over(what: str, found: float, bound: float) -> list[str]:
    return [f"{what}: {found:.3f} s, over {bound:g} s"] if found > bound else []


def _life(ledger: Ledger, camera: int, pieces: Sequence[Piece]) -> _Life:
    """The ends of what is stored of one connection; it must begin as it was sent."""
    record = connection_of(ledger, camera, pieces)
    if record is None:
        return _Life(0, 0, "a stored session has no sender")
    stored = list(stored_packets(pieces))
    sent = list(ledger.sent(camera, record.connection, until="written"))
    same = [packet.data for packet in sent[: len(stored)]] == stored
    fault = "" if same else f"connection {record.connection}: stored is not what was sent"
    return _Life(sent[0].sent_us, sent[len(stored) - 1].sent_us, fault)


def _gap(archive: Archive, camera: int, stroke: Stroke) -> Gap | None:
    """The gap around a stroke, if it has the right cause."""
    slack = round(LOST_S * 1e6)
    for gap in gaps(archive, camera):
        if gap.start_us - slack <= stroke.at_us <= gap.end_us + slack and gap.cause is stroke.cause:
            return gap
    return None


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--cameras", type=int, default=200)
    parser.add_argument("--kills", type=int, default=5)
    parser.add_argument("--seed", type=int, default=time.time_ns() % 1000)
    options = parser.parse_args()
    numbers = [signal.SIGKILL] * options.kills + [signal.SIGSTOP]
    groups = [Group(count=options.cameras, source=PatternSpec(seconds=30))]
    with tempfile.TemporaryDirectory(prefix="kilocam-kill-") as folder:
        result = prove(groups, numbers, Path(folder), random.Random(options.seed))
    print(json.dumps(dataclasses.asdict(result) | {"seed": options.seed}, indent=1))
    return 1 if result.faults else 0


if __name__ == "__main__":
    sys.exit(main())
