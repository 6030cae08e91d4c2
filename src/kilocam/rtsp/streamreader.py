"""Stored footage to access units: the one way to read it, for playback, export and analysis alike.

Payloads are whole RTP and RTCP packets in arrival order, framed as in RFC 2326 section 10.12.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Protocol

from kilocam.rtsp.depacketize import AccessUnit, Depacketizer, RawDepacketizer, UnitKind
from kilocam.rtsp.depacketize_aac import AacDepacketizer
from kilocam.rtsp.depacketize_h264 import H264Depacketizer
from kilocam.rtsp.depacketize_h265 import H265Depacketizer, has_decoding_order_numbers
from kilocam.rtsp.depacketize_sound import SoundDepacketizer
from kilocam.rtsp.rtcp import parse_sender_reports
from kilocam.rtsp.rtp import RtpPacket, SequenceTracker, TimestampUnwrapper, parse_rtp

_FRAME_HEADER = 4
_UNKNOWN_LOSS = 1 << 16
"""Stands for a loss of unknown size."""
_SOUND = frozenset({UnitKind.PCMU, UnitKind.PCMA, UnitKind.OPUS})
"""Codecs of which each packet stands alone, named as in SDP."""


class TrackLike(Protocol):
    """What must be known of a track to read it."""

    @property
    def index(self) -> int: ...  # noqa: D102 - as in SDP
    @property
    def media(self) -> str: ...  # noqa: D102
    @property
    def codec(self) -> str: ...  # noqa: D102
    @property
    def payload_type(self) -> int: ...  # noqa: D102
    @property
    def clock_rate(self) -> int: ...  # noqa: D102
    @property
    def channels(self) -> int: ...  # noqa: D102
    @property
    def rtp_channel(self) -> int: ...  # noqa: D102
    @property
    def rtcp_channel(self) -> int: ...  # noqa: D102
    @property
    def fmtp(self) -> str: ...  # noqa: D102


@dataclass(frozen=True, slots=True, kw_only=True)
class SenderClock:
    """The latest sender report of a track: at `ntp_us` its timestamp was `ts`."""

    ntp_us: int
    """Microseconds since 1970, by the camera's clock."""
    ts: int
    """Extended like those of the track's access units."""
    clock_rate: int

    def ntp_of(self, ts: int) -> int:
        """The camera's wall time of a timestamp near this one."""
        return self.ntp_us + (ts - self.ts) * 1_000_000 // self.clock_rate

    def ts_of(self, ntp_us: int) -> int:
        """The timestamp of a wall time of the camera near this one."""
        return self.ts + (ntp_us - self.ntp_us) * self.clock_rate // 1_000_000


def depacketizer_for(track: TrackLike) -> Depacketizer:
    """The depacketiser of a track's codec; unknown codecs pass through packet by packet."""
    if track.codec == "h264":
        return H264Depacketizer(track.index, track.fmtp)
    if track.codec == "h265" and not has_decoding_order_numbers(track.fmtp):
        return H265Depacketizer(track.index, track.fmtp)
    if track.codec == "mpeg4-generic" and track.clock_rate > 0:
        return AacDepacketizer(track.index, track.fmtp, track.clock_rate)
    if track.codec in _SOUND:
        return SoundDepacketizer(track.index, UnitKind(track.codec))
    return RawDepacketizer(track.index, key=track.media != "video")


class _TrackState:
    """One track on its way: order, time, access units under way."""

    __slots__ = (
        "depacketizer", "matched", "order", "payload_type", "report", "skipping", "times", "track"
    )  # fmt: skip

    def __init__(self, track: TrackLike, depacketizer: Depacketizer, *, skipping: bool) -> None:
        self.track = track
        self.payload_type = track.payload_type
        self.depacketizer = depacketizer
        self.order = SequenceTracker()
        self.times = TimestampUnwrapper()
        self.report: SenderClock | None = None
        self.matched = False
        """A packet with the payload type of the SDP was seen."""
        self.skipping = skipping
        """Waiting for a key frame."""


