import itertools
import math
from collections.abc import Callable, Mapping
from dataclasses import replace
from types import MappingProxyType

from kilocam.analyse.gate import LEAST_LEVEL, MOST_LEVEL
from kilocam.analyse.results import SkipReason
from kilocam.analyse.scheduler import LEAST_BACKLOG, Scheduler, SchedulerOptions
from kilocam.analyse.windows import Lane, Learnt, Look
from kilocam.bus import Position
from kilocam.core import CameraKey, GopRef

S = 1_000_000
HOUR = 3600 * S
T0 = 1_700_000_000 * S


def _key(camera: str) -> CameraKey:
    return CameraKey("default", camera)


def _ref(camera: str, start: float, complexity: float = 0.0, onset: float = 0.0) -> GopRef:
    start_us = T0 + round(start * S)
    return GopRef(
        tenant="default",
        camera=camera,
        session=1,
        epoch=1,
        start_us=start_us,
        gop_us=start_us,
        complexity=complexity,
        onset=onset,
        bytes_before=0,
        codec="h264",
        durable=False,
    )


class Desk:
    """A scheduler with a clock, so that tests read as stories."""

    def __init__(
        self,
        weight: Callable[[CameraKey], float] = lambda _: 1.0,
        share: float = 0.2,
        learnt: Mapping[CameraKey, Learnt] = MappingProxyType({}),
        audit_every: int = 1 << 40,
    ) -> None:
        options = SchedulerOptions(
            lookers=1, weight=weight, catch_up_share=share, pressed_share=share / 2,
            audit_every=audit_every,
        )  # fmt: skip
        self.scheduler = Scheduler(options, learnt)
        self.now = 0.0
        self.positions = 0

    def offer(self, camera: str, start: float, complexity: float = 0.0, onset: float = 0.0) -> bool:
        self.positions += 1
        ref = _ref(camera, start, complexity, onset)
        told = self.scheduler.offer(ref, Position(1, self.positions), T0 + round(self.now * S))
        self.scheduler.check_invariants()
        return told

    def take(self) -> Look | None:
        look = self.scheduler.take(T0 + round(self.now * S))
        self.scheduler.check_invariants()
        return look

    def must_take(self) -> Look:
        look = self.take()
        assert look is not None
        return look

    def settle(
        self, look: Look, *, cost: float = 0.05, changed: bool = False, found: bool = False
    ) -> None:
        self.scheduler.settle(look, cost_us=round(cost * S), changed=changed, found=found)
        self.scheduler.check_invariants()

    def look(self, *, found: bool = False) -> tuple[str, float]:
        look = self.must_take()
        self.settle(look, found=found)
        return look.key.camera, (look.target.start_us - T0) / S

    def look_until_fresh(self) -> list[Lane]:
        lanes = []
        while Lane.FRESH not in lanes:
            look = self.must_take()
            lanes.append(look.lane)
            self.settle(look)
        return lanes

    def drain(self) -> list[float]:
        """Starts of all windows that are due now."""
        starts = []
        while (look := self.take()) is not None:
            self.settle(look)
            starts.append((look.target.start_us - T0) / S)
        return starts

    def skipped(self) -> list[tuple[float, SkipReason]]:
        drained = self.scheduler.drain_skipped()
        return [((each.window.start_us - T0) / S, each.reason) for each in drained]

    def quieten(self, camera: str, until: float) -> None:
        """Windows every 2 s whose complexity never changes, all looked at when due."""
        while self.now < until:
            self.offer(camera, self.now, complexity=100.0)
            look = self.take()
            if look:
                self.settle(look)
            self.now += 2
        self.skipped()


def test_nothing_is_due_before_anything_was_offered() -> None:
    desk = Desk()
    assert desk.take() is None
    assert desk.scheduler.next_due_us(T0) is None


