"""A crash at any moment: all before is whole, what is missing is said."""

import os
import shutil
import signal
import subprocess
import sys
import textwrap
import time
from pathlib import Path

import pytest
from tests.fakes.clock import FakeClock
from tests.fakes.pieces import GATE, START_US, YARD, session, stretch
from tests.integration.record.conftest import OpenLog

from kilocam.core import Gap, GapCause, Piece
from kilocam.record import Archive, FileOk, LogOptions, LogWriter, log_files, verify_files
from kilocam.record.disk import Disk
from kilocam.record.recovery import Recovered, recover
from kilocam.record.scan import Found, scan

S = 1_000_000


def stored(log: Path) -> list[Piece]:
    return [made for _, made in Archive([log]).pieces(GATE, START_US, START_US + 1000 * S)]


def restart(log: Path, at_us: int) -> LogWriter:
    options = LogOptions(reserve=0, gather_us=1000)
    writer = LogWriter([log], "r0", options, clock=FakeClock(START_US + 100 * S))
    writer.start()
    writer.account(GATE, at_us)
    writer.flush()
    return writer


def crashed_at(log: Path, copy: Path, size: int) -> Path:
    """What the directory looks like if the machine stopped with `size` bytes written."""
    shutil.rmtree(copy, ignore_errors=True)
    shutil.copytree(log, copy)
    os.truncate(next(copy.glob("*.open")), size)
    return copy


def test_a_crash_at_every_byte_of_the_last_records_keeps_all_before(
    tmp_path: Path, open_log: OpenLog
) -> None:
    writer, made = open_log(), stretch(pieces=4, size=60)
    writer.open_session(session(GATE, 1, writer.epoch))
    for found in made:
        writer.append(found)
    writer.flush()
    log = tmp_path / "log"
    file = next(log.glob("*.open"))
    size = file.stat().st_size
    with file.open("rb") as opened:
        ends = [r.end for r in scan(opened.fileno(), 0, size, resync=False) if isinstance(r, Found)]
    pieces_at = ends[-4:]
    for cut in range(ends[-4], size + 1):
        copy = crashed_at(log, tmp_path / "copy", cut)
        whole = sum(end <= cut for end in pieces_at)
        before = stored(copy)
        assert before == made[:whole], "a reader sees whole records only, also before recovery"
        if cut % 25:
            recover(copy, "r0", Disk(), START_US, Recovered())
            assert stored(copy) == made[:whole]
            continue
        again = restart(copy, START_US + 50 * S)
        last = made[whole - 1].wall_us + 500_000
        assert Archive([copy]).gaps(GATE, START_US, START_US + 60 * S) == [
            Gap(start_us=last, end_us=START_US + 50 * S, cause=GapCause.RECORDER_DIED)
        ]
        again.close()
        assert all(isinstance(found, FileOk) for found in verify_files(log_files([copy])))


def test_a_crash_while_sealing_is_sealed_again(tmp_path: Path, open_log: OpenLog) -> None:
    writer, made = open_log(), stretch(pieces=4)
    writer.open_session(session(GATE, 1, writer.epoch))
    for found in made:
        writer.append(found)
    writer.close()
    sealed = log_files([tmp_path / "log"])[0]
    size = sealed.stat().st_size
    (tmp_path / "log" / "r0.stopped").unlink()
    for cut in (size, size - 1, size - 100, size - 300, size - 400):
        copy = tmp_path / "copy"
        shutil.rmtree(copy, ignore_errors=True)
        shutil.copytree(tmp_path / "log", copy)
        name = "_".join(sealed.name.split("_")[:3]) + ".kcw.open"
        (copy / sealed.name).rename(copy / name)
        os.truncate(copy / name, cut)
        assert stored(copy) == made
        restart(copy, START_US + 50 * S).close()
        assert stored(copy) == made
        assert all(isinstance(found, FileOk) for found in verify_files(log_files([copy])))


