"""H.264 out of RTP (RFC 6184), as cameras send it.

An access unit ends at a marker bit, at a new timestamp, or where a NAL unit shows that the next
one begins. None of the three can be trusted alone (quirks 26 to 32 of the cameras met in the
field; numbers stand where each is absorbed).
"""

import base64
import binascii
from collections.abc import Iterator
from functools import lru_cache

from kilocam.bitstream import (
    BitstreamError,
    NalKind,
    is_first_slice,
    is_key,
    is_leading,
    is_picture,
    parse_pps,
    parse_sps,
    split_annex_b,
)
from kilocam.rtsp.depacketize import AccessUnit, UnitKind, format_parameters

MAX_ACCESS_UNIT = 8 << 20
_STAP_A, _FU_A = 24, 28
_START_CODE = b"\x00\x00\x01"
_OVERHEAD = 64
"""Bytes that the smallest NAL unit is counted as, so that a bound on bytes bounds memory."""
_PARAMETER_SETS = (NalKind.SPS, NalKind.PPS)
_OPENERS = (NalKind.DELIMITER, NalKind.SPS)
"""Kinds that evidently begin an access unit of a key frame."""


def is_key_start(payload: bytes) -> bool:
    """Whether an RTP payload begins the access unit of an H.264 key frame.

    That is an SPS or IDR slice alone or in a STAP-A, or the first fragment of an IDR slice.
    """
    if not payload:
        return False
    kind = payload[0] & 31
    if kind == _FU_A:
        return len(payload) > 1 and payload[1] & 0x80 != 0 and payload[1] & 31 == NalKind.IDR
    if kind == _STAP_A:
        return any(nal[0] & 31 in (NalKind.SPS, NalKind.IDR) for nal in _aggregated(payload))
    if kind in (0, NalKind.SEI, NalKind.DELIMITER) and _START_CODE in payload:  # quirk 30
        return any(nal[0] & 31 in (NalKind.SPS, NalKind.IDR) for nal in split_annex_b(payload))
    return kind in (NalKind.SPS, NalKind.IDR)


@lru_cache(maxsize=256)  # each look at a camera begins with its SDP
def sprop_parameter_sets(fmtp: str) -> tuple[bytes, ...]:
    """The parameter sets of an SDP that can be read; quirk 26: some are missing, bad or Annex B."""
    sets = []
    for text in format_parameters(fmtp).get("sprop-parameter-sets", "").split(","):
        try:
            nals = split_annex_b(base64.b64decode(text + "=" * (-len(text) % 4)))
        except (binascii.Error, ValueError):
            continue
        sets += [nal for nal in nals if _is_readable(nal)]
    return tuple(sets)


def _is_readable(nal: bytes) -> bool:
    for parse in (parse_sps, parse_pps):
        try:
            parse(nal)
        except BitstreamError:
            continue
        return True
    return False


def _aggregated(payload: bytes) -> Iterator[bytes]:
    """The NAL units of a STAP-A (RFC 6184 section 5.7.1); zero padding is skipped (quirk 29)."""
    pos = 1
    while pos + 2 < len(payload):
        end = pos + 2 + (payload[pos] << 8 | payload[pos + 1])
        if end > pos + 2:
            yield payload[pos + 2 : end]
        pos = end