def test_windows_of_h264_and_h265_are_looked_at_and_others_skipped_as_codec() -> None:
    desk = Desk()
    for number, codec in enumerate(("h264", "h265", "jpeg", "")):
        ref = replace(_ref(f"c{number}", 0), codec=codec)
        desk.scheduler.offer(ref, Position(1, number + 1), T0)
    assert [desk.look()[0], desk.look()[0]] == ["c0", "c1"]
    assert desk.take() is None
    assert desk.skipped() == [(0, SkipReason.CODEC)] * 2


def test_the_camera_longest_without_a_look_comes_first() -> None:
    desk = Desk()
    for camera in ("a", "b", "c"):
        desk.offer(camera, 0)
    seen = []
    for turn in range(6):
        desk.now = turn
        seen.append(desk.look()[0])
        desk.offer(seen[-1], turn + 0.5)
    assert seen == ["a", "b", "c", "a", "b", "c"]


def test_a_camera_of_twice_the_weight_is_looked_at_twice_as_often() -> None:
    desk = Desk(weight=lambda key: 2.0 if key.camera == "gate" else 1.0)
    cameras = ["gate", *(f"c{i}" for i in range(9))]
    seen = []
    for turn in range(400):
        desk.now = float(turn)
        for camera in cameras:
            desk.offer(camera, turn)
        look = desk.must_take()
        desk.settle(look)
        if look.lane is Lane.FRESH:
            seen.append(look.key.camera)
    share = seen.count("gate") / seen.count("c3")
    assert 1.6 < share < 2.4


def test_a_weight_that_changes_holds_from_the_next_window_on() -> None:
    weights = {"gate": 1.0, "yard": 1.0}
    desk = Desk(weight=lambda key: weights[key.camera])
    for turn, weight, first in ((0, 1.0, "yard"), (10, 3.0, "gate"), (20, 0.5, "yard")):
        weights["gate"] = weight
        desk.now = float(turn)
        desk.offer("yard", turn)
        desk.now += 1
        desk.offer("gate", turn)
        assert [desk.look()[0], desk.look()[0]][0] == first


def test_a_window_told_twice_is_looked_at_once() -> None:
    desk = Desk()
    assert desk.offer("a", 0)
    assert not desk.offer("a", 0)
    desk.look()
    assert not desk.offer("a", 0)
    assert desk.take() is None
    assert desk.scheduler.counts()[_key("a")].offered == 1


def test_the_newest_window_comes_first_and_the_older_one_later() -> None:
    desk = Desk()
    desk.offer("a", 0)
    desk.offer("a", 2)
    assert [desk.look(), desk.look()] == [("a", 2), ("a", 0)]


def test_two_looks_at_one_camera_never_run_at_once() -> None:
    desk = Desk()
    desk.offer("a", 0)
    desk.offer("a", 2)
    look = desk.must_take()
    assert desk.take() is None
    desk.settle(look)
    assert desk.take() is not None


def test_a_quiet_camera_is_looked_at_every_six_seconds_and_the_rest_is_counted_as_quiet() -> None:
    desk = Desk()
    desk.quieten("a", 60)
    looks = []
    for _ in range(30):
        desk.offer("a", desk.now, complexity=100.0)
        if (look := desk.take()) is not None:
            looks.append(desk.now)
            desk.settle(look)
        desk.now += 2
    assert {b - a for a, b in itertools.pairwise(looks)} == {6.0}
    assert {reason for _, reason in desk.skipped()} == {SkipReason.QUIET}


def test_a_quiet_camera_is_due_again_without_a_further_offer() -> None:
    desk = Desk()
    desk.quieten("a", 60)
    desk.now = 70
    desk.offer("a", 70, complexity=100.0)
    desk.settle(desk.must_take())
    desk.now = 72
    desk.offer("a", 72, complexity=100.0)
    assert desk.take() is None
    assert desk.scheduler.next_due_us(T0 + 72 * S) == T0 + 76 * S
    desk.now = 76
    assert desk.look() == ("a", 72)


def test_a_camera_in_which_something_changed_is_looked_at_though_its_packets_say_quiet() -> None:
    desk = Desk()
    desk.quieten("a", 60)
    desk.now = 66
    desk.offer("a", 66, complexity=100.0)
    desk.settle(desk.must_take(), changed=True)
    desk.now = 68
    desk.offer("a", 68, complexity=100.0)
    assert desk.look() == ("a", 68)


