from dataclasses import dataclass

from kilocam.analyse.ears import EarOptions, Ears, Turn
from kilocam.core import CameraKey

S = 1_000_000
GATE, YARD = CameraKey("default", "gate"), CameraKey("default", "yard")
OPTIONS = EarOptions()
NOW = 10_000


@dataclass(frozen=True)
class Row:
    start_us: int
    until_us: int
    ends_us: int | None = None


def _live(until_s: float) -> Row:
    return Row(int(until_s * S), int(until_s * S))


class Desk:
    """Ears, in seconds."""

    def __init__(self, *keys: CameraKey) -> None:
        self.ears = Ears(OPTIONS)
        for key in keys:
            self.ears.put(key, [_live(NOW - 2)])

    def take(self, now_s: float) -> tuple[str, float, float] | None:
        turn = self.ears.take(int(now_s * S))
        self.turn = turn
        if turn is None:
            return None
        return turn.stretch.key.camera, turn.from_us / S, turn.to_us / S

    def heard(self, *, until_s: float | None = None, loud: bool = False) -> None:
        assert isinstance(self.turn, Turn)
        until_us = self.turn.to_us if until_s is None else int(until_s * S)
        self.ears.heard(self.turn, until_us, loud=loud, floor_db=-50.0)


def test_a_live_stretch_is_heard_up_to_what_has_arrived() -> None:
    desk = Desk(GATE)
    assert desk.take(NOW) == ("gate", NOW - 2, NOW - 1)


def test_a_loud_camera_is_heard_in_shorter_turns_than_a_quiet_one() -> None:
    for loud, turn_s in ((True, 2), (False, 6)):
        desk = Desk(GATE)
        desk.take(NOW)
        desk.heard(loud=loud)
        assert desk.take(NOW + turn_s - 0.1) is None
        assert desk.take(NOW + turn_s) == ("gate", NOW - 1, NOW + turn_s - 1)


def test_what_is_still_being_said_is_heard_again_from_its_beginning() -> None:
    desk = Desk(GATE)
    desk.take(NOW)
    desk.heard(until_s=NOW - 1.5, loud=True)
    assert desk.take(NOW + 2) == ("gate", NOW - 1.5, NOW + 1)


def test_the_camera_that_waits_longest_comes_first() -> None:
    desk = Desk(GATE, YARD)
    order = []
    for turn in range(6):
        taken = desk.take(NOW + turn)
        assert taken is not None
        order.append(taken[0])
        desk.heard(loud=True)
    assert order == ["gate", "yard"] * 3


def test_a_turn_is_never_longer_than_its_bound() -> None:
    desk = Desk()
    desk.ears.put(GATE, [_live(NOW - 50)])
    assert desk.take(NOW) == ("gate", NOW - 50, NOW - 30)


def test_a_live_stretch_too_far_behind_or_ahead_goes_astray() -> None:
    for until_s, astray in (
        (NOW - 61, True),
        (NOW - 59, False),
        (NOW + 9, False),
        (NOW + 11, True),
    ):
        ears = Ears(OPTIONS)
        ears.put(GATE, [_live(until_s)])
        assert (ears.astray(NOW * S) is not None) == astray, until_s


def _forget_over(desk: Desk) -> list[int]:
    over = desk.ears.over()
    for each in over:
        desk.ears.forget(each)
    return [each.start_us for each in over]


def test_what_was_left_behind_is_caught_up_newest_first_when_nothing_live_is_due() -> None:
    desk = Desk()
    old, newer = Row(0, 9000 * S, 9030 * S), Row(9500 * S, 9510 * S, 9520 * S)
    desk.ears.put(GATE, [old, newer, _live(NOW - 2)])
    assert desk.take(NOW) == ("gate", NOW - 2, NOW - 1)
    desk.heard()
    assert desk.take(NOW) == ("gate", 9510, 9520)
    assert desk.turn is not None
    assert desk.turn.last
    desk.heard()
    assert _forget_over(desk) == [newer.start_us]
    assert desk.take(NOW) == ("gate", 9000, 9020)
    assert not desk.turn.last
    assert desk.ears.over() == []


def test_what_is_older_than_an_hour_is_given_up_and_counted() -> None:
    desk = Desk()
    older, old = Row(0, 1000 * S, 2000 * S), Row(5990 * S, 6000 * S, 6500 * S)
    desk.ears.put(GATE, [older, old, _live(NOW)])
    desk.ears.expire(NOW * S)
    assert _forget_over(desk) == [older.start_us]
    assert desk.ears.unheard_us == 1400 * S
    assert desk.take(NOW) == ("gate", 6400, 6420)
    desk.ears.expire(NOW * S)
    assert desk.ears.unheard_us == 1400 * S


def test_no_camera_leaves_more_than_a_few_stretches_behind() -> None:
    desk = Desk()
    behind = [Row((9000 + 60 * n) * S, (9000 + 60 * n) * S, (9060 + 60 * n) * S) for n in range(12)]
    desk.ears.put(GATE, [*behind, _live(NOW)])
    desk.ears.expire(NOW * S)
    assert _forget_over(desk) == [each.start_us for each in behind[:4]]
    assert desk.ears.unheard_us == 240 * S


def test_a_turn_that_fails_is_tried_again_later_and_given_up_in_the_end() -> None:
    desk = Desk(GATE)
    turns, now = [], float(NOW)
    while desk.ears.unheard_us == 0:
        if (taken := desk.take(now)) is not None:
            turns.append((now - NOW, taken[1]))
            assert desk.turn is not None
            desk.ears.failed(desk.turn, int(now * S))
        now += 1
    assert turns == [(0, NOW - 2), (10, NOW - 2), (30, NOW - 2)]
    assert desk.ears.unheard_us == 20 * S
    assert desk.take(now + 40) == ("gate", NOW + 18, NOW + 38)


def test_what_cannot_be_kept_for_the_moment_is_heard_again() -> None:
    desk = Desk(GATE)
    desk.take(NOW)
    assert desk.turn is not None
    desk.ears.put_off(desk.turn, NOW * S)
    assert desk.take(NOW + 9) is None
    assert desk.take(NOW + 10) == ("gate", NOW - 2, NOW + 9)
    assert desk.ears.unheard_us == 0


def test_a_turn_as_long_as_can_be_goes_on_in_any_case() -> None:
    desk = Desk()
    desk.ears.put(GATE, [_live(NOW - 50)])
    desk.take(NOW)
    desk.heard(until_s=NOW - 50)
    assert desk.take(NOW + 6) == ("gate", NOW - 30, NOW - 10)


def test_stretches_heard_further_than_is_kept_are_to_be_noted() -> None:
    desk = Desk(GATE)
    assert desk.ears.unnoted() == []
    desk.take(NOW)
    desk.heard()
    [stretch] = desk.ears.unnoted()
    stretch.noted_us = stretch.until_us
    assert desk.ears.unnoted() == []


def test_a_camera_dropped_in_the_middle_of_a_turn_is_heard_no_more() -> None:
    desk = Desk(GATE)
    desk.take(NOW)
    desk.ears.drop(GATE)
    desk.heard()
    assert desk.take(NOW + 10) is None
    assert GATE not in desk.ears
