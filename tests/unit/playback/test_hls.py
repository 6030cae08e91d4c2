from dataclasses import replace

from kilocam.media import VideoFormat
from kilocam.playback import Plan, Segment, SegmentName, playlist

T0 = 1_790_000_000_000_000
PLAIN = VideoFormat(config=b"\x01d\x00\x0d", width=320, height=180)


def segment(number: int, *, follows: bool = True, width: int = 320) -> Segment:
    start = T0 + number * 4_000_000
    return Segment(
        name=SegmentName(session=1, start_us=start, end_us=start + 4_000_000, sound=False),
        video=replace(PLAIN, width=width, config=PLAIN.config + bytes([width % 256])),
        sound=None,
        video_rate=90_000,
        sound_rate=0,
        follows=follows,
    )


def lines_of(plan: Plan, from_us: int = T0) -> list[str]:
    return playlist(plan, from_us, lambda name: f"x/{name}").splitlines()


def test_a_finished_range_is_a_playlist_with_an_end() -> None:
    plan = Plan(segments=(segment(0, follows=False), segment(1)), complete=True)
    assert lines_of(plan, T0 + 1_500_000) == [
        "#EXTM3U",
        "#EXT-X-VERSION:7",
        "#EXT-X-TARGETDURATION:6",
        "#EXT-X-MEDIA-SEQUENCE:0",
        "#EXT-X-PLAYLIST-TYPE:VOD",
        "#EXT-X-INDEPENDENT-SEGMENTS",
        "#EXT-X-START:TIME-OFFSET=1.500000,PRECISE=YES",
        '#EXT-X-MAP:URI="x/init.90000.AWQADUA.0..mp4"',
        "#EXT-X-PROGRAM-DATE-TIME:2026-09-21T14:13:20.000000Z",
        "#EXTINF:4.000000,",
        f"x/1-{T0}-{T0 + 4_000_000}-v.m4s",
        "#EXT-X-PROGRAM-DATE-TIME:2026-09-21T14:13:24.000000Z",
        "#EXTINF:4.000000,",
        f"x/1-{T0 + 4_000_000}-{T0 + 8_000_000}-v.m4s",
        "#EXT-X-ENDLIST",
    ]


def test_a_range_that_goes_on_is_an_event() -> None:
    lines = lines_of(Plan(segments=(segment(0, follows=False),), complete=False))
    assert "#EXT-X-PLAYLIST-TYPE:EVENT" in lines
    assert "#EXT-X-ENDLIST" not in lines


def test_a_gap_is_a_discontinuity_and_new_pictures_have_a_new_init_segment() -> None:
    segments = (
        segment(0, follows=False),
        segment(5, follows=False),
        segment(6, follows=False, width=480),
    )
    lines = lines_of(Plan(segments=segments, complete=True))
    kinds = [line.split(":")[0] for line in lines if line.startswith("#EXT-X-")]
    assert kinds.count("#EXT-X-DISCONTINUITY") == 2
    assert kinds.count("#EXT-X-MAP") == 2


def test_a_long_segment_raises_the_target_duration() -> None:
    name = SegmentName(session=1, start_us=T0, end_us=T0 + 10_200_000, sound=False)
    plan = Plan(segments=(replace(segment(0), name=name),), complete=True)
    assert "#EXT-X-TARGETDURATION:11" in lines_of(plan)
