"""NAL units out of RTP, as cameras send them: what H.264 (RFC 6184) and H.265 (RFC 7798) share.

An access unit ends at a marker bit, at a new timestamp, or where a NAL unit shows that the next
one begins. None of the three can be trusted alone (quirks 26 to 32 of the cameras met in the
field; numbers stand where each is absorbed).
"""

import base64
import binascii
from abc import ABC, abstractmethod
from collections.abc import Iterator, Sequence
from typing import ClassVar

from kilocam.bitstream import split_annex_b
from kilocam.rtsp.depacketize import AccessUnit, UnitKind

MAX_ACCESS_UNIT = 8 << 20
START_CODE = b"\x00\x00\x01"
_OVERHEAD = 64
"""Bytes that the smallest NAL unit is counted as, so that a bound on bytes bounds memory."""


def sprop_nals(text: str) -> list[bytes]:
    """The NAL units of an SDP's list in base64; quirk 26: some are bad or Annex B."""
    nals: list[bytes] = []
    for part in text.split(","):
        try:
            nals += split_annex_b(base64.b64decode(part + "=" * (-len(part) % 4)))
        except (binascii.Error, ValueError):
            continue
    return nals


def aggregated(payload: bytes, pos: int) -> Iterator[bytes]:
    """The NAL units of an aggregate from `pos` on, each behind its size.

    RFC 6184 section 5.7.1, RFC 7798 section 4.4.2; zero padding is skipped (quirk 29).
    """
    while pos + 2 < len(payload):
        end = pos + 2 + (payload[pos] << 8 | payload[pos + 1])
        if end > pos + 2:
            yield payload[pos + 2 : end]
        pos = end