def stood_out(desk: Desk) -> None:
    """Of a quiet camera's windows the one at 62 s turns out to have been busy."""
    desk.quieten("a", 60)
    desk.now = 60
    desk.offer("a", 60, complexity=100.0)
    while (look := desk.take()) is not None:
        desk.settle(look)
    desk.now = 62
    desk.offer("a", 62, complexity=100.0)
    desk.now = 64
    desk.offer("a", 64, complexity=500.0)


def test_a_window_whose_own_packets_turn_out_busy_is_looked_at_if_there_is_something_after_it() -> (
    None
):
    desk = Desk()
    stood_out(desk)
    assert [desk.look(found=True), desk.look()] == [("a", 64), ("a", 62)]
    assert (62, SkipReason.QUIET) not in desk.skipped()


def test_a_window_whose_own_packets_turn_out_busy_is_noise_if_there_is_nothing_after_it() -> None:
    desk = Desk()
    stood_out(desk)
    assert desk.look() == ("a", 64)
    assert desk.take() is None
    assert (62, SkipReason.QUIET) in desk.skipped()


def test_a_window_that_showed_its_onset_is_looked_at_whatever_comes_after_it() -> None:
    desk = Desk()
    desk.quieten("a", 60)
    desk.offer("a", 60, complexity=100.0)
    while (look := desk.take()) is not None:
        desk.settle(look)
    desk.now = 62
    desk.offer("a", 62, complexity=100.0)
    desk.offer("a", 62, complexity=100.0, onset=500.0)
    desk.now = 64
    desk.offer("a", 64, complexity=500.0)
    assert [desk.look(), desk.look()] == [("a", 64), ("a", 62)]
    assert (62, SkipReason.QUIET) not in desk.skipped()


def test_what_was_found_lets_the_rest_of_that_window_be_looked_at_with_the_next() -> None:
    desk = Desk()
    desk.offer("a", 0)
    desk.look(found=True)
    desk.now = 2.1
    desk.offer("a", 2)
    look = desk.must_take()
    assert look.before is not None
    assert (look.before.start_us - T0, look.before.end_us - T0) == (0, 2 * S)

    desk.settle(look, found=False)
    desk.now = 4.1
    desk.offer("a", 4)
    assert desk.must_take().before is None


def test_the_rest_of_a_window_is_left_out_when_looks_are_late() -> None:
    desk = Desk()
    desk.offer("a", 0)
    desk.look(found=True)
    desk.now = 3.5
    desk.offer("a", 2)
    assert desk.must_take().before is None


def test_the_rest_of_a_window_is_left_out_when_windows_in_between_were_not_looked_at() -> None:
    desk = Desk()
    desk.offer("a", 0)
    desk.look(found=True)
    desk.offer("a", 2)
    desk.now = 4.1
    desk.offer("a", 4)
    assert desk.must_take().before is None


def test_a_window_ends_where_the_next_begins() -> None:
    desk = Desk()
    desk.offer("a", 0)
    desk.offer("a", 1)
    look = desk.must_take()
    assert look.window.end_us - look.window.start_us == 2 * S
    desk.settle(look)
    older = desk.must_take()
    assert older.window.end_us - older.window.start_us == S


def test_catching_up_gets_its_share_of_the_time_and_no_more() -> None:
    desk = Desk(share=0.25)
    for start in range(1000):
        desk.offer("e", start - 2000)
    lanes = []
    for turn in range(400):
        desk.now = float(turn)
        desk.offer("a", turn)
        lanes += desk.look_until_fresh()
    assert 0.23 < lanes.count(Lane.CATCH_UP) / len(lanes) < 0.27