class StreamReader:
    """Turns the payloads of one session, in order, into access units.

    Timestamps are extended: those of the reference track (video, else the first) agree with the
    `media_ts` of the pieces, those of the others start at the first packet read; `sender_clock`
    ties the tracks together. Duplicate and late packets are dropped (stored footage came over TCP).

    Args:
        tracks: of the session.
        decodable_only: give out only what a decoder can use: begin each track at a key frame, and
            after damage go on at the next one. Otherwise everything comes, damage marked.
        depacketize: chooses how a track is read.
    """

    def __init__(
        self,
        tracks: Iterable[TrackLike],
        *,
        decodable_only: bool = False,
        depacketize: Callable[[TrackLike], Depacketizer] = depacketizer_for,
    ) -> None:
        states = [_TrackState(t, depacketize(t), skipping=decodable_only) for t in tracks]
        self._states = {state.track.index: state for state in states}
        self._rtp = {state.track.rtp_channel: state for state in states}
        self._rtcp = {state.track.rtcp_channel: state for state in states}
        videos = [state for state in states if state.track.media == "video"]
        self._reference = next(iter(videos or states), None)
        self._decodable_only = decodable_only
        self.malformed = 0
        """Packets that were none, and places where frames had to be looked for."""
        self.ignored = 0
        """Packets of channels and payload types that are not the session's."""
        self.withheld = 0
        """Access units that `decodable_only` left out."""

    @property
    def reference(self) -> int:
        """Index of the reference track; -1 without tracks."""
        return self._reference.track.index if self._reference is not None else -1

    @property
    def lost(self) -> int:
        """Packets missing so far, all tracks together."""
        return sum(state.order.lost for state in self._states.values())

    def sender_clock(self, track: int) -> SenderClock | None:
        """The latest sender report of a track, or None."""
        return self._states[track].report

    def feed(
        self, payload: bytes, media_ts: int | None = None, *, discontinuity: bool = False
    ) -> list[AccessUnit]:
        """Take the next payload; access units come in order within each track.

        Args:
            payload: whole framed packets.
            media_ts: the extended timestamp of the reference track's first packet in it, so that
                reading may start anywhere.
            discontinuity: the payload does not continue the one before.
        """
        return list(self.read(payload, media_ts, discontinuity=discontinuity))

    def read(
        self, payload: bytes, media_ts: int | None = None, *, discontinuity: bool = False
    ) -> Iterator[AccessUnit]:
        """As `feed`, packet by packet: whoever wants no more of a session stops asking."""
        if discontinuity:
            yield from self._break()
        if self._reference is not None and media_ts is not None:
            self._reference.times.seed(media_ts)
        rtp, end, pos = self._rtp, len(payload), 0
        while pos + _FRAME_HEADER <= end:
            start = pos + _FRAME_HEADER
            stop = start + (payload[pos + 2] << 8 | payload[pos + 3])
            if payload[pos] != 0x24 or stop > end:
                pos = self._find_frame(payload, pos + 1)
                continue
            channel = payload[pos + 1]
            if channel in rtp:
                yield from self._take_rtp(rtp[channel], payload[start:stop])
            elif channel in self._rtcp:
                self._take_rtcp(self._rtcp[channel], payload[start:stop])
            else:
                self.ignored += 1
            pos = stop
        for state in self._states.values():
            yield from self._given(state, state.depacketizer.settle())

    def flush(self) -> list[AccessUnit]:
        """The access units under way, marked as damaged where their end is not known."""
        out: list[AccessUnit] = []
        for state in self._states.values():
            out += self._given(state, state.depacketizer.flush())
        return out

    def _break(self) -> list[AccessUnit]:
        """What comes next does not continue what came before."""
        out = self.flush()
        for state in self._states.values():
            state.report = None
            state.order.start_anew()
        return out

    def _find_frame(self, payload: bytes, pos: int) -> int:
        """Where a frame of ours begins at or after `pos`."""
        self.malformed += 1
        while (pos := payload.find(b"$", pos)) >= 0:
            known = payload[pos + 1 : pos + 2]
            length = int.from_bytes(payload[pos + 2 : pos + 4], "big")
            fits = pos + _FRAME_HEADER + length <= len(payload)
            if fits and known and (known[0] in self._rtp or known[0] in self._rtcp):
                return pos
            pos += 1
        return len(payload)

    def _take_rtp(self, state: _TrackState, data: bytes) -> Sequence[AccessUnit]:
        packet = parse_rtp(data)
        if packet is None:
            self.malformed += 1
            return ()
        if packet.payload_type == state.payload_type:
            state.matched = True
        elif not self._belongs(state, packet):
            return ()
        lost = state.order.push(packet.sequence)
        if lost < 0:
            if lost != SequenceTracker.RESTART:
                return ()
            lost = _UNKNOWN_LOSS
        ts = state.times.unwrap(packet.timestamp)
        units = state.depacketizer.push(packet.payload, ts, marker=packet.marker, lost=lost)
        return self._given(state, units) if units else ()

    def _belongs(self, state: _TrackState, packet: RtpPacket) -> bool:
        """Whether one of another payload type than the SDP's is the track's all the same.

        Geovision mixes in others, of payload type 50 (quirk 25). Those repeat a sequence number;
        one that has its own must not look like loss. A camera whose packets never have the type of
        its SDP is taken at its packets.
        """
        if not state.matched:
            return True
        if state.order.expects(packet.sequence):
            state.order.push(packet.sequence)
        self.ignored += 1
        return False

    def _take_rtcp(self, state: _TrackState, data: bytes) -> None:
        """The newest sender report counts; its SSRC may be wrong (quirk 18), its channel is not."""
        if state.track.clock_rate <= 0:
            return
        for report in parse_sender_reports(data):
            if state.times.last is None:
                state.times.seed(report.rtp_timestamp)
            state.report = SenderClock(
                ntp_us=report.ntp_us,
                ts=state.times.peek(report.rtp_timestamp),
                clock_rate=state.track.clock_rate,
            )

    def _given(self, state: _TrackState, units: list[AccessUnit]) -> list[AccessUnit]:
        """Those of a track's units that are given out."""
        if not self._decodable_only:
            return units
        out = []
        for unit in units:
            if unit.damaged:
                state.skipping = True
            elif unit.key:
                state.skipping = False
            if state.skipping:
                self.withheld += 1
            else:
                out.append(unit)
        return out
