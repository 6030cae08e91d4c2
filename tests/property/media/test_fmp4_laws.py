import struct

from hypothesis import given, settings
from hypothesis import strategies as st

from kilocam.media import Sample, fragment


def boxes(data: bytes, at: int, end: int) -> dict[bytes, list[tuple[int, int]]]:
    """Start and end of the content of each box."""
    found: dict[bytes, list[tuple[int, int]]] = {}
    while at < end:
        size, kind = struct.unpack_from(">I4s", data, at)
        assert 8 <= size <= end - at
        found.setdefault(kind, []).append((at + 8, at + size))
        at += size
    return found


@st.composite
def tracks(draw: st.DrawFn) -> list[Sample]:
    samples: list[Sample] = []
    for track in draw(st.sets(st.integers(1, 3), min_size=1)):
        time = draw(st.integers(0, 1 << 60))
        for _ in range(draw(st.integers(1, 8))):
            duration = draw(st.integers(0, (1 << 32) - 1))
            offset = draw(st.integers(-(1 << 31), (1 << 31) - 1))
            samples.append(
                Sample(
                    track=track, pts=time + offset, dts=time, duration=duration,
                    key=draw(st.booleans()), data=draw(st.binary(max_size=20)),
                )
            )  # fmt: skip
            time += duration
    return samples


@settings(max_examples=80, deadline=None)
@given(tracks(), st.integers(0, (1 << 32) - 1))
def test_what_is_put_into_a_fragment_can_be_read_from_it(
    samples: list[Sample], sequence: int
) -> None:
    data = fragment(samples, sequence=sequence)
    read: list[Sample] = []
    ((moof, moof_end),) = boxes(data, 0, len(data))[b"moof"]
    for start, end in boxes(data, moof, moof_end)[b"traf"]:
        inner = boxes(data, start, end)
        (track,) = struct.unpack_from(">I", data, inner[b"tfhd"][0][0] + 4)
        (time,) = struct.unpack_from(">Q", data, inner[b"tfdt"][0][0] + 4)
        at = inner[b"trun"][0][0] + 4
        count, place = struct.unpack_from(">Ii", data, at)
        for number in range(count):
            duration, size, flags, offset = struct.unpack_from(">IIIi", data, at + 8 + 16 * number)
            read.append(
                Sample(
                    track=track, pts=time + offset, dts=time, duration=duration,
                    key=not flags & 0x10000, data=data[place : place + size],
                )
            )  # fmt: skip
            time += duration
            place += size
    assert read == sorted(samples, key=lambda sample: sample.track)