def test_where_too_little_is_looked_at_only_key_frames_are_and_less_is_caught_up() -> None:
    desk = Desk(share=0.25)
    lanes = []
    assert not desk.scheduler.pressed
    for turn in range(400):
        desk.now = float(turn)
        for camera in "abcd":
            desk.offer(camera, turn)
        look = desk.must_take()
        lanes.append(look.lane)
        assert look.before is None or turn < 100
        desk.settle(look, found=True)
    assert desk.scheduler.pressed
    assert desk.scheduler.gate_level == MOST_LEVEL
    assert 0.10 < lanes[100:].count(Lane.CATCH_UP) / 300 < 0.15

    for turn in range(400, 1000):  # one camera is left
        desk.now = float(turn)
        desk.offer("a", turn)
        desk.look_until_fresh()
    assert not desk.scheduler.pressed
    assert desk.scheduler.gate_level < MOST_LEVEL


def test_what_was_read_late_is_not_what_nobody_had_time_for() -> None:
    desk = Desk()
    desk.now = 2000
    for start in range(0, 1900, 2):
        desk.offer("a", start)
    assert not desk.scheduler.pressed
    assert desk.scheduler.gate_level == LEAST_LEVEL


def test_a_look_at_what_was_read_late_does_not_put_off_the_next() -> None:
    desk = Desk()
    desk.quieten("a", 60)
    desk.now = 200
    desk.offer("a", 70, complexity=100.0)
    assert desk.look() == ("a", 70)
    desk.offer("a", 199, complexity=100.0)
    assert desk.look() == ("a", 199)
    desk.offer("a", 200, complexity=100.0)
    assert desk.take() is None


def test_once_looks_say_what_is_quiet_what_waited_for_that_is_passed_over() -> None:
    desk = Desk(share=1e-6)
    for turn, start in enumerate(range(0, 40, 2)):
        desk.now = float(start)
        desk.offer("a", start, complexity=900.0 if start == 6 else 100.0)
        if turn in (0, 8):
            assert desk.look() == ("a", start)
    # 4 and 6 stand out: what the packets say of a window is told with the next.
    assert sorted(desk.drain()) == [4, 6, 38]
    reasons = {reason for _, reason in desk.skipped()}
    assert reasons == {SkipReason.QUIET}


def test_where_every_window_begins_busily_beginnings_are_compared_with_each_other() -> None:
    desk = Desk()
    for start in range(0, 96, 2):
        desk.now = float(start)
        desk.offer("a", start, complexity=100.0)
        desk.offer("a", start, complexity=100.0, onset=200.0)
        if start % 10 == 0:
            desk.drain()
    assert desk.take() is None
    desk.offer("a", 94, complexity=100.0, onset=300.0)
    assert desk.look() == ("a", 94)


def test_a_lane_that_was_idle_has_saved_nothing_up() -> None:
    desk = Desk(share=0.25)
    for turn in range(200):
        desk.now = float(turn)
        desk.offer("a", turn)
        assert desk.look() == ("a", turn)
    for start in range(0, 100, 2):
        desk.offer("b", start)
    assert not desk.scheduler.pressed
    lanes = []
    for turn in range(20):
        desk.now = 300.0 + turn
        desk.offer("c", 300 + turn)
        look = desk.must_take()
        lanes.append(look.lane)
        desk.settle(look)
    assert 4 <= lanes.count(Lane.CATCH_UP) <= 6


def test_the_newest_stretch_is_caught_up_first_and_forward_so_that_its_tracks_join() -> None:
    desk = Desk()
    for start in range(0, 26, 2):
        desk.offer("a", start)
    newest, *older = [desk.look()[1] for _ in range(13)]
    assert newest == 24
    assert older == [20, 22, 10, 12, 14, 16, 18, 0, 2, 4, 6, 8]


def test_more_than_the_share_can_reach_is_skipped_oldest_first_and_counted() -> None:
    desk = Desk()
    desk.offer("a", 0)
    look = desk.must_take()
    desk.settle(look, cost=100_000.0)  # looks cost so much that an hour's share reaches nothing
    for start in range(2, 22, 2):
        desk.now = float(start)
        desk.offer("a", start)
    skipped = desk.skipped()
    assert [reason for _, reason in skipped] == [SkipReason.OVERLOAD] * (9 - LEAST_BACKLOG)
    assert [start for start, _ in skipped] == [2, 4, 6, 8, 10]


