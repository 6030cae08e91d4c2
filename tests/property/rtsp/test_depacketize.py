"""Laws of the depacketisers and the stream reader.

What is packed is unpacked; any split of the packets gives the same units; a lost packet hurts the
units it belongs to and every damaged unit says so; garbage is never an exception.
"""

import contextlib
from collections.abc import Callable
from dataclasses import replace
from typing import NamedTuple

from hypothesis import given, settings
from hypothesis import strategies as st

from kilocam.core import Track
from kilocam.rtsp.depacketize import Depacketizer, UnitKind
from kilocam.rtsp.depacketize_aac import AacDepacketizer, aac_config
from kilocam.rtsp.depacketize_h264 import H264Depacketizer, is_key_start, sprop_parameter_sets
from kilocam.rtsp.depacketize_h265 import (
    H265Depacketizer,
    h265_parameter_sets,
    has_decoding_order_numbers,
)
from kilocam.rtsp.depacketize_sound import SoundDepacketizer
from kilocam.rtsp.packetize import packetize_aac, packetize_h264, packetize_h265
from kilocam.rtsp.rtcp import parse_sender_reports
from kilocam.rtsp.rtp import RtpPacket, SequenceTracker, build_rtp, parse_rtp
from kilocam.rtsp.streamreader import StreamReader
from kilocam.simulate.reports import sender_report

VIDEO = Track(index=0, media="video", codec="h264", payload_type=96, clock_rate=90_000, channels=0,
              rtp_channel=0, rtcp_channel=1, fmtp="")  # fmt: skip
H265 = replace(VIDEO, codec="h265")
AUDIO = Track(index=1, media="audio", codec="mpeg4-generic", payload_type=97, clock_rate=16_000,
              channels=1, rtp_channel=2, rtcp_channel=3, fmtp="config=1408")  # fmt: skip

# No zero bytes: NAL units never hold start codes.
bodies = st.binary(min_size=1, max_size=400).map(lambda body: body.replace(b"\0", b"\1"))
leading = st.builds(
    lambda kind, body: bytes((kind,)) + body, st.sampled_from([6, 103, 104]), bodies
)
key_slice = bodies.map(lambda body: b"\x65\x88" + body)
first_slice = bodies.map(lambda body: b"\x41\x9a" + body)
more_slices = bodies.map(lambda body: b"\x41\x4a" + body)
leading_265 = st.builds(
    lambda kind, body: bytes((kind << 1, 1)) + body, st.sampled_from([32, 33, 34, 39]), bodies
)


def _slice_265(kind: int, first: int) -> st.SearchStrategy[bytes]:
    return bodies.map(lambda body: bytes((kind << 1, 1, first)) + body)


Pictures = list[tuple[bytes, ...]]


class Film(NamedTuple):
    """Access units and how they are sent."""

    pictures: Pictures
    track: Track
    packetize: Callable[[tuple[bytes, ...], int], list[bytes]]
    openers: frozenset[int]
    """First bytes of a key frame that begins with parameter sets."""


def _pictures(
    front: st.SearchStrategy[bytes], first: st.SearchStrategy[bytes], more: st.SearchStrategy[bytes]
) -> st.SearchStrategy[Pictures]:
    """A camera puts something in front of its pictures, or it does not."""

    def film(fronts: st.SearchStrategy[list[bytes]]) -> st.SearchStrategy[Pictures]:
        picture = st.builds(
            lambda front, first, rest: (*front, first, *rest),
            fronts,
            first,
            st.lists(more, max_size=2),
        )
        return st.lists(picture, min_size=1, max_size=8)

    return film(st.lists(front, min_size=1, max_size=3)) | film(st.just([]))


films = st.builds(
    Film,
    _pictures(leading, key_slice | first_slice, more_slices),
    st.just(VIDEO),
    st.just(packetize_h264),
    st.just(frozenset({103})),
) | st.builds(
    Film,
    _pictures(leading_265, _slice_265(19, 0x80) | _slice_265(1, 0x80), _slice_265(1, 0x40)),
    st.just(H265),
    st.just(packetize_h265),
    st.just(frozenset({32 << 1, 33 << 1})),
)
sizes = st.integers(40, 200)


def _packets(film: Film, size: int) -> list[tuple[int, RtpPacket]]:
    """Number of the picture, and packet."""
    found: list[tuple[int, RtpPacket]] = []
    for number, nals in enumerate(film.pictures):
        payloads = film.packetize(nals, size)
        for at, payload in enumerate(payloads):
            packet = RtpPacket(
                96,
                at == len(payloads) - 1,
                (65_533 + len(found)) & 0xFFFF,
                number * 3600,
                7,
                payload,
            )
            found.append((number, packet))
    return found


def _framed(packet: RtpPacket, channel: int = 0) -> bytes:
    data = build_rtp(packet)
    return b"$" + bytes((channel,)) + len(data).to_bytes(2, "big") + data


