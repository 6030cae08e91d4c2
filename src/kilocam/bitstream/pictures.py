"""Access units of H.264: what begins one (section 7.4.1.2.4) and which can be started at."""

from collections.abc import Iterable, Sequence

from kilocam.bitstream.errors import BitstreamError
from kilocam.bitstream.nal import NalKind, is_picture, nal_kind, unescape
from kilocam.bitstream.slices import SliceKind, slice_kind

_LEADING = frozenset({6, 7, 8, 9, 14, 15, 16, 17, 18})
"""Kinds that stand before the picture they belong to."""

_RECOVERY_POINT = 6
"""payloadType of the SEI message (section D.1.8)."""


def is_leading(kind: int) -> bool:
    """Whether a NAL unit of this kind after a picture begins the next access unit."""
    return kind in _LEADING


def is_first_slice(nal: bytes) -> bool:
    """Whether it is a slice with first_mb_in_slice 0: its Exp-Golomb code is a single 1 bit."""
    return len(nal) > 1 and nal_kind(nal) in (1, 2, 5) and nal[1] >= 0x80


def is_idr(nals: Iterable[bytes]) -> bool:
    """Whether an access unit is an instantaneous decoding refresh picture."""
    return any(nal_kind(nal) == NalKind.IDR for nal in nals)


def is_key(nals: Sequence[bytes], *, recovery_points: bool = False) -> bool:
    """Whether decoding can start at this access unit.

    Args:
        nals: the access unit.
        recovery_points: accept also what some encoders send in place of IDR pictures: a recovery
            point (open GOPs, intra refresh), from which pictures are whole at once or some frames
            later, or intra slices behind a sequence parameter set.
    """
    if is_idr(nals):
        return True
    if not recovery_points:
        return False
    if any(_has_recovery_point(nal) for nal in nals):
        return True
    slices = [nal for nal in nals if is_picture(nal_kind(nal))]
    has_sps = any(nal_kind(nal) == NalKind.SPS for nal in nals)
    return has_sps and bool(slices) and all(_is_intra(nal) for nal in slices)


def _is_intra(nal: bytes) -> bool:
    try:
        return slice_kind(nal) in (SliceKind.I, SliceKind.SI)
    except BitstreamError:
        return False


def _has_recovery_point(nal: bytes) -> bool:
    if nal_kind(nal) != NalKind.SEI:
        return False
    data = unescape(nal[1:])
    pos = 0
    while pos + 2 < len(data):
        kind, pos = _sei_number(data, pos)
        size, pos = _sei_number(data, pos)
        if kind == _RECOVERY_POINT:
            return True
        pos += size
    return False


def _sei_number(data: bytes, pos: int) -> tuple[int, int]:
    """A payload type or size: bytes of 255 and one that ends it (section 7.3.2.3.1)."""
    value = 0
    while pos < len(data):
        value += data[pos]
        pos += 1
        if data[pos - 1] != 255:
            break
    return value, pos
