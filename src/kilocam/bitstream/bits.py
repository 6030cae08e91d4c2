"""Bits and Exp-Golomb codes of a header, read and written (H.264 section 9.1).

A header is held as one integer, so that a field costs a shift and a mask; the caller bounds the
bytes it hands in, and no code may be longer than 32 + 1 + 32 bits.
"""

from kilocam.bitstream.errors import BitsExhausted, BitstreamError

_LONGEST_PREFIX = 32


class BitReader:
    """Reads fields from the most significant bit on.

    Args:
        data: a header without emulation prevention; every field costs time linear in its size, so
            hand in the head of a long one.
    """

    __slots__ = ("_left", "_value")

    def __init__(self, data: bytes) -> None:
        self._value = int.from_bytes(data, "big")
        self._left = len(data) * 8

    @property
    def left(self) -> int:
        """Bits not read yet."""
        return self._left

    def u(self, bits: int) -> int:
        """An unsigned integer of so many bits."""
        left = self._left - bits
        if left < 0:
            raise BitsExhausted(f"{bits} bits wanted, {self._left} left")
        self._left = left
        return (self._value >> left) & ((1 << bits) - 1)

    def flag(self) -> bool:
        """One bit."""
        return self.u(1) == 1

    def ue(self) -> int:
        """An unsigned Exp-Golomb code."""
        rest = self._value & ((1 << self._left) - 1)
        zeros = self._left - rest.bit_length()
        left = self._left - 2 * zeros - 1
        if left < 0:
            raise BitsExhausted(f"Exp-Golomb code cut off with {self._left} bits left")
        if zeros > _LONGEST_PREFIX:
            raise BitstreamError(f"Exp-Golomb code with {zeros} leading zeros; 32 is the limit")
        self._left = left
        return (rest >> left) - 1

    def se(self) -> int:
        """A signed Exp-Golomb code."""
        code = self.ue()
        return (code + 1) >> 1 if code & 1 else -(code >> 1)


class BitWriter:
    """Writes fields from the most significant bit on."""

    __slots__ = ("_bits", "_value")

    def __init__(self) -> None:
        self._value = 0
        self._bits = 0

    def u(self, bits: int, value: int) -> None:
        """An unsigned integer of so many bits."""
        if not 0 <= value < 1 << bits:
            raise BitstreamError(f"{value} does not fit into {bits} bits")
        self._value = self._value << bits | value
        self._bits += bits

    def ue(self, value: int) -> None:
        """An unsigned Exp-Golomb code."""
        self.u(2 * (value + 1).bit_length() - 1, value + 1)

    def se(self, value: int) -> None:
        """A signed Exp-Golomb code."""
        self.ue(2 * value - 1 if value > 0 else -2 * value)

    def to_bytes(self) -> bytes:
        """The fields so far, filled up with zero bits."""
        size = (self._bits + 7) // 8
        return (self._value << (size * 8 - self._bits)).to_bytes(size, "big")