@given(films, sizes, st.data())
def test_any_split_of_the_packets_gives_the_film(
    film: Film, size: int, data: st.DataObject
) -> None:
    frames = [_framed(packet) for _, packet in _packets(film, size)]
    cuts = data.draw(st.lists(st.integers(0, len(frames)), max_size=6).map(sorted))
    reader = StreamReader([film.track])
    units = []
    for start, end in zip([0, *cuts], [*cuts, len(frames)], strict=True):
        units += reader.feed(b"".join(frames[start:end]))
    units += reader.flush()
    assert [(unit.ts, unit.units, unit.damaged) for unit in units] == [
        (number * 3600, nals, False) for number, nals in enumerate(film.pictures)
    ]


@given(films, sizes, st.booleans(), st.data())
def test_whatever_is_lost_no_unit_is_wrong_and_silent(
    film: Film, size: int, markers: bool, data: st.DataObject
) -> None:
    packets = _packets(film, size)
    rest = len(packets) - 1
    kept = [True, *data.draw(st.lists(st.booleans(), min_size=rest, max_size=rest))]
    reader = StreamReader([film.track])
    units = []
    for (_, packet), keep in zip(packets, kept, strict=True):
        if keep:
            units += reader.feed(_framed(packet._replace(marker=packet.marker and markers)))
    units += reader.flush()
    seen = [n for (n, _), keep in zip(packets, kept, strict=True) if keep]
    gaps = [n for (n, _), keep in zip(packets, kept, strict=True) if not keep]
    marked = markers and any(
        packet.marker for (_, packet), keep in zip(packets, kept, strict=True) if keep
    )
    for unit in units:
        number, size = unit.ts // 3600, len(unit.units)
        nals = film.pictures[number]
        if not unit.damaged and number in gaps and unit.units == nals[-size:]:
            # A key frame that begins with parameter sets needs nothing of what came before them.
            assert unit.key
            assert unit.units[0][0] in film.openers
        elif not unit.damaged:
            assert nals[:size] == unit.units
            # Without markers nothing tells what came after the last packet.
            assert size == len(nals) or (number == seen[-1] and not marked)
        else:  # nor to which of two units a missing packet belongs
            assert number >= min([*gaps, seen[-1]]) - (0 if marked else 1)


@given(st.lists(st.binary(min_size=1, max_size=900), max_size=6), st.integers(20, 300))
def test_aac_frames_come_out_as_they_went_in(frames: list[bytes], size: int) -> None:
    reader = AacDepacketizer(1, "config=1408", 16_000)
    units = []
    for number, frame in enumerate(b"\1" + frame for frame in frames):
        payloads = packetize_aac(frame, size)
        for payload in payloads:
            units += reader.push(payload, number * 1024, marker=payload is payloads[-1], lost=0)
    assert [(u.ts, u.units, u.damaged) for u in units + reader.flush()] == [
        (number * 1024, (b"\1" + frame,), False) for number, frame in enumerate(frames)
    ]


g711 = st.binary(min_size=1, max_size=400)
opus = st.builds(
    lambda config, body: bytes((config << 3,)) + body, st.integers(0, 31), st.binary(max_size=400)
)
speech = st.sampled_from(["pcmu", "pcma"]).flatmap(
    lambda codec: st.tuples(st.just(codec), st.lists(g711, max_size=12))
) | st.tuples(st.just("opus"), st.lists(opus, max_size=12))


@given(speech, st.data())
def test_sound_in_single_packets_comes_out_as_it_went_in_whatever_is_lost(
    speech: tuple[str, list[bytes]], data: st.DataObject
) -> None:
    codec, bodies = speech
    track = replace(AUDIO, codec=codec, fmtp="")
    kept = data.draw(st.lists(st.booleans(), min_size=len(bodies), max_size=len(bodies)))
    cuts = set(data.draw(st.lists(st.integers(0, len(bodies)), max_size=4)))
    sent = [RtpPacket(97, False, (65_530 + n) & 0xFFFF, (2**32 - 960 + n * 320) & 0xFFFFFFFF, 7,
                      body) for n, body in enumerate(bodies)]  # fmt: skip
    reader, waiting, units = StreamReader([track]), b"", []
    for number, (packet, keep) in enumerate(zip(sent, kept, strict=True)):
        if number in cuts:
            units += reader.feed(waiting)
            waiting = b""
        waiting += _framed(packet, 2) if keep else b""
    units += reader.feed(waiting) + reader.flush()
    first = 2**32 if True not in kept or kept.index(True) < 3 else 0  # where reading began
    assert [(u.ts, u.kind, u.units, u.damaged) for u in units] == [
        (first - 960 + n * 320, UnitKind(codec), (body,), False)
        for n, (body, keep) in enumerate(zip(bodies, kept, strict=True))
        if keep
    ]


