"""What is appended comes back, over restarts, files, classes and recorders."""

from dataclasses import replace
from pathlib import Path

import pytest
from tests.fakes.clock import FakeClock
from tests.fakes.pieces import GATE, START_US, YARD, piece, session, stretch
from tests.integration.record.conftest import OpenLog

from kilocam.core import CameraKey, Gap, GapCause, GopRef, Piece, Session, Span
from kilocam.record import (
    Archive,
    FileOk,
    LogOptions,
    LogWriter,
    Position,
    list_records,
    log_files,
    replay,
    verify_files,
)
from kilocam.record.disk import Disk

S = 1_000_000
DAY = 86_400 * S
SMALL = LogOptions(reserve=0, gather_us=1000, seal_size=2000)


def span(start: float, end: float) -> Span:
    return Span(start_us=START_US + int(start * S), end_us=START_US + int(end * S))


def gap(start: float, end: float, cause: GapCause) -> Gap:
    return Gap(start_us=START_US + int(start * S), end_us=START_US + int(end * S), cause=cause)


def record(writer: LogWriter, pieces: list[Piece], number: int = 1) -> None:
    key = CameraKey(pieces[0].tenant, pieces[0].camera)
    writer.open_session(session(key, number, writer.epoch))
    for made in pieces:
        writer.append(made)


def footage(log: Path, key: CameraKey = GATE) -> list[Piece]:
    return [made for _, made in Archive([log]).pieces(key, START_US - DAY, START_US + DAY)]


def coverage(log: Path, key: CameraKey = GATE) -> tuple[list[Span], list[Gap]]:
    return Archive([log]).coverage(key, START_US - DAY, START_US + DAY)


def all_whole(log: Path) -> bool:
    return all(isinstance(result, FileOk) for result in verify_files(log_files([log])))


def test_pieces_come_back_with_their_session(tmp_path: Path, open_log: OpenLog) -> None:
    writer, made = open_log(), stretch()
    record(writer, made)
    assert writer.flush()
    got = list(Archive([tmp_path / "log"]).pieces(GATE, START_US, START_US + 60 * S))
    assert [found for _, found in got] == made
    assert {found for found, _ in got} == {session(GATE, 1, writer.epoch)}


def test_cameras_do_not_mix_over_many_sealed_files(tmp_path: Path, open_log: OpenLog) -> None:
    writer = open_log(options=SMALL)
    gate, yard = stretch(GATE, pieces=40), stretch(YARD, pieces=40)
    writer.open_session(session(GATE, 1, writer.epoch))
    writer.open_session(session(YARD, 1, writer.epoch))
    for one, two in zip(gate, yard, strict=True):
        writer.append(one)
        writer.append(two)
        writer.flush()
    log = tmp_path / "log"
    assert len(log_files([log])) > 5
    assert footage(log, GATE) == gate
    assert footage(log, YARD) == yard
    assert Archive([log]).keys() == [GATE, YARD]
    assert coverage(log) == ([span(0, 20)], [])
    assert all_whole(log)


def test_every_file_is_readable_alone(tmp_path: Path, open_log: OpenLog) -> None:
    writer = open_log(options=SMALL)
    record(writer, stretch(pieces=4))
    writer.flush()
    for made in stretch(start_us=START_US + 2 * S, pieces=20):
        writer.append(made)
        writer.flush()
    writer.close()
    for file in log_files([tmp_path / "log"]):
        kinds = [line.kind for line in list_records(file)]
        assert kinds[:3] == ["file", "session", "piece"]
        assert kinds[-2:] == ["index", "footer"]


def test_reading_begins_at_the_key_frame_before(tmp_path: Path, open_log: OpenLog) -> None:
    writer, made = open_log(), stretch(pieces=16)
    record(writer, made)
    writer.flush()
    archive = Archive([tmp_path / "log"])
    middle = START_US + int(3.2 * S)
    assert [p for _, p in archive.pieces(GATE, middle, START_US + 60 * S)] == made[4:]
    assert [p for _, p in archive.pieces(GATE, middle, START_US + 60 * S, exact=True)] == made[6:]
    assert [p for _, p in archive.pieces(GATE, middle, START_US + 4 * S)] == made[4:8]
    assert list(archive.pieces(GATE, START_US + 60 * S, START_US + 70 * S)) == []


