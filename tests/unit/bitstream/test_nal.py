import pytest

from kilocam.bitstream import (
    BitstreamError,
    escape,
    join_avcc,
    split_annex_b,
    split_avcc,
    unescape,
)

A, B, C = b"\x67\x64\x00\x0d", b"\x68\xef", b"\x65\x88\x00\x00\x03\x00\x80"


def test_start_codes_of_three_and_four_bytes_part_nal_units() -> None:
    assert split_annex_b(b"\0\0\0\1" + A + b"\0\0\1" + B + b"\0\0\0\1" + C) == [A, B, C]


def test_zero_bytes_that_pad_a_nal_unit_are_no_part_of_it() -> None:
    assert split_annex_b(b"\0\0\0\1" + A + b"\0\0\0\0\0\1" + B + b"\0\0") == [A, B]


def test_bytes_before_the_first_start_code_are_a_nal_unit() -> None:
    assert split_annex_b(A + b"\0\0\0\1" + B) == [A, B]


def test_bytes_without_start_code_are_one_nal_unit_as_they_are() -> None:
    assert split_annex_b(A + b"\0") == [A + b"\0"]
    assert split_annex_b(b"") == []


def test_a_sample_is_split_as_it_was_joined() -> None:
    assert split_avcc(join_avcc([A, B, C])) == [A, B, C]


def test_a_sample_with_two_byte_lengths_is_split() -> None:
    assert split_avcc(b"\0\4" + A + b"\0\2" + B, length_size=2) == [A, B]


@pytest.mark.parametrize("cut", [1, 3, 5, 7])
def test_a_sample_that_is_cut_off_is_an_error(cut: int) -> None:
    with pytest.raises(BitstreamError, match="beyond the sample"):
        split_avcc(join_avcc([A])[:cut])


def test_emulation_prevention_keeps_start_codes_out() -> None:
    raw = b"\0\0\0\0\1\0\0\2\0\0\3\0\0\4\0\0"
    assert b"\0\0\1" not in escape(raw)
    assert unescape(escape(raw)) == raw + b""