class H264Depacketizer:
    """Gathers NAL units into access units.

    Args:
        track: index of the track.
        fmtp: SDP parameters, for `sprop-parameter-sets`.
        max_bytes: an access unit that grows beyond this is given out as damaged (quirk 32).
    """

    __slots__ = (
        "_bytes", "_closed", "_damaged", "_detached", "_fragment", "_fresh", "_has_sets",
        "_led", "_marked", "_markers", "_markers_lie", "_max_bytes", "_missed", "_nals",
        "_picture", "_sets", "_track", "_ts", "ignored",
    )  # fmt: skip

    def __init__(self, track: int, fmtp: str = "", *, max_bytes: int = MAX_ACCESS_UNIT) -> None:
        self._track = track
        self._max_bytes = max_bytes
        self._sets = sprop_parameter_sets(fmtp)
        self._nals: list[bytes] = []
        self._fragment: list[bytes] = []
        self._bytes = 0
        self._ts = 0
        self._picture = False
        self._has_sets = False
        self._closed = False
        """The unit at hand ended with a marker; only a lie about that can continue it."""
        self._damaged = False
        self._detached = False
        """Something is missing before the unit at hand."""
        self._missed = False
        """Something is missing between the unit at hand and the next."""
        self._fresh = True
        """Nothing is known of what came before."""
        self._led = False
        """Something stands in front of pictures, such as parameter sets."""
        self._marked = False
        self._markers = False
        self._markers_lie = False
        self.ignored = 0
        """Payloads and parts of them that are no NAL units."""

    def push(self, payload: bytes, ts: int, *, marker: bool, lost: int) -> list[AccessUnit]:
        """See `Depacketizer`."""
        out: list[AccessUnit] = []
        if self._closed:
            self._leave_closed(payload, ts, lost, out)
        if lost:
            self._miss(ts, lost, out)
        if ts != self._ts:
            self._turn_to(ts, out)
        if payload:
            self._take(payload, out)
        self._marked = marker
        if marker:
            self._end_fragment(out)
            self._markers = self._markers or self._picture
            self._closed = self._picture and not self._markers_lie
            self._forget_rest()
        if self._bytes > self._max_bytes and not self._closed:
            self._overflow(out)
        return out

    def settle(self) -> list[AccessUnit]:
        """See `Depacketizer`."""
        return [self._finish()] if self._closed else []

    def flush(self) -> list[AccessUnit]:
        """See `Depacketizer`; a unit without marker in a stream that has them is damaged."""
        out: list[AccessUnit] = []
        if self._fragment:
            self._damaged = True
            self._truncate(out)
        if self._nals:
            if not self._picture or (self._markers and not self._marked):
                self._damaged = True
            out.append(self._finish())
        self._damaged = self._detached = self._missed = False
        self._fresh = True
        return out

    def _leave_closed(self, payload: bytes, ts: int, lost: int, out: list[AccessUnit]) -> None:
        """After a marker: the next unit, unless a slice shows that the marker lied (quirk 28)."""
        if ts == self._ts and not lost and _continues(payload):
            self._closed = False
            self._markers_lie = True
        else:
            out.append(self._finish())

    def _miss(self, ts: int, lost: int, out: list[AccessUnit]) -> None:
        """Packets are missing before this one: whom do they hurt?"""
        if not self._nals and not self._fragment:
            self._detached = True
            return
        self._damaged = True
        self._truncate(out)
        if ts != self._ts and self._picture:
            # A single missing packet after a unit without marker was that unit's last.
            self._missed = lost > 1 or not self._markers

    def _truncate(self, out: list[AccessUnit]) -> None:
        """Keep what arrived of a slice; a decoder can use it, but not half a parameter set."""
        if self._fragment and is_picture(self._fragment[0][0] & 31):
            self._end_fragment(out)
        self._fragment = []

    def _turn_to(self, ts: int, out: list[AccessUnit]) -> None:
        """A new timestamp ends a unit (quirk 28: no markers) that has a picture.

        Without one these are parameter sets that carry another picture's time (Reolink RLC-822A).
        """
        self._end_fragment(out)
        if self._picture:
            out.append(self._finish())
        self._forget_rest()
        self._ts = ts

    def _forget_rest(self) -> None:
        """Nothing is kept of a unit whose beginning is not here; the next one misses it."""
        if self._damaged and not self._nals:
            self._damaged = False
            self._detached = self._detached or not self._fresh

    def _take(self, payload: bytes, out: list[AccessUnit]) -> None:
        kind = payload[0] & 31
        if kind == _FU_A:
            self._take_fragment(payload, out)
            return
        self._end_fragment(out)
        if kind == _STAP_A:
            for nal in _aggregated(payload):
                self._add(nal, out)
        else:
            self._add(payload, out)

    def _take_fragment(self, payload: bytes, out: list[AccessUnit]) -> None:
        """FU-A (RFC 6184 section 5.8); quirk 29: S and E at once, E missing, kinds that change."""
        if len(payload) < 2:
            self.ignored += 1
            return
        header = payload[1]
        if header & 0x80:
            self._end_fragment(out)
            self._fragment.append(bytes((payload[0] & 0xE0 | header & 31,)))
        elif not self._fragment:
            self._damaged = True
            return
        if len(payload) > 2:
            self._fragment.append(payload[2:])
            self._bytes += len(payload) + _OVERHEAD
        if header & 0x40:
            self._end_fragment(out)

    def _end_fragment(self, out: list[AccessUnit]) -> None:
        if self._fragment:
            nal = b"".join(self._fragment)
            self._fragment = []
            if len(nal) > 1:
                self._add(nal, out)

    def _add(self, nal: bytes, out: list[AccessUnit]) -> None:
        if _START_CODE not in nal:
            self._append(nal, out)
            return
        for part in split_annex_b(nal):  # quirk 30
            self._append(part, out)

    def _append(self, nal: bytes, out: list[AccessUnit]) -> None:
        kind = nal[0] & 31
        if not 1 <= kind <= 23:
            self.ignored += 1
            return
        if is_leading(kind):
            self._led = True
            if self._picture:
                out.append(self._finish())
        self._nals.append(nal)
        self._bytes += len(nal) + _OVERHEAD
        self._picture = self._picture or is_picture(kind)
        self._has_sets = self._has_sets or kind in _PARAMETER_SETS

    def _overflow(self, out: list[AccessUnit]) -> None:
        self._damaged = True
        self._end_fragment(out)
        if self._nals:
            self._damaged = True
            out.append(self._finish())
        self._bytes = 0
        self._damaged = True

    def _finish(self) -> AccessUnit:
        """Give out the unit at hand and start the next."""
        nals = tuple(self._nals)
        key = is_key(nals, recovery_points=True)
        changed = self._has_sets and self._renew_sets(nals)
        unit = AccessUnit(
            track=self._track,
            kind=UnitKind.H264,
            ts=self._ts,
            units=nals,
            key=key,
            damaged=self._damaged or self._headless(nals, key=key),
            parameter_sets=self._sets if key or changed else (),
        )
        self._nals = []
        self._bytes = 0
        self._picture = self._has_sets = self._closed = self._marked = False
        self._damaged = self._fresh = False
        self._detached, self._missed = self._missed, False
        return unit

    def _headless(self, nals: tuple[bytes, ...], *, key: bool) -> bool:
        """Whether the beginning of the unit, or what it builds on, is missing."""
        first = nals[0]
        if self._detached:
            bare = not self._led and is_first_slice(first)
            return not (key and (first[0] & 31 in _OPENERS or bare))
        slices = (nal for nal in nals if is_picture(nal[0] & 31))
        return self._fresh and not is_first_slice(next(slices, b""))

    def _renew_sets(self, nals: tuple[bytes, ...]) -> bool:
        """Take the unit's parameter sets into force (quirk 27); whether that changed anything.

        A unit with both kinds replaces all; with one kind, those of that kind.
        """
        sets = list(self._sets)
        for kind in _PARAMETER_SETS:
            new = [nal for nal in nals if nal[0] & 31 == kind]
            if new:
                sets = [nal for nal in sets if nal[0] & 31 != kind] + list(dict.fromkeys(new))
        sets.sort(key=lambda nal: nal[0] & 31)
        before, self._sets = self._sets, tuple(sets)
        return self._sets != before


def _continues(payload: bytes) -> bool:
    """Whether a payload begins a slice that is not the first of its picture."""
    if not payload:
        return False
    kind, slice_data = payload[0] & 31, payload[1:2]
    if kind == _FU_A:
        if len(payload) < 3 or not payload[1] & 0x80:
            return False
        kind, slice_data = payload[1] & 31, payload[2:3]
    return kind in (NalKind.SLICE, NalKind.IDR) and slice_data < b"\x80"