def test_reading_does_not_begin_before_a_gap(tmp_path: Path, open_log: OpenLog) -> None:
    writer, made = open_log(), stretch(pieces=2)
    later = stretch(start_us=START_US + 30 * S, pieces=4, key_every=99)
    later = [found._replace(key_us=0, key_offset=-1) for found in later]
    record(writer, made)
    record(writer, [found._replace(session=2) for found in later], number=2)
    writer.flush()
    archive = Archive([tmp_path / "log"])
    got = [p for _, p in archive.pieces(GATE, START_US + 20 * S, START_US + 60 * S)]
    assert [found.wall_us for found in got] == [found.wall_us for found in later]


def test_spans_and_gaps_say_what_exists_and_why_not(tmp_path: Path, open_log: OpenLog) -> None:
    writer = open_log()
    record(writer, stretch(pieces=4))
    writer.gap("default", "gate", gap(2, 32, GapCause.SILENT))
    writer.gap("default", "gate", gap(32, 62, GapCause.SILENT))
    record(writer, stretch(start_us=START_US + 62 * S, pieces=4, session=2), number=2)
    record(writer, stretch(start_us=START_US + 94 * S, pieces=4, session=3), number=3)
    writer.flush()
    log = tmp_path / "log"
    assert coverage(log) == (
        [span(0, 2), span(62, 64), span(94, 96)],
        [gap(2, 62, GapCause.SILENT), gap(64, 94, GapCause.UNKNOWN)],
    )
    archive = Archive([log])
    assert archive.gaps(GATE, START_US + 70 * S, START_US + 80 * S) == [
        gap(70, 80, GapCause.UNKNOWN)
    ]
    assert archive.gaps(GATE, START_US - 80 * S, START_US) == []
    assert archive.gaps(GATE, START_US + 96 * S, START_US + 99 * S) == []
    assert archive.gaps(YARD, START_US, START_US + 99 * S) == []
    numbers = [found.session for found in archive.sessions(GATE, START_US, START_US + 70 * S)]
    assert numbers == [1, 2]


def test_a_clean_stop_and_a_death_leave_different_gaps(tmp_path: Path, open_log: OpenLog) -> None:
    writer = open_log()
    record(writer, stretch(pieces=4))
    writer.close()
    writer = open_log()
    assert writer.last_stored(GATE) == START_US + 2 * S
    record(writer, stretch(start_us=START_US + 10 * S, pieces=4, session=2), number=2)
    writer.close()
    (tmp_path / "log" / "r0.stopped").unlink()  # as if it had died
    writer = open_log()
    writer.gap("default", "gate", gap(20, 25, GapCause.REFUSED))
    writer.flush()
    assert coverage(tmp_path / "log")[1] == [
        gap(2, 10, GapCause.RECORDER_STOPPED),
        gap(12, 20, GapCause.RECORDER_DIED),
        gap(20, 25, GapCause.REFUSED),
    ]


def test_the_gap_of_a_death_can_be_written_before_the_camera_is_back(
    tmp_path: Path, open_log: OpenLog
) -> None:
    writer = open_log()
    record(writer, stretch(pieces=4))
    writer.close()
    writer = open_log()
    writer.account(GATE, START_US + 5 * S)
    writer.account(GATE, START_US + 7 * S)
    writer.account(YARD, START_US + 7 * S)
    writer.flush()
    log = tmp_path / "log"
    assert coverage(log)[1] == [gap(2, 7, GapCause.RECORDER_STOPPED)]
    record(writer, stretch(start_us=START_US + 9 * S, pieces=4, session=2), number=2)
    writer.flush()
    assert coverage(log)[1] == [gap(2, 9, GapCause.RECORDER_STOPPED)]


