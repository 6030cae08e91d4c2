import pytest

from kilocam.bitstream import BitReader, BitsExhausted, BitstreamError, BitWriter


def test_codes_of_the_specification_read_as_its_table_says() -> None:
    """Table 9-2 and 9-3 of H.264."""
    bits = BitReader(bytes([0b1_010_011_0, 0b0100_0010, 0b1_00110_00]))
    assert [bits.ue() for _ in range(5)] == [0, 1, 2, 3, 4]
    bits = BitReader(bytes([0b1_010_011_0, 0b0100_0010, 0b1_00110_00]))
    assert [bits.se() for _ in range(5)] == [0, 1, -1, 2, -2]


def test_what_was_written_is_read() -> None:
    writer = BitWriter()
    writer.u(7, 99)
    writer.ue(12345)
    writer.se(-77)
    writer.u(1, 1)
    bits = BitReader(writer.to_bytes())
    assert (bits.u(7), bits.ue(), bits.se(), bits.flag()) == (99, 12345, -77, True)


def test_a_value_that_does_not_fit_is_refused() -> None:
    with pytest.raises(BitstreamError, match="8 does not fit into 3 bits"):
        BitWriter().u(3, 8)


def test_reading_beyond_the_end_is_an_error_that_asks_for_more() -> None:
    with pytest.raises(BitsExhausted, match="9 bits wanted, 8 left"):
        BitReader(b"\1").u(9)
    with pytest.raises(BitsExhausted):
        BitReader(b"\1").ue()
    with pytest.raises(BitsExhausted):
        BitReader(b"").ue()


def test_a_code_of_more_than_32_zeros_is_an_error() -> None:
    with pytest.raises(BitstreamError, match="leading zeros"):
        BitReader(b"\0\0\0\0\0\xff" + b"\xff" * 10).ue()