class NalDepacketizer(ABC):
    """Gathers NAL units into access units; a codec says what they are.

    Args:
        track: index of the track.
        sets: parameter sets of the SDP.
        max_bytes: an access unit that grows beyond this is given out as damaged (quirk 32).
    """

    __slots__ = (
        "_bytes", "_closed", "_damaged", "_detached", "_fragment", "_fresh", "_has_sets",
        "_led", "_marked", "_markers", "_markers_lie", "_max_bytes", "_missed", "_nals",
        "_picture", "_sets", "_track", "_ts", "ignored",
    )  # fmt: skip

    unit_kind: ClassVar[UnitKind]
    header_bytes: ClassVar[int]
    """Of a NAL unit, and of a packet that holds several or a part of one."""
    set_kinds: ClassVar[tuple[int, ...]]
    """Kinds of parameter sets, in the order in which they are wanted."""
    openers: ClassVar[tuple[int, ...]]
    """Kinds that evidently begin an access unit of a key frame."""
    aggregate: ClassVar[int]
    fragment: ClassVar[int]
    """Kinds of the packets that hold several NAL units, and a part of one."""

    def __init__(self, track: int, sets: tuple[bytes, ...], *, max_bytes: int) -> None:
        self._track = track
        self._max_bytes = max_bytes
        self._sets = sets
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
        if ts == self._ts and not lost and self._continues(payload):
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
        if self._fragment and self.is_picture(self.kind(self._fragment[0])):
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
        kind = self.kind(payload)
        if kind == self.fragment:
            self._take_fragment(payload, out)
            return
        self._end_fragment(out)
        if kind == self.aggregate:
            for nal in aggregated(payload, self.header_bytes):
                self._add(nal, out)
        else:
            self._add(payload, out)

    def _take_fragment(self, payload: bytes, out: list[AccessUnit]) -> None:
        """A part of a NAL unit (RFC 6184 section 5.8, RFC 7798 section 4.4.3).

        Quirk 29: S and E at once, E missing, kinds that change.
        """
        at = self.header_bytes
        if len(payload) <= at:
            self.ignored += 1
            return
        header = payload[at]
        if header & 0x80:
            self._end_fragment(out)
            self._fragment.append(self.header_of(payload))
        elif not self._fragment:
            self._damaged = True
            return
        if len(payload) > at + 1:
            self._fragment.append(payload[at + 1 :])
            self._bytes += len(payload) + _OVERHEAD
        if header & 0x40:
            self._end_fragment(out)

    def _end_fragment(self, out: list[AccessUnit]) -> None:
        if self._fragment:
            nal = b"".join(self._fragment)
            self._fragment = []
            if len(nal) > self.header_bytes:
                self._add(nal, out)

    def _add(self, nal: bytes, out: list[AccessUnit]) -> None:
        if START_CODE not in nal:
            self._append(nal, out)
            return
        for part in split_annex_b(nal):  # quirk 30
            self._append(part, out)

    def _append(self, nal: bytes, out: list[AccessUnit]) -> None:
        if not self.is_nal(nal):
            self.ignored += 1
            return
        kind = self.kind(nal)
        if self.is_leading(kind):
            self._led = True
            if self._picture:
                out.append(self._finish())
        self._nals.append(nal)
        self._bytes += len(nal) + _OVERHEAD
        self._picture = self._picture or self.is_picture(kind)
        self._has_sets = self._has_sets or kind in self.set_kinds

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
        key = self.is_key(nals)
        changed = self._has_sets and self._renew_sets(nals)
        unit = AccessUnit(
            track=self._track,
            kind=self.unit_kind,
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
            bare = not self._led and self.is_first_slice(first)
            return not (key and (self.kind(first) in self.openers or bare))
        slices = (nal for nal in nals if self.is_picture(self.kind(nal)))
        return self._fresh and not self.is_first_slice(next(slices, b""))

    def _renew_sets(self, nals: tuple[bytes, ...]) -> bool:
        """Take the unit's parameter sets into force (quirk 27); whether that changed anything.

        A unit with all kinds replaces all; with some, those of these kinds.
        """
        sets = list(self._sets)
        for kind in self.set_kinds:
            new = [nal for nal in nals if self.kind(nal) == kind]
            if new:
                sets = [nal for nal in sets if self.kind(nal) != kind] + list(dict.fromkeys(new))
        sets.sort(key=self.kind)
        before, self._sets = self._sets, tuple(sets)
        return self._sets != before

    def _continues(self, payload: bytes) -> bool:
        """Whether a payload begins a slice that is not the first of its picture."""
        if not payload:
            return False
        if self.kind(payload) == self.fragment:
            at = self.header_bytes
            if len(payload) < at + 2 or not payload[at] & 0x80:
                return False
            payload = self.header_of(payload) + payload[at + 1 : at + 2]
        return self.is_later_slice(payload)

    # -- what a codec says -------------------------------------------------------------------------

    @staticmethod
    @abstractmethod
    def kind(nal: bytes) -> int:
        """Kind of a NAL unit or packet that is not empty."""

    @staticmethod
    @abstractmethod
    def header_of(fragment: bytes) -> bytes:
        """The header of the NAL unit that a fragment, which has its own header, begins."""

    @staticmethod
    @abstractmethod
    def is_nal(nal: bytes) -> bool:
        """Whether it is a NAL unit for us, not a kind of packet or unknown."""

    @staticmethod
    @abstractmethod
    def is_picture(kind: int) -> bool:
        """Whether NAL units of this kind carry a part of a picture."""

    @staticmethod
    @abstractmethod
    def is_leading(kind: int) -> bool:
        """Whether NAL units of this kind stand before the picture they belong to."""

    @staticmethod
    @abstractmethod
    def is_first_slice(nal: bytes) -> bool:
        """Whether it is the first slice of a picture."""

    @staticmethod
    @abstractmethod
    def is_later_slice(nal: bytes) -> bool:
        """Whether it is a slice and not the first of its picture."""

    @staticmethod
    @abstractmethod
    def is_key(nals: Sequence[bytes]) -> bool:
        """Whether decoding can start at an access unit."""
