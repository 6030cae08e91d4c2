"""H.265 headers, parameter sets and MP4's record; the seeds are of x265."""

from pathlib import Path

import pytest

from kilocam.bitstream import (
    BitstreamError,
    BitWriter,
    build_h265_config,
    h265_kind,
    is_h265_base,
    is_h265_first_slice,
    is_h265_leading,
    parse_h265_config,
    parse_h265_sps,
)

CORPUS = Path(__file__).parents[2] / "fuzz" / "bitstream" / "corpus"


def seed(name: str) -> bytes:
    return (CORPUS / name).read_bytes()


MAIN = (seed("h265-main.vps"), seed("h265-main.sps"), seed("h265-main.pps"))


@pytest.mark.parametrize(
    ("name", "size", "bits", "chroma", "layers"),
    [
        ("main", (322, 180), 8, 1, 1),
        ("main10", (320, 240), 10, 1, 3),
        ("444", (100, 60), 8, 3, 1),
    ],
)
def test_a_parameter_set_says_what_the_encoder_was_told(
    name: str, size: tuple[int, int], bits: int, chroma: int, layers: int
) -> None:
    sps = parse_h265_sps(seed(f"h265-{name}.sps"))
    assert (sps.width, sps.height) == size
    assert (sps.luma_bits, sps.chroma_bits, sps.chroma_format) == (bits, bits, chroma)
    assert sps.sub_layers == layers


def test_profiles_and_levels_of_sub_layers_are_stepped_over() -> None:
    assert parse_h265_sps(_layered(320, 240)).width == 320


def test_a_parameter_set_with_bytes_behind_it_is_read() -> None:
    """Quirk 31."""
    assert parse_h265_sps(MAIN[1] + b"\0\0\x80" * 300) == parse_h265_sps(MAIN[1])


@pytest.mark.parametrize("nal", [b"", b"\x42", MAIN[0], MAIN[1][:8], b"\x42\1" + b"\xff" * 30])
def test_what_is_no_parameter_set_is_refused(nal: bytes) -> None:
    with pytest.raises(BitstreamError):
        parse_h265_sps(nal)


@pytest.mark.parametrize(("width", "height"), [(0, 240), (320, 1 << 20)])
def test_a_size_that_cannot_be_is_refused(width: int, height: int) -> None:
    with pytest.raises(BitstreamError, match="picture size"):
        parse_h265_sps(_layered(width, height))


def test_the_record_gives_back_the_parameter_sets() -> None:
    record = build_h265_config((MAIN[2], MAIN[0], MAIN[1], MAIN[2]))
    assert parse_h265_config(record) == (4, (*MAIN, MAIN[2]))
    assert build_h265_config(MAIN) == seed("h265-main.hvcc")


@pytest.mark.parametrize("sets", [(), MAIN[:2], MAIN[1:], (*MAIN, b"\x44\1" + b"p" * 70_000)])
def test_a_record_without_all_kinds_or_of_too_large_ones_is_refused(
    sets: tuple[bytes, ...],
) -> None:
    with pytest.raises(BitstreamError):
        build_h265_config(sets)


def test_a_record_that_is_cut_off_is_refused() -> None:
    record = seed("h265-main10.hvcc")
    for end in range(len(record)):
        with pytest.raises(BitstreamError):
            parse_h265_config(record[:end])


def test_headers_say_kind_layer_and_first_slice() -> None:
    assert [h265_kind(nal) for nal in MAIN] == [32, 33, 34]
    assert all(is_h265_base(nal) for nal in MAIN)
    for nal in (b"", b"\x02", b"\x02\0", b"\x03\1", b"\x02\x09"):
        assert not is_h265_base(nal)
    assert is_h265_first_slice(b"\2\1\x80")
    assert not any(map(is_h265_first_slice, (b"\2\1\x40", b"\2\1", b"", b"\x42\1\x80")))
    assert [kind for kind in range(64) if is_h265_leading(kind)] == [
        32, 33, 34, 35, 39, 41, 42, 43, 44, 48, 49, 50, 51, 52, 53, 54, 55,
    ]  # fmt: skip


def _layered(width: int, height: int) -> bytes:
    bits = BitWriter()
    for size, value in ((4, 0), (3, 2), (1, 1), (96, 0)):
        bits.u(size, value)
    for present in (0b11, 0b01):  # of two sub-layers: profile and level, level alone
        bits.u(2, present)
    bits.u(2 * 6, 0)
    bits.u(88 + 8 + 8, (1 << 104) - 1)
    for code in (0, 1, width, height):
        bits.ue(code)
    bits.u(1, 0)
    bits.ue(0)
    bits.ue(0)
    bits.u(8, 0x80)
    return b"\x42\1" + bits.to_bytes()
