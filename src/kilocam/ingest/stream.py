"""One playing session: reads its socket when it is its turn, and hands pieces to the sink.

Bytes become pieces at once; no GOP is gathered. Only the first half second of a session is held
back, until the stream clock has seen the end of the server's opening burst.
"""

import contextlib
import logging
import socket
import struct
from collections.abc import Callable

from kilocam.core import Gap, GapCause, Piece, PieceFlag, Session, Track
from kilocam.ingest.connect import Connected
from kilocam.ingest.errors import ConnectFailed
from kilocam.ingest.gate import Gate
from kilocam.ingest.gate_h265 import H265Gate
from kilocam.ingest.sampling import PacketGate
from kilocam.ingest.scanner import Cut, PieceScanner
from kilocam.ingest.sink import PieceSink
from kilocam.ingest.stream_clock import ArrivalClock, StreamClock
from kilocam.rtsp import h265_parameter_sets, has_decoding_order_numbers, sprop_parameter_sets

log = logging.getLogger(__name__)

SHORTEST_TURN_US = 10_000
LONGEST_TURN_US = 500_000
EAGER_TURN_US = 50_000
EAGER_US = 5_000_000
HOLD_US = 500_000
HOLD_BYTES = 4 << 20
SILENCE_US = 10_000_000
MEDIA_SILENCE_US = 30_000_000
"""Long enough for cameras of one frame in ten seconds; an encoder that died sends none at all."""
HOLE_US = 1_000_000
REPORT_US = 5_000_000
ANSWERS_BYTES = 16_384
"""Answers to the camera's own requests that wait for the next chores; more are not given."""
MOST_MESSAGES = 1000
"""RTSP messages in one read: more come from no camera, and each costs as much as 30 packets."""
_KEY, _DISCONTINUITY = PieceFlag.KEY, PieceFlag.DISCONTINUITY
"""Members of an enum are slow to reach."""
_READS_PER_TURN = 8
_LAST_READ_BYTES = 1 << 20
_SURPRISE = "camera %s/%s: what it sent was met in an unforeseen way"