def test_the_last_moment_of_a_camera_long_silent_is_known_after_a_restart(
    tmp_path: Path, open_log: OpenLog
) -> None:
    clock = FakeClock(START_US)
    writer = open_log(options=SMALL, clock=clock)
    record(writer, stretch(YARD, pieces=2))
    writer.open_session(session(GATE, 1, writer.epoch))
    for made in stretch(GATE, pieces=40):
        clock.advance(S)
        writer.append(made)
        writer.flush()
    writer.close()
    writer = open_log(clock=clock)
    assert writer.last_stored(YARD) == START_US + S
    assert Archive([tmp_path / "log"]).keys() == [GATE, YARD]


def test_epochs_and_sequences_grow_over_restarts_even_when_the_clock_steps_back(
    open_log: OpenLog,
) -> None:
    clock = FakeClock(START_US)
    writer = open_log(clock=clock)
    record(writer, stretch(pieces=4))
    before = writer.status()
    writer.close()
    clock.advance(-3600 * S)
    writer = open_log(clock=clock)
    assert writer.epoch > before.epoch
    record(writer, stretch(pieces=1, start_us=START_US + 9 * S))
    assert writer.status().accepted > before.accepted


def test_of_two_recorders_at_once_the_higher_epoch_is_given(
    tmp_path: Path, open_log: OpenLog
) -> None:
    old = open_log(recorder="r0")
    new = open_log(recorder="r1", clock=FakeClock(2 * START_US))
    assert new.epoch > old.epoch
    one = stretch(pieces=20, size=100)
    two = stretch(pieces=10, start_us=START_US + 3 * S, session=7, size=200)
    record(old, one)
    record(new, two, number=7)
    old.flush()
    new.flush()
    got = footage(tmp_path / "log")
    assert got == [*one[:6], *two, *one[16:]]
    assert coverage(tmp_path / "log") == ([span(0, 10)], [])


def test_files_of_a_recorder_that_lives_are_left_alone(tmp_path: Path, open_log: OpenLog) -> None:
    first = open_log(recorder="r0")
    record(first, stretch(pieces=4))
    first.flush()
    open_log(recorder="r1")
    more = stretch(pieces=4, start_us=START_US + 2 * S)
    for made in more:
        first.append(made)
    first.flush()
    assert footage(tmp_path / "log") == stretch(pieces=4) + more
    assert len([f for f in log_files([tmp_path / "log"]) if f.name.endswith(".open")]) == 1


def test_each_retention_has_its_own_files_and_the_ninth_shares_the_next_longer(
    tmp_path: Path, open_log: OpenLog
) -> None:
    writer = open_log()
    keys = [CameraKey("default", f"cam{number}") for number in range(9)]
    for number, key in enumerate(keys):
        writer.set_keep(key, (10 + number) * DAY)
        record(writer, stretch(key, pieces=1))
    writer.flush()
    classes = {int(file.name.split("_")[2].split(".")[0]) for file in log_files([tmp_path / "log"])}
    assert len(classes) <= 9  # the default's class has no camera, so no file
    assert max(classes) == 18 * 86_400
    for key in keys:
        assert footage(tmp_path / "log", key) == stretch(key, pieces=1)


def test_a_camera_whose_retention_changes_reads_in_one_row(
    tmp_path: Path, open_log: OpenLog
) -> None:
    writer, made = open_log(), stretch(pieces=12)
    writer.open_session(session(GATE, 1, writer.epoch))
    for number, found in enumerate(made):
        if number in {4, 8}:
            writer.set_keep(GATE, (30 if number == 4 else 7) * DAY)
        writer.append(found)
        writer.flush()
    assert footage(tmp_path / "log") == made


def test_an_archive_follows_files_that_are_sealed_while_it_reads(
    tmp_path: Path, open_log: OpenLog
) -> None:
    writer, made = open_log(), stretch(pieces=12)
    record(writer, made)
    writer.flush()
    reading = Archive([tmp_path / "log"]).pieces(GATE, START_US, START_US + 60 * S)
    got = [next(reading)[1]]
    writer.close()
    got += [found for _, found in reading]
    assert got == made