def test_a_window_over_an_hour_old_is_skipped_when_offered_and_when_it_waited_too_long() -> None:
    desk = Desk()
    desk.now = 3601
    desk.offer("a", 0)
    assert desk.skipped() == [(0, SkipReason.TOO_OLD)]

    desk.offer("a", 3599)
    desk.offer("a", 3601)
    desk.now = 2 * 3600
    assert desk.look() == ("a", 3601)
    assert desk.take() is None
    assert desk.skipped() == [(3599, SkipReason.TOO_OLD)]


def test_a_look_that_failed_is_skipped_with_its_reason() -> None:
    desk = Desk()
    desk.offer("a", 0)
    desk.scheduler.give_up(desk.must_take(), cost_us=0, reason=SkipReason.FAILED)
    assert desk.skipped() == [(0, SkipReason.FAILED)]
    assert desk.scheduler.counts()[_key("a")].looked == 0


def test_a_window_told_late_takes_its_place_behind() -> None:
    desk = Desk()
    desk.offer("a", 4)
    desk.offer("a", 0)
    desk.offer("a", 2)
    assert [desk.look()[1] for _ in range(3)] == [4, 0, 2]


def test_a_partition_that_is_lost_takes_its_cameras_with_it() -> None:
    desk = Desk()
    desk.offer("a", 0)
    desk.offer("a", 2)
    look = desk.must_take()
    desk.scheduler.forget(_key("a").partition)

    desk.settle(look)
    assert desk.take() is None
    assert desk.scheduler.counts() == {}
    assert desk.scheduler.pending == 0
    assert desk.offer("a", 2)


def _all_due(desk: Desk) -> list[tuple[Lane, str, float]]:
    """Looks until nothing is due at this moment."""
    looks = []
    while (look := desk.take()) is not None:
        desk.settle(look)
        looks.append((look.lane, look.key.camera, (look.target.start_us - T0) / S))
    return looks


def test_after_the_clock_was_put_forward_and_back_new_windows_are_fresh_again() -> None:
    desk = Desk()
    desk.offer("a", 0)
    desk.look()
    desk.now = 86_400
    desk.offer("a", 86_400)
    desk.look()
    desk.offer("a", 86_402)
    for second in (10, 12, 14):
        desk.now = second
        desk.offer("a", second)
        assert (Lane.FRESH, "a", second) in _all_due(desk)


def test_a_restart_after_the_clock_was_put_back_finds_new_windows_fresh() -> None:
    desk = Desk()
    desk.now = 10
    desk.offer("a", 86_400)  # told while the clock was a day ahead
    desk.offer("a", 10)
    assert _all_due(desk) == [(Lane.FRESH, "a", 10), (Lane.CATCH_UP, "a", 86_400)]


def test_a_clock_put_back_leaves_no_camera_unseen_until_it_is_there_again() -> None:
    desk = Desk()
    desk.now = 86_400
    desk.quieten("quiet", until=86_420)
    for second in (86_420, 86_422):
        desk.offer("behind", second)
    _all_due(desk)
    desk.now = 100
    desk.offer("quiet", 100, complexity=100.0)
    desk.now = 106
    assert [camera for _, camera, _ in _all_due(desk)] == ["quiet"]

    # Neither lane holds against a camera that it was looked at "tomorrow".
    for second in (106, 108, 110):
        desk.offer("behind", second)
        desk.offer("new", second)
    first_four = [desk.look()[0] for _ in range(4)]
    assert sorted(first_four) == ["behind", "behind", "new", "new"]


def test_a_quiet_camera_is_looked_at_as_soon_as_its_newest_window_shows_its_onset() -> None:
    desk = Desk()
    desk.quieten("a", 60)
    desk.now = 66
    desk.offer("a", 66, complexity=100.0)
    desk.settle(desk.must_take())
    desk.now = 68
    desk.offer("a", 68, complexity=100.0)
    assert desk.take() is None
    desk.now = 68.5
    assert not desk.offer("a", 68, complexity=100.0, onset=500.0)
    assert desk.look() == ("a", 68)


