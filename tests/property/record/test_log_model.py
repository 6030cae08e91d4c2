"""The log compared with a model, under crashes at any byte (I1 to I6, P1 to P5)."""

import contextlib
import os
import shutil
import tempfile
from itertools import pairwise
from pathlib import Path

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule
from tests.fakes.clock import FakeClock
from tests.fakes.pieces import GATE, START_US, YARD, piece, session

from kilocam.core import CameraKey, GapCause, Piece
from kilocam.record import Archive, FileOk, LogOptions, LogWriter, log_files, verify_files

S = 1_000_000
END = START_US + 1_000_000 * S
keys = st.sampled_from([GATE, YARD])


class LogMachine(RuleBasedStateMachine):
    """One recorder; the model is the list of what it accepted, and how much of it is durable."""

    @initialize()
    def begin(self) -> None:
        self.home = Path(tempfile.mkdtemp(prefix="kilocam-model-"))
        self.log = self.home / "log"
        self.clock = FakeClock(START_US)
        self.accepted: list[tuple[CameraKey, Piece]] = []
        self.durable = 0
        self.number = 0
        self.start()

    def start(self) -> None:
        options = LogOptions(reserve=0, gather_us=100, seal_size=3000)
        self.writer = LogWriter([self.log], "r0", options, clock=self.clock)
        self.writer.start()
        self.number += 1
        for key in (GATE, YARD):
            self.writer.open_session(session(key, self.number, self.writer.epoch))

    @rule(key=keys, size=st.integers(0, 900), keyed=st.booleans(), wait=st.integers(0, 3))
    def append(self, key: CameraKey, size: int, keyed: bool, wait: int) -> None:
        self.clock.advance(wait * S + 500_000)
        made = piece(
            key,
            session=self.number,
            wall_us=self.clock.now - 500_000,
            keyed=keyed,
            payload=os.urandom(size),
        )
        self.writer.append(made)
        self.accepted.append((key, made))

    @rule()
    def flush(self) -> None:
        assert self.writer.flush()
        self.durable = len(self.accepted)

    @rule()
    def stop_and_start(self) -> None:
        self.writer.close()
        self.durable = len(self.accepted)
        self.start()

    @rule(flushed=st.booleans(), tail=st.integers(0, 1500))
    def crash(self, flushed: bool, tail: int) -> None:
        """The files as they are at this moment, the last one cut anywhere after its mark."""
        if flushed:
            self.writer.flush()
        copy = self.home / f"crash{self.number}"
        self.snapshot(copy)
        self.writer.close()
        open_files = [file for file in log_files([copy]) if file.name.endswith(".open")]
        if open_files:
            size = max(0, open_files[-1].stat().st_size - tail)
            if self.kept_by(copy, open_files[-1], size) >= self.durable:
                os.truncate(open_files[-1], size)
        self.log = copy
        self.start()
        kept = sum(len(self.stored(key)) for key in (GATE, YARD))
        assert kept >= self.durable, "what was durable survives"
        for key in (GATE, YARD):
            mine = [made for of, made in self.accepted[:kept] if of == key]
            assert self.stored(key) == mine, "what survives is the beginning of what was accepted"
        self.accepted = self.accepted[:kept]
        self.durable = kept

    def snapshot(self, copy: Path) -> None:
        """A copy of the directory at one moment: repeated if a file was sealed meanwhile."""
        while True:
            before = log_files([self.log])
            with contextlib.suppress(FileNotFoundError, shutil.Error):
                shutil.copytree(self.log, copy)
                if log_files([self.log]) == before:
                    return
            shutil.rmtree(copy, ignore_errors=True)

    def is_durable(self) -> bool:
        return self.durable == len(self.accepted)

    def kept_by(self, copy: Path, file: Path, size: int) -> int:
        """How many pieces a reader of the cut copy would find."""
        trial = self.home / "trial"
        shutil.rmtree(trial, ignore_errors=True)
        shutil.copytree(copy, trial)
        os.truncate(trial / file.name, size)
        archive = Archive([trial])
        return sum(len(list(archive.pieces(key, START_US, END))) for key in (GATE, YARD))

    def stored(self, key: CameraKey) -> list[Piece]:
        return [made for _, made in Archive([self.log]).pieces(key, START_US, END)]

    @invariant()
    def what_is_durable_is_read(self) -> None:
        for key in (GATE, YARD):
            mine = [made for of, made in self.accepted[: self.durable] if of == key]
            assert self.stored(key)[: len(mine)] == mine

    @invariant()
    def nothing_is_damaged(self) -> None:
        files = [file for file in log_files([self.log]) if not file.name.endswith(".open")]
        for found in verify_files(files):
            assert isinstance(found, FileOk) or "No such file" in found.reason

    @invariant()
    def every_second_is_accounted_for(self) -> None:
        if not self.is_durable():
            return
        for key in (GATE, YARD):
            spans, gaps = Archive([self.log]).coverage(key, START_US, END)
            parts = [(span.start_us, span.end_us) for span in spans]
            parts = sorted([*parts, *((gap.start_us, gap.end_us) for gap in gaps)])
            assert all(one[1] == two[0] for one, two in pairwise(parts))
            causes = {gap.cause for gap in gaps}
            known = {GapCause.RECORDER_DIED, GapCause.RECORDER_STOPPED, GapCause.UNKNOWN}
            assert causes <= known

    def teardown(self) -> None:
        if hasattr(self, "writer"):
            self.writer.close()
            shutil.rmtree(self.home, ignore_errors=True)


LogMachine.TestCase.settings = settings(max_examples=15, stateful_step_count=14, deadline=None)
test_the_log_behaves_as_its_model = LogMachine.TestCase
