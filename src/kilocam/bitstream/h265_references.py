"""Short-term reference picture sets of H.265 (sections 7.3.7 and 7.4.8): which pictures are kept.

They stand in sequence parameter sets and in slice headers. Nothing tells how long one is but its
own content, and one may be told as the difference from another, so they are read in full.
"""

from collections.abc import Sequence
from typing import TypeAlias

from kilocam.bitstream.bits import BitReader
from kilocam.bitstream.errors import BitstreamError

RefPicSet: TypeAlias = tuple[tuple[int, bool], ...]
"""Of each picture its order relative to the current one, and whether this one may refer to it; the
earlier ones first, the nearest of each first."""

_MOST = 16
"""Pictures that a decoder keeps (section A.4.2)."""


def read_ref_pic_set(bits: BitReader, known: Sequence[RefPicSet], *, in_slice: bool) -> RefPicSet:
    """st_ref_pic_set() behind those that are `known`; one in a slice may refer to any of them.

    Raises:
        BitstreamError: it is cut off or holds more pictures than there can be.
    """
    if known and bits.flag():  # inter_ref_pic_set_prediction_flag
        back = bits.ue() + 1 if in_slice else 1
        if back > len(known):
            raise BitstreamError(f"reference picture set {back} before the current: no such")
        kept = _predicted(bits, known[-back])
    else:
        earlier, later = bits.ue(), bits.ue()
        if earlier + later > _MOST:
            raise BitstreamError(f"{earlier} + {later} reference pictures; {_MOST} is the limit")
        kept = (*_listed(bits, earlier, -1), *_listed(bits, later, 1))
    if len(kept) > _MOST:
        raise BitstreamError(f"{len(kept)} reference pictures; {_MOST} is the limit")
    return kept


def _listed(bits: BitReader, count: int, sign: int) -> RefPicSet:
    at, pictures = 0, []
    for _ in range(count):
        at += sign * (bits.ue() + 1)
        pictures.append((at, bits.flag()))
    return tuple(pictures)


def _predicted(bits: BitReader, other: RefPicSet) -> RefPicSet:
    """The pictures of the other set, and its own, shifted (equations 7-61 and 7-62)."""
    negative = bits.flag()
    shift = (bits.ue() + 1) * (-1 if negative else 1)
    pictures = []
    for at, _ in (*other, (0, True)):
        used = bits.flag()
        if (used or bits.flag()) and at + shift:  # use_delta_flag
            pictures.append((at + shift, used))
    return tuple(sorted(pictures, key=lambda each: (each[0] > 0, abs(each[0]))))