payloads = st.binary(max_size=40) | st.builds(
    lambda head, body: bytes(head) + body,
    st.sampled_from(
        [
            (0x7C, 0x85),
            (0x7C, 0x05),
            (0x7C, 0x45),
            (0x78,),
            (0x67,),
            (0x65,),
            (0, 0, 1),
            (0x62, 1, 0x93),
            (0x62, 1, 0x13),
            (0x62, 1, 0x53),
            (0x60, 1),
            (0x42, 1),
            (0x26, 1),
            (2, 1),
        ]
    ),
    st.binary(max_size=30),
)
pushes = st.lists(
    st.tuples(payloads, st.integers(0, 3), st.booleans(), st.sampled_from([0, 0, 0, 1, 70_000])),
    max_size=40,
)


@given(pushes, st.integers(50, 4000))
@settings(max_examples=200)
def test_depacketisers_take_anything_and_keep_their_bounds(
    sequence: list[tuple[bytes, int, bool, int]], bound: int
) -> None:
    video = H264Depacketizer(0, max_bytes=bound)
    newer = H265Depacketizer(0, max_bytes=bound)
    readers: list[Depacketizer] = [video, newer, AacDepacketizer(1, "", 8000),
                                   SoundDepacketizer(1, UnitKind.OPUS),
                                   SoundDepacketizer(1, UnitKind.PCMU)]  # fmt: skip
    for reader in readers:
        units = []
        for payload, ts, marker, lost in sequence:
            units += reader.push(payload, ts, marker=marker, lost=lost)
        units += reader.settle() + reader.flush()
        assert reader.flush() == []
        assert all(unit.units for unit in units)
        if reader in (video, newer):
            assert all(sum(map(len, unit.units)) <= bound + 64 * 2 for unit in units)


@given(st.lists(st.binary(max_size=60) | st.builds(
    lambda channel, body: b"$" + bytes((channel,)) + len(body).to_bytes(2, "big") + body,
    st.integers(0, 4), st.binary(max_size=40).map(lambda tail: b"\x80\x60" + tail)), max_size=8),
    st.none() | st.integers(-(2**40), 2**40), st.booleans(),
    st.sampled_from([VIDEO, H265]), st.sampled_from(["mpeg4-generic", "pcmu", "opus"]))  # fmt: skip
@settings(max_examples=200)
def test_a_reader_takes_any_payload(
    parts: list[bytes], media_ts: int | None, discontinuity: bool, video: Track, codec: str
) -> None:
    reader = StreamReader([video, replace(AUDIO, codec=codec)])
    for part in parts:
        reader.feed(part, media_ts, discontinuity=discontinuity)
    reader.feed(b"".join(parts))
    reader.flush()


@given(st.binary(max_size=80))
def test_garbage_is_no_packet_and_no_exception(data: bytes) -> None:
    parse_rtp(data)
    parse_sender_reports(data)
    is_key_start(data)
    with contextlib.suppress(UnicodeDecodeError):
        text = data.decode()
        sprop_parameter_sets("sprop-parameter-sets=" + text)
        h265_parameter_sets("sprop-vps=" + text)
        has_decoding_order_numbers(text)
        aac_config("config=" + text)
        AacDepacketizer(0, text, 8000)


packets = st.builds(
    RtpPacket, st.integers(0, 127), st.booleans(), st.integers(0, 2**16 - 1),
    st.integers(0, 2**32 - 1), st.integers(0, 2**32 - 1), st.binary(max_size=50),
)  # fmt: skip


@given(packets)
def test_a_packet_is_read_as_it_was_built(packet: RtpPacket) -> None:
    assert parse_rtp(build_rtp(packet)) == packet


u32 = st.integers(0, 2**32 - 1)


@given(u32, st.integers(0, 4_200_000_000 * 1_000_000), u32, u32, u32, st.binary(max_size=60))
def test_reports_are_read_as_they_were_built(
    ssrc: int, wall_us: int, ts: int, packets: int, octets: int, cname: bytes
) -> None:
    data = sender_report(
        ssrc=ssrc, wall_us=wall_us, timestamp=ts, packets=packets, octets=octets, cname=cname
    )
    (found,) = parse_sender_reports(data)
    assert (found.ntp_us, found.rtp_timestamp) == (wall_us, ts)


@given(st.integers(0, 65_535), st.lists(st.integers(0, 2000), max_size=30))
def test_lost_packets_are_counted_exactly(first: int, holes: list[int]) -> None:
    order = SequenceTracker()
    number = first
    order.push(number)
    for hole in holes:
        number += hole + 1
        assert order.push(number & 0xFFFF) == hole
    assert order.lost == sum(holes)
    assert order.received == len(holes) + 1
    assert order.highest == number
