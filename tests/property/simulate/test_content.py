from hypothesis import given, settings
from hypothesis import strategies as st

from kilocam.simulate.content import Content, ContentTrack, RawBlock

steps = st.lists(st.integers(1, 500_000), min_size=1, max_size=12)


def make_content(gaps: list[int], delay_us: int, keys: list[bool]) -> Content:
    """Blocks that are sent `delay_us` after their picture, so maybe after their loop's end."""
    moments = [sum(gaps[:at]) for at in range(len(gaps))]
    return Content(
        name="drawn",
        clock_rate=1_000_000,
        loop_ticks=sum(gaps),
        tracks=[
            ContentTrack(
                media="video",
                codec="h264",
                payload_type=96,
                clock_rate=90_000,
                channels=1,
                fmtp="",
                packets=0,
                octets=0,
            )
        ],
        blocks=[
            RawBlock(
                due_us=moment + delay_us,
                shown_us=moment,
                picture=at,
                key=keys[at % len(keys)],
                packets=[],
            )
            for at, moment in enumerate(moments)
        ],
    )


@settings(max_examples=200, deadline=None)
@given(
    gaps=steps,
    delay=st.integers(0, 100_000),
    keys=st.lists(st.booleans(), min_size=1),
    moment=st.integers(0, 30_000_000),
)
def test_the_first_due_is_the_smallest_that_is_not_before(
    gaps: list[int], delay: int, keys: list[bool], moment: int
) -> None:
    content = make_content(gaps, min(delay, sum(gaps)), keys)
    number = content.first_due(moment)
    assert content.due_us(number) >= moment
    assert number == 0 or content.due_us(number - 1) < moment
    key = content.next_key(number)
    count = len(content.blocks)
    if any(block.key for block in content.blocks):
        assert content.blocks[key % count].key
        assert not any(content.blocks[n % count].key for n in range(number, key))
    else:
        assert key == number


@settings(max_examples=200, deadline=None)
@given(gaps=steps, moment=st.integers(0, 30_000_000))
def test_the_picture_on_air_is_the_newest_taken(gaps: list[int], moment: int) -> None:
    content = make_content(gaps, 0, [True])
    found = content.picture_at(moment)
    assert found is not None
    loop, picture = found
    assert content.picture_us(loop, picture) <= moment
    after = (loop, picture + 1) if picture + 1 < content.pictures else (loop + 1, 0)
    assert content.picture_us(*after) > moment