class Stream:
    """A session that plays.

    Args:
        session: what the camera said it sends.
        connected: the socket, which is now this stream's, and the RTSP session on it.
        sink: takes the pieces.
        arrival: the recorder's wall time.
        now_us: monotonic time.
        froze: the recorder's last freeze, monotonic (start, end), to tell whose fault a hole is.
        ended: called once, with the cause, when the session is over.
    """

    __slots__ = (
        "_answers", "_arrival", "_came", "_capacity", "_chores_us", "_clock", "_eager_until_us",
        "_end_us", "_ended", "_frame_ts", "_froze", "_handshake", "_heard_us", "_held",
        "_held_bytes", "_hold_until_us", "_media", "_media_ts", "_period_us", "_quiet", "_rate",
        "_report", "_scanner", "_sink", "_socket", "_unsent", "_wall_us", "bytes", "frames",
        "last_packet_us", "packets", "session", "stalls",
    )  # fmt: skip

    def __init__(
        self,
        *,
        session: Session,
        connected: Connected,
        sink: PieceSink,
        arrival: ArrivalClock,
        now_us: int,
        froze: Callable[[], tuple[int, int]],
        ended: Callable[["Stream", ConnectFailed], None],
    ) -> None:
        reference = reference_track(session.tracks)
        self.session = session
        self._socket = connected.connection
        self._handshake = connected.handshake
        self._scanner = _scanner(session, reference)
        self._sink = sink
        self._arrival = arrival
        self._froze = froze
        self._ended = ended
        self._clock = StreamClock()
        self._rate = reference.clock_rate
        self._media = reference.media
        self._came = False  # media, since the last chores
        self._quiet = -1  # chores in a row without; the first ones come before anything could
        self._report = _receiver_report(reference.rtcp_channel)
        self._period_us = EAGER_TURN_US
        self._eager_until_us = now_us + EAGER_US
        self._hold_until_us = now_us + HOLD_US
        self._held: list[Cut] | None = []
        self._held_bytes = 0
        self._heard_us = now_us
        self._chores_us = self._hold_until_us
        self._capacity = self._socket.getsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF)
        self._unsent = self._answers = b""
        self._wall_us = self._end_us = 0
        self._media_ts = -1
        self._frame_ts = 0
        self.packets = self.bytes = self.frames = self.stalls = 0
        self.last_packet_us = 0

    @property
    def end_us(self) -> int:
        """Wall time up to which footage was received; 0 for none."""
        return self._end_us

    def watch(self, until_us: int) -> None:
        """Read often until this monotonic time: somebody looks at the live picture."""
        self._eager_until_us = max(self._eager_until_us, until_us)

    def receive(self, data: bytes, now_us: int) -> None:
        """Take bytes that were read together with the answer to PLAY."""
        if not data:
            return
        try:
            self._take(data, now_us)
        except ConnectFailed as failure:
            self._finish(now_us, failure)
        except Exception:
            log.exception(_SURPRISE, self.session.tenant, self.session.camera)
            self._surprise(now_us)

    def turn(self, now_us: int, buffer: memoryview) -> int:
        """Read what has come; see `Player.turn`."""
        try:
            received = self._read(now_us, buffer)
            if now_us >= self._chores_us:
                self._chores(now_us)
        except ConnectFailed as failure:
            self._finish(now_us, failure)
            return 0
        except Exception:
            log.exception(_SURPRISE, self.session.tenant, self.session.camera)
            self._surprise(now_us)
            return 0
        return self._next_turn(received, now_us)

    def close(self) -> None:
        """Keep what has come and was not read yet, say farewell (TEARDOWN, once: quirk 10)."""
        try:
            with contextlib.suppress(ConnectFailed):
                self._read_rest(self._heard_us)
            self._end(self._heard_us)
        except Exception:
            log.exception(_SURPRISE, self.session.tenant, self.session.camera)
        with contextlib.suppress(OSError):  # the camera may be gone already
            self._socket.send(self._unsent + self._handshake.teardown())
        self._socket.close()

    def _read(self, now_us: int, buffer: memoryview) -> int:
        received = 0
        for _ in range(_READS_PER_TURN):
            try:
                count = self._socket.recv_into(buffer)
            except BlockingIOError:
                break
            except OSError as error:
                raise ConnectFailed(
                    GapCause.ENDED, f"the connection broke: {error.strerror}"
                ) from None
            if not count:
                raise ConnectFailed(GapCause.ENDED, "the camera closed the connection")
            received += count
            self._take(bytes(buffer[:count]), now_us)
            if count < len(buffer):
                break
        if not received and now_us - self._heard_us > SILENCE_US:
            raise ConnectFailed(
                GapCause.SILENT, f"nothing came for {SILENCE_US // 1_000_000} s; connecting anew"
            )
        return received

    def _read_rest(self, now_us: int) -> None:
        """What is still in the kernel, when nothing more will be read."""
        self._read(now_us, memoryview(bytearray(_LAST_READ_BYTES)))

    def _take(self, data: bytes, now_us: int) -> None:
        self._heard_us = now_us
        self.bytes += len(data)
        scanner = self._scanner
        cuts = scanner.feed(data)
        if scanner.messages:
            self._hear(scanner.messages)
        if not cuts:
            return
        self.last_packet_us = arrival_us = self._arrival.at(now_us)
        if self._held is None:
            for cut in cuts:
                stepped = self._observe(cut, arrival_us)
                self._emit(cut, cut.flags | _DISCONTINUITY if stepped else cut.flags, now_us)
            return
        self._held_bytes += len(data)
        for cut in cuts:
            if cut.media and cut.flags & _DISCONTINUITY:
                self._release(now_us)  # by the mapping of before the jump
                self._held = []
            self._observe(cut, arrival_us)
            self._held.append(cut)
        if now_us >= self._hold_until_us or self._held_bytes > HOLD_BYTES:
            self._release(now_us)

    def _hear(self, messages: list[bytes]) -> None:
        """Take RTSP messages that stood between the packets."""
        if len(messages) > MOST_MESSAGES:
            raise ConnectFailed(GapCause.PROTOCOL, "it sends RTSP messages without end")
        for message in messages:
            answer = self._handshake.hear(message)
            if len(self._answers) < ANSWERS_BYTES:
                self._answers += answer
        messages.clear()

    def _end(self, now_us: int) -> None:
        """Nothing more comes: hand on what was held back."""
        self._release(now_us)
        for cut in self._scanner.finish():
            self._emit(cut, cut.flags, now_us)

    def _release(self, now_us: int) -> None:
        held, self._held = self._held, None
        if held and not self._frame_ts:
            self._frame_ts = _spacing(held)
        for cut in held or ():
            self._emit(cut, cut.flags, now_us)

    def _observe(self, cut: Cut, arrival_us: int) -> bool:
        if not cut.media:
            return False
        media_us = cut.last_ts * 1_000_000 // self._rate
        # Most pieces have no flag or that of a key frame, the least one; and an operation on flags
        # costs more than all the rest here.
        if cut.flags > _KEY and cut.flags & _DISCONTINUITY:
            self._clock.restart(media_us, arrival_us)
            return True
        return self._clock.observe(media_us, arrival_us)

    def _emit(self, cut: Cut, flags: PieceFlag, now_us: int) -> None:
        # Taken apart at once and made by position: this runs for every piece.
        (payload, media, first_ts, last_ts, key_offset, key_ts,
         _, packets, frames, complexity, sampled) = cut  # fmt: skip
        duration_us = key_us = 0
        if media:
            rate, wall_of = self._rate, self._clock.wall_us
            self._wall_us = wall_us = wall_of(first_ts * 1_000_000 // rate)
            self._media_ts = first_ts
            self._came = True
            span_ts = last_ts - first_ts if last_ts > first_ts else 0
            if span_ts and frames > 1:
                self._frame_ts = span_ts // (frames - 1)
            duration_us = (span_ts + self._frame_ts) * 1_000_000 // rate
            if key_offset >= 0:
                key_us = wall_of(key_ts * 1_000_000 // rate)
            if wall_us - self._end_us >= HOLE_US and self._end_us:
                self._hole(now_us)
            self._end_us = wall_us + duration_us
        elif not self._wall_us:
            self._wall_us = self._arrival.at(now_us)
        self.packets += packets
        self.frames += frames
        session = self.session
        piece = Piece(
            session.tenant, session.camera, session.session, self._wall_us, duration_us,
            self._media_ts, key_offset, key_us, flags, packets, frames, complexity, sampled,
            payload,
        )  # fmt: skip
        self._sink.append(piece)

    def _hole(self, now_us: int) -> None:
        """Within a session media time went on without packets: say whose fault it was."""
        froze_from, froze_to = self._froze()
        ours = now_us - froze_to < 2 * HOLE_US and froze_to > froze_from
        cause = GapCause.RECORDER_FROZEN if ours else GapCause.STALLED
        self.stalls += 1
        gap = Gap(start_us=self._end_us, end_us=self._wall_us, cause=cause)
        self._sink.gap(self.session.tenant, self.session.camera, gap)

    def _chores(self, now_us: int) -> None:
        self._chores_us = now_us + REPORT_US
        if self._held:  # a slow camera's next packet, which would release them, may be far off
            self._release(now_us)
        self._expect_media()
        data = self._unsent
        if not data:
            keep_alive = self._handshake.keep_alive(now_us) or b""
            data, self._answers = self._answers + keep_alive + self._report, b""
        try:
            sent = self._socket.send(data)
        except BlockingIOError:
            sent = 0
        except OSError as error:
            self._read_rest(now_us)
            raise ConnectFailed(GapCause.ENDED, f"the connection broke: {error.strerror}") from None
        # What a full send buffer cut short must go on, or the framing is lost.
        self._unsent = data[sent:]

    def _expect_media(self) -> None:
        """Sound and RTCP may go on when the encoder has died: that is no life.

        Counted in chores, so that a stretch in which we did not run does not count as silence.
        """
        self._quiet = 0 if self._came else self._quiet + 1
        self._came = False
        if self._quiet >= MEDIA_SILENCE_US // REPORT_US:
            raise ConnectFailed(
                GapCause.SILENT,
                f"no {self._media} came for {MEDIA_SILENCE_US // 1_000_000} s, though the "
                "connection lives; connecting anew",
            )

    def _next_turn(self, received: int, now_us: int) -> int:
        """Half of the kernel's buffer in one read: come sooner; under an eighth: come later."""
        if received * 2 > self._capacity:
            self._capacity = self._socket.getsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF)
            if received * 2 > self._capacity:
                self._period_us = max(SHORTEST_TURN_US, self._period_us // 2)
        elif received * 8 < self._capacity and self._period_us < LONGEST_TURN_US:
            self._period_us = min(LONGEST_TURN_US, self._period_us + self._period_us // 4)
        if now_us < self._eager_until_us:
            self._period_us = min(self._period_us, EAGER_TURN_US)
        return self._period_us

    def _finish(self, now_us: int, failure: ConnectFailed) -> None:
        try:
            self._end(now_us)
        except Exception:
            log.exception(_SURPRISE, self.session.tenant, self.session.camera)
        self._socket.close()
        self._ended(self, failure)

    def _surprise(self, now_us: int) -> None:
        """Edge of one camera: what we get wrong about it must not cost the others a packet."""
        self._held = None
        self._finish(
            now_us, ConnectFailed(GapCause.PROTOCOL, "internal error; see the recorder's log")
        )


def reference_track(tracks: tuple[Track, ...]) -> Track:
    """The track whose timestamps are the session's media time: video, else the first."""
    return next((track for track in tracks if track.media == "video"), tracks[0])


def _scanner(session: Session, reference: Track) -> PieceScanner:
    channels = {c for track in session.tracks for c in (track.rtp_channel, track.rtcp_channel)}
    return PieceScanner(
        reference=reference.rtp_channel,
        channels=frozenset(channels),
        clock_rate=reference.clock_rate,
        gate=gate_for(reference),
    )


def gate_for(track: Track) -> PacketGate | None:
    """What tells key frames of a track; None where nothing here does.

    It has read the parameter sets of the SDP, as some cameras send them nowhere else.
    """
    gate: Gate | H265Gate
    if track.codec == "h264":
        gate, sets = Gate(), sprop_parameter_sets(track.fmtp)
    elif track.codec == "h265" and not has_decoding_order_numbers(track.fmtp):
        gate, sets = H265Gate(), h265_parameter_sets(track.fmtp)
    else:
        return None
    for nal in sets:
        gate.look(nal, 0, len(nal))
    return gate


def _spacing(cuts: list[Cut]) -> int:
    """How far apart pictures are, by the first cuts of a session; 0 when fewer than two came.

    So that the first piece, often of one picture, reaches to the second one.
    """
    media = [cut for cut in cuts if cut.media]
    frames = sum(cut.frames for cut in media)
    if frames < 2 or media[-1].last_ts <= media[0].first_ts:
        return 0
    return (media[-1].last_ts - media[0].first_ts) // (frames - 1)


def _receiver_report(channel: int) -> bytes:
    """An empty receiver report (RFC 3550 section 6.4.2).

    Some cameras want to hear from us every 5 s (quirk 8).
    """
    return struct.pack(">BBHBBHI", 0x24, channel, 8, 0x80, 201, 1, 0x4B430001)
