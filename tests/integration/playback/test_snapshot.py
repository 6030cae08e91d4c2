import pytest
from tests.fakes.footage import GATE
from tests.fakes.stored import Stored, at

from kilocam.core import GapCause
from kilocam.media import read_frame_number
from kilocam.playback import NoFootage, snapshot


@pytest.mark.parametrize("seconds", [0.03, 0.5, 1.999, 2.03, 7.77, 10.03, 16.2, 25.5, 33.333, 39.9])
def test_a_snapshot_is_the_picture_shown_at_that_moment(troubled: Stored, seconds: float) -> None:
    taken = snapshot(troubled.library, GATE, at(seconds))
    shown = troubled.truth.shown_at(at(seconds))

    assert read_frame_number(taken.picture.rgb()) == shown.number
    assert taken.taken_us == shown.wall_us


def test_between_a_lost_packet_and_the_next_key_frame_the_last_whole_picture_stands(
    troubled: Stored,
) -> None:
    taken = snapshot(troubled.library, GATE, at(5.99))
    assert taken.taken_us < at(5.6)


def test_a_key_frame_that_is_not_whole_leaves_the_gop_before_it_standing(
    troubled: Stored,
) -> None:
    taken = snapshot(troubled.library, GATE, at(9.5))
    last = max(s.wall_us for s in troubled.truth.shots if s.wall_us < at(8.02))
    assert taken.taken_us == last
    assert read_frame_number(taken.picture.rgb()) == troubled.truth.shown_at(last).number


def test_a_moment_without_footage_names_the_cause(troubled: Stored) -> None:
    with pytest.raises(
        NoFootage, match=r"'gate' has no footage at 2026-.*Z \(timed_out\)"
    ) as error:
        snapshot(troubled.library, GATE, at(13.5))
    assert error.value.gap.cause is GapCause.TIMED_OUT
    with pytest.raises(NoFootage, match="nothing is recorded there"):
        snapshot(troubled.library, GATE, at(5000))
