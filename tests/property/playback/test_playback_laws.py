from itertools import pairwise
from random import Random

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from tests.fakes.footage import T0, FootageSpec, session_of

from kilocam.media import VideoFormat, video_format
from kilocam.playback import (
    CapabilityKeys,
    CapabilityRefused,
    NoSuchSegment,
    SegmentName,
    make_init,
    sign,
    verify,
)
from kilocam.playback.samples import VideoSamples
from kilocam.playback.tracks import reorder_depth
from kilocam.rtsp import AccessUnit, UnitKind, sprop_parameter_sets

KEYS = CapabilityKeys(current="k", keys={"k": b"secret"})


def format_with(b_frames: int) -> VideoFormat:
    spec = FootageSpec(width=96, height=64, loop_s=1, key_interval_s=1, b_frames=b_frames)
    track = session_of(spec, 1, T0).tracks[0]
    entry = video_format(sprop_parameter_sets(track.fmtp))
    assert entry is not None
    return entry


REORDERED, PLAIN = format_with(2), format_with(0)


def picture(ts: int, *, key: bool) -> AccessUnit:
    return AccessUnit(track=0, kind=UnitKind.H264, ts=ts, units=(b"\x41\x01",), key=key)


@st.composite
def gops(draw: st.DrawFn) -> list[list[int]]:
    """Timestamps in decoding order: in each GOP no picture waits for more than the format says."""
    depth = reorder_depth(REORDERED)
    ts = draw(st.integers(0, 1 << 40))
    found = []
    for _ in range(draw(st.integers(1, 4))):
        times = []
        for _ in range(draw(st.integers(1, 12))):
            times.append(ts)
            ts += draw(st.integers(1, 20_000))
        random = Random(draw(st.integers(0, 1 << 16)))
        order, waiting = [times[0]], times[1:]
        while waiting:
            # The n-th to be shown is among the first n + depth to be sent.
            order.append(waiting.pop(random.randrange(min(len(waiting), depth + 1))))
            late = [t for t in waiting if sum(o > t for o in order) >= depth]
            order += late
            waiting = [t for t in waiting if t not in late]
        found.append(order)
    return found


@settings(max_examples=60, deadline=None)
@given(gops())
def test_decoding_times_are_the_timestamps_in_order(sent: list[list[int]]) -> None:
    made = VideoSamples(REORDERED, 90_000)
    samples = []
    for gop in sent:
        for number, ts in enumerate(gop):
            samples += made.push(picture(ts, key=number == 0))
    end = max(ts for gop in sent for ts in gop) + 77
    samples += made.finish(end)

    assert [s.pts for s in samples] == [ts for gop in sent for ts in gop]
    assert [s.dts for s in samples] == sorted(s.pts for s in samples)
    assert all(a.dts + a.duration == b.dts for a, b in pairwise(samples))
    assert samples[-1].dts + samples[-1].duration == end


@settings(max_examples=60, deadline=None)
@given(st.lists(st.tuples(st.integers(0, 1 << 33), st.booleans()), max_size=40))
def test_any_timestamps_give_samples_that_follow_each_other(sent: list[tuple[int, bool]]) -> None:
    for entry in (PLAIN, REORDERED):
        made = VideoSamples(entry, 90_000)
        samples = [s for ts, key in sent for s in made.push(picture(ts, key=key))]
        samples += made.finish()
        assert len(samples) == len(sent)
        assert all(a.dts + a.duration == b.dts for a, b in pairwise(samples))


@settings(max_examples=100, deadline=None)
@given(st.text(max_size=60) | st.from_regex(r"\A\d{1,9}-\d{1,18}-\d{1,18}-(av|v)\.m4s\Z"))
def test_a_segment_name_is_read_or_refused(text: str) -> None:
    try:
        name = SegmentName.parse(text)
    except NoSuchSegment:
        return
    assert SegmentName.parse(str(name)) == name


@settings(max_examples=100, deadline=None)
@given(st.text(max_size=60) | st.from_regex(r"\Ainit\.\d{1,5}\.[\w-]{1,60}\.\d\.[\w-]{0,9}\.mp4\Z"))
def test_an_init_name_is_read_or_refused(text: str) -> None:
    try:
        data = make_init(text)
    except NoSuchSegment:
        return
    assert data[4:8] == b"ftyp"


@settings(max_examples=100, deadline=None)
@given(st.text(max_size=40), st.integers(0, 60), st.characters())
@example(resource="", place=8, character="\ud800")
def test_a_changed_token_is_refused(resource: str, place: int, character: str) -> None:
    token = sign(KEYS, resource, T0)
    changed = token[:place] + character + token[place + 1 :]
    verify(KEYS, token, resource, T0)
    if changed != token:
        with pytest.raises(CapabilityRefused):
            verify(KEYS, changed, resource, T0)
