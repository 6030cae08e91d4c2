"""Owns: one client's connection, from accept to close.

The protocol is `kilocam.rtsp.RtspServer`'s. Which camera is meant, and so how to misbehave, is
known from the first request only; until its first line is whole, nothing is answered.
"""

import asyncio
import re
import secrets
import socket
import time
from typing import Protocol

from kilocam.rtsp import (
    Credentials,
    Description,
    PlayRequested,
    RemoteProtocolError,
    RtpInfo,
    RtspServer,
    ServerQuirk,
    TornDown,
)
from kilocam.simulate.camera import Camera
from kilocam.simulate.content import Content
from kilocam.simulate.faults import Away
from kilocam.simulate.player import Clock, Player
from kilocam.simulate.record import ConnectionRecord, SentTrack
from kilocam.simulate.wheel import Wheel
from kilocam.simulate.wire import Wire

_FIRST_LINE = re.compile(rb"[A-Z_]+ (?:rtsps?://[^/\s]*)?(/cam/\d+)?[^\r\n]*\r?\n")
_MAX_FIRST_LINE = 4096
_PATIENCE_S = 60.0
"""How long a client may take until it plays."""
_DRAIN_S = 1.0
_DRAIN_STEP_S = 0.02
_NOT_BEFORE_S = 0.02
"""The first block is due at least this long after PLAY."""


class House(Protocol):
    """What a connection needs of its server."""

    loop: asyncio.AbstractEventLoop
    wheel: Wheel
    clock: Clock
    credentials: Credentials | None
    backlog: int

    def camera(self, path: str) -> Camera | None:
        """The camera at a path, `None` if there is none."""
        ...

    def opened(self, record: ConnectionRecord) -> None:
        """Someone plays."""
        ...

    def connections_of(self, camera: int) -> int:
        """How many have played this camera so far."""
        ...

    def closed(self, connection: "Connection") -> None:
        """It is gone."""
        ...


