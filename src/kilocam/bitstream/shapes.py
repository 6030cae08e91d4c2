"""Slice headers of known shapes: the quantiser of one more, at the cost of a comparison.

A header all of whose bits before the quantiser, but those of values of fixed width, equal those of
an earlier one has its quantiser where that one had it. An encoder has a few such shapes.
"""

from collections.abc import Iterable
from typing import NamedTuple

_ESCAPE = b"\x00\x00\x03"
_BYTES = 16
_BITS = 8 * _BYTES


class _Shape(NamedTuple):
    """Where the quantiser stands in the first 16 bytes of a slice that look like this."""

    mask: int
    """All bits before the quantiser but the values of fixed width."""
    pattern: int
    width: int
    """Bits from the quantiser on."""
    rest: int
    """Mask of those."""


class HeaderShapes:
    """The shapes met last.

    Args:
        most: so many are kept.
    """

    __slots__ = ("_most", "_shapes")

    def __init__(self, most: int) -> None:
        self._most = most
        self._shapes: list[_Shape] = []

    def code(self, head: bytes) -> int | None:
        """The Exp-Golomb code of a header's quantiser; None: its shape is not known."""
        start = head[:_BYTES]
        bits = int.from_bytes(start, "big")
        for mask, pattern, width, rest in self._shapes:
            if bits & mask == pattern:
                if 3 in start and _ESCAPE in start:  # to look for one byte costs a fifth
                    return None
                bits &= rest
                after = 2 * bits.bit_length() - width - 1  # bits behind the code
                return (bits >> after) - 1 if after >= 0 else None
        return None

    def learn(self, head: bytes, end: int, values: Iterable[tuple[int, int]]) -> None:
        """Remember a shape without emulation prevention, unless it is too long.

        Args:
            head: the slice's beginning.
            end: where its quantiser begins, in bits.
            values: where each value of fixed width begins, and its width.
        """
        if end > _BITS or len(head) < _BYTES:
            return
        width = _BITS - end
        rest = (1 << width) - 1
        mask = (1 << _BITS) - 1 - rest
        for at, bits in values:
            mask &= ~(((1 << bits) - 1) << (_BITS - at - bits))
        pattern = int.from_bytes(head[:_BYTES], "big") & mask
        self._shapes = [_Shape(mask, pattern, width, rest), *self._shapes[: self._most - 1]]