def test_garbage_after_a_power_cut_is_cut_off(tmp_path: Path, open_log: OpenLog) -> None:
    writer, made = open_log(), stretch(pieces=4)
    writer.open_session(session(GATE, 1, writer.epoch))
    for found in made:
        writer.append(found)
    writer.flush()
    log = tmp_path / "log"
    size = next(log.glob("*.open")).stat().st_size
    for tail in (bytes(5000), b"\xc5KCW" * 100, os.urandom(3000)):
        copy = crashed_at(log, tmp_path / "copy", size)
        with next(copy.glob("*.open")).open("ab") as file:
            file.write(tail)
        restart(copy, START_US + 50 * S).close()
        assert stored(copy) == made
        assert all(isinstance(found, FileOk) for found in verify_files(log_files([copy])))


def test_a_payload_torn_by_a_power_cut_is_cut_off_with_all_after_it(
    tmp_path: Path, open_log: OpenLog
) -> None:
    options = LogOptions(reserve=0, gather_us=1000, sync_us=3600 * S)
    writer, made = open_log(options=options), stretch(pieces=6)
    writer.open_session(session(GATE, 1, writer.epoch))
    for found in made:
        writer.append(found)
    file = None
    deadline = time.monotonic() + 10
    while file is None or file.stat().st_size < 6 * 450:
        file = next((tmp_path / "log").glob("*.open"), None)
        assert time.monotonic() < deadline
    copy = crashed_at(tmp_path / "log", tmp_path / "copy", file.stat().st_size)
    torn = next(copy.glob("*.open"))
    data = bytearray(torn.read_bytes())
    at = data.index(made[3].payload)
    data[at : at + 100] = bytes(100)  # a page that never reached the disk
    torn.write_bytes(data)
    restart(copy, START_US + 50 * S).close()
    assert stored(copy) == made[:3]


def test_damage_in_what_was_durable_does_not_cost_what_came_after(
    tmp_path: Path, open_log: OpenLog
) -> None:
    writer, made = open_log(), stretch(pieces=8)
    writer.open_session(session(GATE, 1, writer.epoch))
    for found in made:
        writer.append(found)
        writer.flush()
    log = tmp_path / "log"
    copy = crashed_at(log, tmp_path / "copy", next(log.glob("*.open")).stat().st_size)
    file = next(copy.glob("*.open"))
    data = bytearray(file.read_bytes())
    data[data.index(made[2].payload) - 20] ^= 1  # a bit of its header rots
    file.write_bytes(data)
    restart(copy, START_US + 50 * S).close()
    assert stored(copy) == made[:2] + made[3:]


_CHILD = """
    import sys, time
    from pathlib import Path
    from tests.fakes.pieces import GATE, YARD, START_US, session, piece
    from kilocam.core import now_us
    from kilocam.record import LogOptions, LogWriter

    writer = LogWriter([Path(sys.argv[1])], "r0", LogOptions(reserve=0, seal_size=200_000))
    writer.start()
    for key in (GATE, YARD):
        writer.open_session(session(key, 1, writer.epoch))
    while True:
        for key in (GATE, YARD):
            now = now_us()
            writer.append(piece(key, wall_us=now, duration_us=5000, payload=bytes(2000)))
            print(key.camera, now, flush=True)
        time.sleep(0.005)
"""


@pytest.mark.parametrize("after_s", [0.4, 1.1])
def test_of_a_recorder_killed_under_load_at_most_a_second_is_lost(
    tmp_path: Path, after_s: float
) -> None:
    log = tmp_path / "log"
    child = subprocess.Popen(
        [sys.executable, "-c", textwrap.dedent(_CHILD), str(log)],
        stdout=subprocess.PIPE,
        cwd=Path(__file__).parents[3],
    )
    assert child.stdout is not None
    first = child.stdout.readline()
    time.sleep(after_s)
    child.send_signal(signal.SIGKILL)
    lines = [first, *child.communicate()[0].splitlines()]
    sent: dict[str, list[int]] = {"gate": [], "yard": []}
    for line in lines:
        camera, at = line.decode().split()
        sent[camera].append(int(at))
    writer = LogWriter([log], "r0", LogOptions(reserve=0))
    writer.start()
    for key in (GATE, YARD):
        times = sent[key.camera]
        got = [p.wall_us for _, p in Archive([log]).pieces(key, times[0], times[-1] + S)]
        assert got == times[: len(got)] or got[:-1] == times
        assert times[-1] - got[-1] <= S
        assert writer.last_stored(key) == got[-1] + 5000
    writer.close()
    assert all(isinstance(found, FileOk) for found in verify_files(log_files([log])))
