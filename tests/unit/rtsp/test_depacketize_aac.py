"""AAC payloads as cameras send them; quirks have their numbers."""

import pytest

from kilocam.rtsp.depacketize import AccessUnit, UnitKind
from kilocam.rtsp.depacketize_aac import AacDepacketizer, aac_config
from kilocam.rtsp.packetize import packetize_aac

HBR = "mode=AAC-hbr;config=1408;SizeLength=13;IndexLength=3;IndexDeltaLength=3;Profile=1"
FRAME, OTHER = b"\x01" + b"a" * 99, b"\x21" + b"b" * 49


def _hbr(*frames: bytes, delta: int = 0) -> bytes:
    headers = b"".join((len(f) << 3 | (delta if n else 0)).to_bytes(2, "big")
                       for n, f in enumerate(frames))  # fmt: skip
    return (16 * len(frames)).to_bytes(2, "big") + headers + b"".join(frames)


def _adts(frame: bytes) -> bytes:
    size = len(frame) + 7
    return bytes((0xFF, 0xF1, 0x60, 0x40 | size >> 11, size >> 3 & 255, (size & 7) << 5 | 31,
                  0xFC)) + frame  # fmt: skip


def _read(
    *packets: tuple[bytes, int], fmtp: str = HBR, marker: bool = True, lost: int = 0
) -> list[AccessUnit]:
    reader = AacDepacketizer(1, fmtp, 16000)
    units = []
    for payload, ts in packets:
        units += reader.push(payload, ts, marker=marker, lost=lost)
    assert reader.settle() == []
    return units + reader.flush()


def _shape(units: list[AccessUnit]) -> list[tuple[int, bytes, bool]]:
    return [(unit.ts, unit.units[0], unit.damaged) for unit in units]


def test_frames_of_a_packet_follow_each_other_by_their_duration() -> None:
    units = _read((_hbr(FRAME, OTHER), 5000), (_hbr(FRAME), 7048))
    assert _shape(units) == [(5000, FRAME, False), (6024, OTHER, False), (7048, FRAME, False)]
    assert all(unit.key and unit.kind == UnitKind.AAC and unit.track == 1 for unit in units)
    assert [unit.parameter_sets for unit in units] == [(b"\x14\x08",), (), ()]


def test_interleaved_frames_are_placed_by_their_index() -> None:
    assert [u.ts for u in _read((_hbr(FRAME, OTHER, delta=1), 0))] == [0, 2048]


def test_timestamps_of_another_rate_than_the_sound_step_by_its_duration() -> None:
    reader = AacDepacketizer(1, HBR, 90_000)
    units = reader.push(_hbr(FRAME, OTHER), 0, marker=True, lost=0)
    assert [unit.ts for unit in units] == [0, 5760]


def test_low_bit_rate_mode_has_one_byte_headers() -> None:
    payload = b"\0\x10" + bytes((5 << 2, 6 << 2)) + b"first" + b"second"
    assert _shape(_read((payload, 0), fmtp="mode=AAC-lbr;config=1408")) == [
        (0, b"first", False),
        (1024, b"second", False),
    ]


@pytest.mark.parametrize("fmtp", ["", "config=1408", "96 mode=AAC-hbr;sizelength=;config=1408;;"])
def test_q25_missing_parameters_have_the_value_of_high_bit_rate_mode(fmtp: str) -> None:
    assert _shape(_read((_hbr(FRAME, OTHER), 0), fmtp=fmtp)) == [
        (0, FRAME, False),
        (1024, OTHER, False),
    ]


@pytest.mark.parametrize(
    ("fmtp", "config"),
    [
        ("config=1408;", "1408"),
        ('config="1408"', "1408"),
        ("config=14 08", ""),
        ("config=140", ""),
        ("config=17f8", ""),
        ("config=", ""),
        ("", ""),
    ],
)
def test_q33_a_config_is_read_or_left_out(fmtp: str, config: str) -> None:
    assert aac_config(fmtp).hex() == config


def test_q33_fragments_of_a_frame_are_joined() -> None:
    reader = AacDepacketizer(1, HBR, 16000)
    payloads = packetize_aac(FRAME, 40)
    units = []
    for payload in payloads:
        units += reader.push(payload, 100, marker=payload is payloads[-1], lost=0)
    assert _shape(units) == [(100, FRAME, False)]


def test_q33_fragments_without_marker_end_when_the_frame_is_full() -> None:
    payloads = [(payload, 100) for payload in packetize_aac(FRAME, 40)]
    assert _shape(_read(*payloads, marker=False)) == [(100, FRAME, False)]


@pytest.mark.parametrize("missing", [0, 1, 2])
def test_a_frame_with_a_missing_fragment_is_damaged(missing: int) -> None:
    reader = AacDepacketizer(1, HBR, 16000)
    payloads = packetize_aac(FRAME, 40)
    units, lost = [], 0
    for number, payload in enumerate(payloads):
        if number == missing:
            lost = 1
            continue
        units += reader.push(payload, 100, marker=payload is payloads[-1], lost=lost)
        lost = 0
    units += reader.push(_hbr(OTHER), 1124, marker=True, lost=lost)
    assert all(unit.damaged for unit in units[:-1])
    assert _shape(units[-1:]) == [(1124, OTHER, False)]


def test_q33_adts_headers_are_taken_off() -> None:
    assert _shape(_read((_hbr(_adts(FRAME)), 0))) == [(0, FRAME, False)]


def test_q33_bare_adts_is_read_and_tells_the_config() -> None:
    units = _read((_adts(FRAME) + _adts(OTHER), 0), fmtp="")
    assert _shape(units) == [(0, FRAME, False), (1024, OTHER, False)]


def test_q33_a_config_missing_in_the_sdp_is_taken_from_adts() -> None:
    units = _read((_hbr(_adts(FRAME), _adts(OTHER)), 0), fmtp="")
    assert [unit.parameter_sets for unit in units] == [(b"\x14\x08",), ()]


def test_a_frame_that_only_looks_like_adts_is_left_alone() -> None:
    frame = _adts(FRAME) + b"more"
    assert _shape(_read((_hbr(frame), 0))) == [(0, frame, False)]


@pytest.mark.parametrize(
    "payload", [b"\0", b"\0\0ab", b"\xff\xffab", b"\0\x10\0\0ab", b"\0\x08\0a"]
)
def test_a_payload_that_makes_no_sense_is_damaged(payload: bytes) -> None:
    assert _shape(_read((payload, 7))) == [(7, payload, True)]


def test_an_empty_payload_is_nothing() -> None:
    assert _read((b"", 7)) == []


def test_a_packet_that_ends_within_its_second_frame_says_so() -> None:
    assert _shape(_read((_hbr(FRAME, OTHER)[:-9], 0))) == [
        (0, FRAME, False),
        (1024, OTHER[:-9], True),
    ]


def test_fields_of_other_modes_are_stepped_over() -> None:
    fmtp = "config=1408;sizelength=13;indexlength=3;indexdeltalength=3;ctsdeltalength=4;"
    fmtp += "dtsdeltalength=4;randomaccessindication=1;streamstateindication=2"
    bits = "0000000000101" + "000" + "0" + "1" + "0101" + "1" + "00"
    header = int(bits.ljust(32, "0"), 2).to_bytes(4, "big")
    payload = len(bits).to_bytes(2, "big") + header + b"sound"
    assert _shape(_read((payload, 0), fmtp=fmtp)) == [(0, b"sound", False)]