def test_an_onset_of_a_window_no_longer_waiting_offers_nothing() -> None:
    desk = Desk()
    desk.quieten("a", 60)
    desk.now = 66
    desk.offer("a", 66, complexity=100.0)
    assert not desk.offer("a", 64, complexity=100.0, onset=500.0)
    assert not desk.offer("b", 66, complexity=100.0, onset=500.0)
    assert desk.look() == ("a", 66)
    assert desk.take() is None


def test_an_onset_at_the_usual_level_of_a_camera_is_not_worth_a_look() -> None:
    desk = Desk()
    desk.quieten("a", 60)
    desk.now = 66
    desk.offer("a", 66, complexity=100.0)
    desk.settle(desk.must_take())
    desk.now = 68
    desk.offer("a", 68, complexity=50.0)
    desk.offer("a", 68, complexity=50.0, onset=100.0)
    assert desk.take() is None


def a_busy_one_beside_a_quiet_one_that_is_due(late: float) -> Desk:
    """Something was found in one 4 s ago; the other was last looked at `late` seconds ago."""
    desk = Desk()
    desk.quieten("news", 30)
    desk.quieten("quiet", 60)
    desk.now = 66
    desk.offer("quiet", 66, complexity=100.0)
    desk.settle(desk.must_take())
    desk.now = 68
    desk.offer("quiet", 68, complexity=100.0)
    desk.now = 66 + late - 4
    desk.offer("busy", desk.now)
    assert desk.look(found=True)[0] == "busy"
    desk.now = 66 + late
    desk.offer("busy", desk.now)
    return desk


def test_a_quiet_camera_that_is_due_gives_way_to_a_busy_one() -> None:
    desk = a_busy_one_beside_a_quiet_one_that_is_due(7.5)
    assert [desk.look()[0], desk.look()[0]] == ["busy", "quiet"]


def test_a_quiet_camera_that_has_given_way_for_long_is_as_overdue_as_any() -> None:
    desk = a_busy_one_beside_a_quiet_one_that_is_due(8.5)
    assert [desk.look()[0], desk.look()[0]] == ["quiet", "busy"]


def test_a_quiet_camera_in_which_something_begins_goes_before_all_others() -> None:
    desk = a_busy_one_beside_a_quiet_one_that_is_due(8.5)
    desk.now -= 3
    desk.offer("news", desk.now, complexity=100.0)
    assert desk.look()[0] == "news"
    desk.now += 3
    desk.offer("news", desk.now, complexity=100.0)
    desk.offer("news", desk.now, complexity=100.0, onset=500.0)
    assert [desk.look()[0] for _ in range(3)] == ["news", "quiet", "busy"]


def test_what_begins_where_the_last_look_saw_something_goes_before_all_others_too() -> None:
    desk = a_busy_one_beside_a_quiet_one_that_is_due(8.5)
    desk.now -= 3
    desk.offer("news", desk.now, complexity=100.0)
    assert desk.look(found=True)[0] == "news"
    desk.now += 3
    desk.offer("news", desk.now, complexity=100.0)  # waits, as the last look found something
    assert desk.look()[0] == "quiet"
    desk.offer("news", desk.now, complexity=100.0, onset=500.0)
    assert [desk.look()[0] for _ in range(2)] == ["news", "busy"]


def test_where_all_come_round_slowly_what_begins_still_goes_before_all_others() -> None:
    teacher = Desk()
    teacher.quieten("any", 60)
    levels = teacher.scheduler.learnt()[_key("any")].levels
    quiet = [f"quiet-{number}" for number in range(40)]
    known = {_key(camera): Learnt(levels=levels) for camera in [*quiet, "news"]}
    desk = Desk(learnt=known)
    looked: list[str] = []
    while looked[-9:-8] != ["news"] or desk.now < 60:
        for camera in known:
            desk.offer(camera.camera, desk.now, complexity=100.0)
        looked.append(desk.look()[0])
        desk.now += 0.5  # each of 41 cameras waits 20 s
    desk.offer("news", desk.now, complexity=100.0)
    desk.offer("news", desk.now, complexity=100.0, onset=500.0)
    assert desk.look()[0] == "news"