class Connection:
    """One accepted socket."""

    def __init__(self, house: House, sock: socket.socket, peer: str) -> None:
        self._house = house
        self._peer = peer
        self._fd = sock.fileno()
        self.wire = Wire(sock, house.loop, backlog=house.backlog)
        self._heard = b""
        self._camera: Camera | None = None
        self._rtsp: RtspServer | None = None
        self._mute = False
        self._player: Player | None = None
        self._is_open = True
        self._ending = ""
        house.loop.add_reader(self._fd, self._readable)
        self._patience = house.loop.call_later(_PATIENCE_S, self._give_up)

    # -- reading -------------------------------------------------------------------------------

    def _readable(self) -> None:
        data = self.wire.read()
        if data is None:
            return
        if not data:
            self.finish("closed by client")
        elif self._mute or self._ending:
            return
        elif self._rtsp is None:
            self._greet(self._heard + data)
        else:
            self._receive(self._rtsp, data)

    def _greet(self, data: bytes) -> None:
        """Find out who is meant, and behave accordingly."""
        self._heard = data
        line = _FIRST_LINE.match(data)
        if line is None:
            if b"\n" not in data and len(data) < _MAX_FIRST_LINE:
                return
            path = ""
        else:
            path = (line[1] or b"").decode()
        self._heard = b""
        self._camera = self._house.camera(path)
        away = self._camera.faults.away if self._camera and self._camera.is_away else None
        self._mute = away is Away.SILENT or (
            self._camera is not None and self._camera.faults.silent
        )
        if away is Away.RESET:
            self.finish("away", reset=True)
        elif not self._mute:
            self._rtsp = self._serve()
            self._receive(self._rtsp, data)

    def _serve(self) -> RtspServer:
        faults = self._camera.faults if self._camera else None
        credentials = self._house.credentials
        if faults and faults.other_password:
            credentials = Credentials(user="admin", password=secrets.token_hex(8))
        return RtspServer(
            self._resolve,
            session_id=secrets.token_hex(8),
            nonce=secrets.token_hex(16),
            credentials=credentials,
            digest=not (faults and faults.basic),
            quirks=faults.quirks if faults else frozenset(),
        )

    def _resolve(self, path: str) -> Description | None:
        camera = self._house.camera(path)
        return camera.description if camera else None

    def _receive(self, rtsp: RtspServer, data: bytes) -> None:
        try:
            rtsp.receive_data(data)
            while isinstance(event := rtsp.next_event(), PlayRequested | TornDown):
                if isinstance(event, PlayRequested):
                    self._play(rtsp, event)
                else:
                    self._stop()
        except RemoteProtocolError:
            self.wire.write(rtsp.data_to_send())
            self.finish("no RTSP")
            return
        self.wire.write(rtsp.data_to_send())
        if self.wire.broken:
            self.finish("closed by client")
        elif self.wire.is_overfull:
            self.finish("reads no answers")

    def _give_up(self) -> None:
        if not self._mute:
            self.finish("did not play")

    # -- playing -------------------------------------------------------------------------------

    def _play(self, rtsp: RtspServer, event: PlayRequested) -> None:
        camera = self._house.camera(event.path)
        if camera is None or camera.is_away:
            rtsp.refuse(503)
            return
        self._camera = camera
        record = self._open(camera, event)
        self._player = Player(
            record,
            camera.content,
            self.wire,
            temper=camera.temper,
            epoch=camera.epoch,
            clock=self._house.clock,
            quirks=camera.faults.quirks,
            dice=camera.dice,
        )
        if ServerQuirk.RTP_BEFORE_PLAY in camera.faults.quirks:
            self._player.turn(self._player.due)
        rtsp.play(_rtp_info(record, camera.content))
        self.wire.write(rtsp.data_to_send())
        self._patience.cancel()
        camera.clients.add(self)
        self._house.opened(record)
        self._house.wheel.add(self._player, self._player.due)

    def _open(self, camera: Camera, event: PlayRequested) -> ConnectionRecord:
        now = time.monotonic()
        return ConnectionRecord(
            life=camera.life,
            connection=self._house.connections_of(camera.life.camera),
            peer=self._peer,
            opened_us=self._house.clock.wall_us(now),
            tracks=tuple(
                SentTrack(
                    index=track.index,
                    rtp_channel=track.rtp_channel,
                    rtcp_channel=track.rtcp_channel,
                    ssrc=camera.dice.getrandbits(32),
                    seq_base=camera.dice.getrandbits(16),
                    ts_base=camera.dice.getrandbits(32),
                )
                for track in event.tracks
            ),
            first=camera.next_block(now + _NOT_BEFORE_S),
            quirks=tuple(sorted(camera.faults.quirks)),
        )

    # -- ending --------------------------------------------------------------------------------

    def sample(self) -> None:
        """Bring the record up to what has arrived by now."""
        if self._player is not None:
            self._player.sample()

    def _stop(self) -> None:
        """The client has torn down: its record ends, the connection may go on."""
        if self._player is not None:
            self._end_record("torn down")

    def _end_record(self, reason: str) -> None:
        assert self._player is not None
        self._player.stop()
        self._player.sample(exact=True)
        record = self._player.record
        record.closed_us = self._house.clock.wall_us(time.monotonic())
        record.reason = reason
        self._player = None
        if self._camera is not None:
            self._camera.clients.discard(self)

    def end(self, reason: str, *, reset: bool = False) -> None:
        """Send no more, wait up to a second until all has arrived, then close."""
        if self._is_open and not self._ending:
            self._ending = reason
            if self._player is not None:
                self._player.stop()
            self._drain(time.monotonic() + _DRAIN_S, reset=reset)

    def _drain(self, until: float, *, reset: bool) -> None:
        if not self._is_open:
            return
        if self.wire.acknowledged() == self.wire.queued or time.monotonic() >= until:
            self.finish(self._ending, reset=reset)
        else:
            self._house.loop.call_later(_DRAIN_STEP_S, lambda: self._drain(until, reset=reset))

    def finish(self, reason: str, *, reset: bool = False) -> None:
        """Close now."""
        if not self._is_open:
            return
        self._is_open = False
        self._patience.cancel()
        if self._player is not None:
            self._end_record(reason)
        self._house.loop.remove_reader(self._fd)
        self.wire.close(reset=reset)
        self._house.closed(self)


def _rtp_info(record: ConnectionRecord, content: Content) -> list[RtpInfo]:
    index = record.first % len(content.blocks)
    in_loop = content.blocks[index].due_us
    return [
        RtpInfo(
            index=track.index,
            seq=record.seq(content, track, record.first),
            rtptime=record.timestamp(
                content,
                track,
                record.first,
                in_loop * content.tracks[track.index].clock_rate // 1_000_000,
            ),
        )
        for track in record.tracks
    ]