def test_an_archive_sees_what_is_appended_after_it_was_made(
    tmp_path: Path, open_log: OpenLog
) -> None:
    writer, archive = open_log(), Archive([tmp_path / "log"])
    assert archive.keys() == []
    made = stretch(pieces=6)
    writer.open_session(session(GATE, 1, writer.epoch))
    for number, found in enumerate(made, 1):
        writer.append(found)
        writer.flush()
        got = [p for _, p in archive.pieces(GATE, START_US, START_US + 60 * S)]
        assert got == made[:number]


def test_pieces_of_a_session_that_was_not_opened_are_refused(open_log: OpenLog) -> None:
    writer = open_log()
    with pytest.raises(ValueError, match="default/gate: session 1 is not open"):
        writer.append(piece())


class Announced:
    """The queue's side of GOPs."""

    def __init__(self) -> None:
        self.refs: list[tuple[GopRef, Position]] = []

    def announce(self, ref: GopRef, position: Position) -> None:
        self.refs.append((ref, position))


def test_a_replay_gives_the_windows_that_were_announced(tmp_path: Path, open_log: OpenLog) -> None:
    queue = Announced()
    writer = open_log(options=SMALL, gops=queue)
    writer.open_session(session(GATE, 1, writer.epoch))
    writer.open_session(session(YARD, 1, writer.epoch))
    for one, two in zip(
        stretch(GATE, pieces=30), stretch(YARD, pieces=30, key_every=15), strict=True
    ):
        writer.append(one)
        writer.append(two)
        writer.flush()
    writer.close()
    paths = [tmp_path / "log"]
    again = [
        (replace(r, durable=False), p)
        for r, p in replay(paths, Position(recorder="r0", sequence=0))
    ]
    assert again == queue.refs
    middle = queue.refs[9][1]
    later = [(replace(r, durable=False), p) for r, p in replay(paths, middle)]
    assert later == queue.refs[10:]
    assert list(replay(paths, Position(recorder="r1", sequence=0))) == []


def test_an_onset_is_announced_while_recording_and_not_by_a_replay(
    tmp_path: Path, open_log: OpenLog
) -> None:
    queue = Announced()
    writer = open_log(gops=queue)
    writer.open_session(session(GATE, 1, writer.epoch))
    for number in range(8):
        writer.append(
            piece(
                wall_us=START_US + number * S // 2,
                keyed=number % 4 == 0,
                complexity=10.0 if number < 4 else 20.0,
                sampled=1,
            )
        )
    writer.close()
    first, second, again = (ref for ref, _ in queue.refs)
    assert again == replace(second, onset=20.0)
    found = replay([tmp_path / "log"], Position(recorder="r0", sequence=0))
    assert [replace(ref, durable=False) for ref, _ in found] == [first, second]


def test_a_tap_hears_each_piece_until_it_is_removed(open_log: OpenLog) -> None:
    writer, heard = open_log(), list[tuple[Session, Piece]]()

    def listen(opened: Session, made: Piece) -> None:
        heard.append((opened, made))

    record(writer, stretch(pieces=1))
    assert writer.tap(GATE, listen) == session(GATE, 1, writer.epoch)
    made = stretch(pieces=2, start_us=START_US + S)
    writer.append(made[0])
    writer.untap(GATE, listen)
    writer.append(made[1])
    assert [found for _, found in heard] == made[:1]


class _Remembering(Disk):
    def __init__(self) -> None:
        self.forgotten: list[str] = []

    def forget(self, file: Path) -> None:
        self.forgotten.append(file.name)
        super().forget(file)


def test_sealed_files_leave_the_cache_but_for_the_newest(open_log: OpenLog, tmp_path: Path) -> None:
    disk = _Remembering()
    writer = open_log(options=SMALL, disk=disk)
    writer.open_session(session(GATE, 1, writer.epoch))
    for made in stretch(pieces=12, size=1500):
        writer.append(made)
        assert writer.flush()
    writer.close()
    sealed = sorted(file.name for file in (tmp_path / "log").glob("*.kcw"))
    assert len(sealed) > 2
    assert disk.forgotten == sealed[:-1]