def test_a_window_stays_behind_if_the_look_under_way_when_it_was_superseded_finds_something() -> (
    None
):
    desk = Desk()
    desk.quieten("a", 66)
    desk.now = 66
    desk.offer("a", 66, complexity=500.0)
    look = desk.must_take()
    desk.now = 68
    desk.offer("a", 68, complexity=100.0)
    desk.now = 70
    desk.offer("a", 70, complexity=500.0)
    desk.settle(look, found=True)
    assert 68 in desk.drain()


def test_of_a_camera_met_anew_only_remarkable_windows_are_caught_up() -> None:
    desk = Desk()
    for start in range(0, 60, 2):
        desk.now = start
        desk.offer("a", start, complexity=500.0 if start == 40 else 100.0)
    desk.now = 60
    newest, *caught_up = desk.drain()
    assert newest == 58
    assert {38, 40} <= set(caught_up)
    assert len(caught_up) < 12


def test_of_a_camera_known_to_be_busy_what_nobody_looked_at_is_caught_up() -> None:
    desk = Desk()
    desk.offer("street", 0, complexity=100)
    desk.settle(desk.must_take(), found=True)
    after = Desk(learnt=desk.scheduler.learnt())
    new = Desk()
    for one in (after, new):
        one.now = 60.0
        for start in range(2, 60, 2):
            one.offer("street", start, complexity=100)
    assert len(after.drain()) == 29
    assert len(new.drain()) < 10


def test_what_is_known_of_cameras_is_not_lost_with_their_partition_nor_before_they_are_met() -> (
    None
):
    desk = Desk(learnt={_key("away"): Learnt(levels=(1.0,)), _key("street"): Learnt()})
    assert desk.scheduler.learnt().keys() == {_key("away"), _key("street")}
    desk.offer("street", 0, complexity=100)
    desk.settle(desk.must_take(), found=True)
    desk.scheduler.forget(_key("street").partition)
    known = desk.scheduler.learnt()
    assert known == {_key("away"): Learnt(levels=(1.0,)), _key("street"): Learnt(active=True)}
    desk.offer("street", 2, complexity=100)
    assert desk.scheduler.learnt() == known


def test_of_a_camera_known_to_be_quiet_what_is_like_always_is_not_looked_at() -> None:
    known = {_key("yard"): Learnt(levels=(4.5, 4.6, 4.7, 4.8, 4.9))}
    desk = Desk(learnt=known)
    desk.now = 60.0
    for start in range(2, 60, 2):
        desk.offer("yard", start, complexity=500 if start == 30 else 90)
    assert desk.drain() == [58, 30, 28]


def test_a_sample_of_what_is_passed_over_as_quiet_is_looked_at_after_all() -> None:
    def audited(every: int) -> tuple[int, int]:
        desk = Desk(learnt={_key("yard"): Learnt(levels=(4.5,) * 8)}, audit_every=every)
        looks = []
        for start in range(0, 4000, 2):
            desk.now = float(start)
            desk.offer("yard", start, complexity=90)
            while (look := desk.take()) is not None:
                looks.append(look.target.audit)
                assert look.target.audit == (look.lane is Lane.CATCH_UP)
                desk.settle(look)
        counts = desk.scheduler.counts()[_key("yard")]
        return sum(looks), counts.skipped.get(SkipReason.QUIET, 0)

    assert audited(1)[1] == 0
    some, quiet = audited(10)
    assert 0.05 < some / (some + quiet) < 0.15
    assert audited(1 << 40)[0] == 0


