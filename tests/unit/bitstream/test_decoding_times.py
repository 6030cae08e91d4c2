from kilocam.bitstream import DecodingTimes, reorder_depth


def test_without_reordering_a_picture_is_decoded_when_it_is_shown() -> None:
    times = DecodingTimes(0, 3600)
    assert [times.next(pts) for pts in (10, 50, 51, 900)] == [10, 50, 51, 900]


def test_two_frames_of_reordering_delay_decoding_by_two() -> None:
    times = DecodingTimes(2, 10)
    shown = [100, 140, 120, 110, 130, 180, 160]
    assert [times.next(pts) for pts in shown] == [80, 90, 100, 110, 120, 130, 140]


def test_a_stream_that_reorders_deeper_than_it_says_never_goes_back() -> None:
    times = DecodingTimes(0, 10)
    decoded = [times.next(pts) for pts in (0, 40, 20, 80, 60, 120, 100)]
    assert decoded == sorted(decoded)
    assert times.late == 1
    assert times.reorder == 1


def test_after_a_reset_time_may_jump_back() -> None:
    times = DecodingTimes(1, 10)
    times.next(5000)
    times.reset()
    assert times.next(100) == 90
    assert times.late == 0


def test_depth_is_the_most_frames_that_overtake_one() -> None:
    assert reorder_depth([]) == 0
    assert reorder_depth([1, 2, 2, 3]) == 0
    assert reorder_depth([0, 4, 2, 1, 3, 8, 6]) == 2
    assert reorder_depth(iter([0, 2, 1, *range(3, 200)])) == 1
