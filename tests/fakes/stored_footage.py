"""Footage as a recorder keeps it, made of real pictures: encoded, packetised, cut into pieces."""

import struct
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from fractions import Fraction
from itertools import islice
from pathlib import Path

import av
from av.video.codeccontext import VideoCodecContext
from av.video.frame import VideoFrame

from kilocam.analyse.pictures import Footage
from kilocam.bitstream import is_h265_key, is_idr, split_annex_b
from kilocam.core import CameraKey, Piece, PieceFlag, Session, Track
from kilocam.rtsp import frame
from kilocam.rtsp.packetize import packetize_h264, packetize_h265

T0 = 1_700_000_000_000_000
RATE = 10
CLOCK = 90_000


@dataclass(frozen=True)
class Recording:
    """A camera's stored footage."""

    key: CameraKey
    session: Session
    pieces: tuple[Piece, ...]
    keys_us: tuple[int, ...]
    """Wall times of its key frames."""

    def between(self, from_us: int, to_us: int) -> Footage:
        """As the log gives it: from the last key frame at or before `from_us`."""
        begin = max((at for at in self.keys_us if at <= from_us), default=from_us)
        return tuple(
            (self.session, piece)
            for piece in self.pieces
            if piece.wall_us < to_us and piece.wall_us + piece.duration_us > begin
        )


def encode(
    frames: Sequence[VideoFrame],
    *,
    gop: int = 20,
    b_frames: int = 0,
    codec: str = "h264",
    size: tuple[int, int] = (640, 360),
) -> list[bytes]:
    """Access units in decoding order, each with its pts in the first 8 bytes."""
    name = {"h264": "x264", "h265": "x265"}[codec]
    encoder = av.CodecContext.create(f"lib{name}", "w")
    assert isinstance(encoder, VideoCodecContext)
    encoder.width, encoder.height = size
    encoder.pix_fmt = "yuv420p"
    encoder.framerate = Fraction(RATE)
    encoder.gop_size, encoder.max_b_frames = gop, b_frames
    params = f"scenecut=0:keyint={gop}"
    if codec == "h265":
        params += f":bframes={b_frames}:repeat-headers=1:log-level=none"
    encoder.options = {"preset": "veryfast", "crf": "26", f"{name}-params": params}
    units = []
    for number, picture in enumerate([*frames, None]):
        small = None
        if picture is not None:
            small = picture.reformat(*size, "yuv420p")
            small.pts = number
        units += [struct.pack(">q", p.pts or 0) + bytes(p) for p in encoder.encode(small)]
    return units


def record(name: str, units: Sequence[bytes], *, codec: str = "h264") -> Recording:
    """Packets as a camera would send them, in pieces of half a second.

    Those of a codec that is neither H.264 nor H.265 are cut like those of H.264.
    """
    newer = codec == "h265"
    track = Track(
        index=0, media="video", codec=codec, payload_type=96, clock_rate=CLOCK, channels=0,
        rtp_channel=0, rtcp_channel=1, fmtp="packetization-mode=1",
    )  # fmt: skip
    session = Session(
        tenant="default", camera=name, session=1, epoch=1, started_us=T0, source="rtsp://x",
        sdp=b"", tracks=(track,),
    )  # fmt: skip
    pieces, keys_us, sequence = [], [], 0
    for first in range(0, len(units), RATE // 2):
        payload, key_us = b"", 0
        part = units[first : first + RATE // 2]
        for unit in part:
            (pts,) = struct.unpack(">q", unit[:8])
            nals = split_annex_b(unit[8:])
            if is_h265_key(nals) if newer else is_idr(nals):
                key_us = key_us or T0 + pts * 1_000_000 // RATE
                keys_us.append(T0 + pts * 1_000_000 // RATE)
            bodies = packetize_h265(nals) if newer else packetize_h264(nals)
            for number, body in enumerate(bodies):
                marker = 0x80 if number == len(bodies) - 1 else 0
                ts = pts * CLOCK // RATE
                head = struct.pack(">BBHII", 0x80, 96 | marker, sequence & 0xFFFF, ts, 7)
                payload += frame(0, head + body)
                sequence += 1
        (pts,) = struct.unpack(">q", part[0][:8])
        pieces.append(
            Piece(
                tenant="default", camera=name, session=1, wall_us=T0 + pts * 1_000_000 // RATE,
                duration_us=500_000, media_ts=pts * CLOCK // RATE,
                key_offset=0 if key_us else -1, key_us=key_us,
                flags=PieceFlag.KEY if key_us else PieceFlag.NONE,
                packets=len(part), frames=len(part), complexity=0.0, sampled=0, payload=payload,
            )
        )  # fmt: skip
    return Recording(CameraKey("default", name), session, tuple(pieces), tuple(keys_us))


def pictures_of(file: Path, first: int, count: int) -> Iterator[VideoFrame]:
    with av.open(str(file)) as container:
        yield from islice(container.decode(video=0), first, first + count)