def _watched(desk: Desk, *, moved: bool) -> float:
    """The gate's level after 400 s of a quiet camera of which each window is audited."""
    for start in range(0, 400, 2):
        desk.now = float(start)
        desk.offer("yard", start, complexity=90)
        while (look := desk.take()) is not None:
            desk.scheduler.settle(look, cost_us=50_000, changed=False, found=False, moved=moved)
    return desk.scheduler.gate_level


def test_where_audits_show_that_much_is_missed_more_is_let_through() -> None:
    def desk() -> Desk:
        return Desk(learnt={_key("yard"): Learnt(levels=(4.5,) * 8)}, audit_every=1)

    assert _watched(desk(), moved=False) == LEAST_LEVEL
    assert _watched(desk(), moved=True) < LEAST_LEVEL


def test_what_is_missed_for_want_of_time_moves_no_target() -> None:
    desk = Desk(learnt={_key("yard"): Learnt(levels=(4.5,) * 8)}, audit_every=1)
    for start in range(0, 120, 2):  # nobody looks at busy windows
        desk.now = float(start)
        desk.offer("street", start)
    pressed = desk.scheduler.gate_level
    assert pressed > LEAST_LEVEL
    assert _watched(desk, moved=True) == pressed


def _known(desk_of: str) -> Desk:
    return Desk(learnt={_key(desk_of): Learnt(levels=(4.5, 4.6, 4.7, 4.8, 4.9))})


def test_of_windows_told_late_only_what_stood_out_is_caught_up() -> None:
    desk = _known("yard")
    desk.now = 100.0
    desk.offer("yard", 98, complexity=90)
    desk.drain()
    # What is told with a window is about the packets of the one before it.
    for start in range(10, 60, 2):
        desk.offer("yard", start, complexity=500 if start == 30 else 90)
    assert desk.drain() == [58, 30, 28]
    skipped = desk.skipped()
    assert {reason for _, reason in skipped} == {SkipReason.QUIET}
    assert len(skipped) == 22


def test_windows_told_late_end_where_the_next_begins_in_whatever_order() -> None:
    desk = Desk()
    desk.now = 100.0
    desk.offer("yard", 99)
    desk.drain()
    for start in (10.0, 11.5, 12.5, 9.0):
        desk.offer("yard", start)
    looks = []
    while (look := desk.take()) is not None:
        desk.settle(look)
        looks.append(((look.target.start_us - T0) / S, (look.target.end_us - T0) / S))
    assert sorted(looks) == [(9.0, 10.0), (10.0, 11.5), (11.5, 12.5), (12.5, 14.5)]


def test_what_is_told_late_does_not_say_what_is_quiet() -> None:
    desk = _known("yard")
    desk.now = 100.0
    desk.offer("yard", 98, complexity=90)
    desk.drain()
    for start in range(10, 40, 2):
        desk.offer("yard", start, complexity=95)
    desk.now = 106.0
    desk.offer("yard", 106, complexity=90)
    desk.drain()
    levels = desk.scheduler.learnt()[_key("yard")].levels
    assert math.log(90) in levels
    assert math.log(95) not in levels


def test_while_older_windows_are_still_to_come_nothing_is_caught_up() -> None:
    desk = Desk()
    partition = _key("yard").partition
    desk.now = 100.0
    desk.offer("yard", 96)
    desk.offer("yard", 98)
    desk.offer("gate", 98)
    desk.scheduler.hold_back(partition)
    assert sorted(desk.drain()) == [98, 98]
    for start in (10, 20, 30):
        desk.offer("yard", start)
    assert desk.drain() == []
    desk.scheduler.catch_up(partition)
    assert desk.drain() == [96, 30, 20, 10]


def test_a_partition_that_was_lost_while_it_was_read_is_caught_up_when_it_is_ours_again() -> None:
    desk = Desk()
    desk.now = 100.0
    desk.offer("yard", 98)
    desk.scheduler.hold_back(_key("yard").partition)
    desk.scheduler.forget(_key("yard").partition)
    desk.offer("yard", 98)
    desk.offer("yard", 20)
    assert desk.drain() == [98, 20]
