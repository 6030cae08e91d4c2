"""The bytes of a record (docs/design/log.md, "The format"): header, identity, checksum, payload.

Owns: packing and unpacking of single records. `index.py` has the payloads of index and footer.
"""

import base64
import json
import struct
import zlib
from enum import IntEnum
from functools import lru_cache
from typing import NamedTuple

from blake3 import blake3

from kilocam.core import CameraKey, Gap, GapCause, Piece, PieceFlag, Session, Track
from kilocam.record.errors import FormatError

MAGIC = b"\xc5KCW"
VERSION = 1
CUT_OFF = "the record is cut off"
NOT_ENCRYPTED = bytes(20)
"""Key id 0 and an empty nonce."""

_FIXED = struct.Struct("<4sBBHIIQQQqQqqiIIIdQ12s32sBBH")
_PACK = struct.Struct("<8sIIQ16sqQqqiIIId20s32s")
_START = struct.Struct("<4sBBH")
_ORIGIN = struct.Struct("<QQ")
_CRC = struct.Struct("<I")
HEADER_MIN = _FIXED.size + _CRC.size
HEADER_MAX = HEADER_MIN + 2 * 255


class Kind(IntEnum):
    """What a record's payload is; a reader passes over kinds it does not know."""

    FILE = 0
    PIECE = 1
    SESSION = 2
    GAP = 3
    MARK = 4
    INDEX = 5
    FOOTER = 6
    END = 7
    """Only on a socket of `ranges`: the answer is complete."""


_PIECE = int(Kind.PIECE)
"""A member of an enum is slow to reach and to hash."""


class Header(NamedTuple):
    """A record's header as it is stored; a tuple because a scan makes 20,000 of them per file."""

    magic: bytes
    version: int
    kind: int
    header_length: int
    payload_length: int
    flags: int
    sequence: int
    epoch: int
    session: int
    wall_us: int
    duration_us: int
    media_ts: int
    key_us: int
    key_offset: int
    packets: int
    frames: int
    sampled: int
    complexity: float
    key_id: int
    nonce: bytes
    leaf: bytes
    tenant_length: int
    camera_length: int
    reserved: int
    tenant: str
    camera: str

    @property
    def length(self) -> int:
        """Bytes of the whole record."""
        return self.header_length + self.payload_length

    @property
    def key(self) -> CameraKey:
        """The camera this record belongs to; empty names for records of the file itself."""
        return CameraKey(self.tenant, self.camera)


class Origin:
    """What is equal in all records of one session, packed once."""

    __slots__ = ("origin", "start", "tail")

    def __init__(self, key: CameraKey | None, epoch: int, session: int) -> None:
        tenant = key.tenant.encode() if key else b""
        camera = key.camera.encode() if key else b""
        self.tail = struct.pack("<BBH", len(tenant), len(camera), 0) + tenant + camera
        self.origin = _ORIGIN.pack(epoch, session)
        length = _PACK.size + len(self.tail) + _CRC.size
        self.start = {int(kind): _START.pack(MAGIC, VERSION, kind, length) for kind in Kind}


def pack_piece(origin: Origin, sequence: int, piece: Piece) -> bytes:
    """The header of a piece; its payload follows as it is."""
    # Taken apart at once: this runs for every piece, and fields by name are slow.
    (_, _, _, wall_us, duration_us, media_ts, key_offset, key_us, flags, packets, frames,
     complexity, sampled, payload) = piece  # fmt: skip
    return _sealed(
        _PACK.pack(
            origin.start[_PIECE],
            len(payload),
            flags,
            sequence,
            origin.origin,
            wall_us,
            duration_us,
            media_ts,
            key_us,
            key_offset,
            packets,
            frames,
            sampled,
            complexity,
            NOT_ENCRYPTED,
            blake3(payload).digest(),
        )
        + origin.tail
    )


def pack_record(
    origin: Origin,
    kind: Kind,
    sequence: int,
    payload: bytes,
    *,
    wall_us: int = 0,
    duration_us: int = 0,
) -> bytes:
    """The header of any record but a piece."""
    leaf = blake3(payload).digest()
    fields = (0, 0, -1, 0, 0, 0, 0.0, NOT_ENCRYPTED, leaf)
    start = origin.start[kind]
    packed = _PACK.pack(
        start, len(payload), 0, sequence, origin.origin, wall_us, duration_us, *fields
    )
    return _sealed(packed + origin.tail)


def _sealed(header: bytes) -> bytes:
    return header + _CRC.pack(zlib.crc32(header))


def unpack_header(data: bytes | memoryview, offset: int = 0) -> Header:
    """The header at `offset` of `data`, checked by its CRC (I2).

    Raises:
        FormatError: there is no whole header there, or its bytes were altered.
    """
    if len(data) - offset < HEADER_MIN:
        raise FormatError(CUT_OFF)
    fields = _FIXED.unpack_from(data, offset)
    magic, version, _, header_length = fields[:4]
    if magic != MAGIC:
        raise FormatError("no record starts here")
    if version != VERSION:
        raise FormatError(f"the record has format version {version}; this reader knows {VERSION}")
    tenant_length, camera_length = fields[21], fields[22]
    if header_length != HEADER_MIN + tenant_length + camera_length:
        raise FormatError("the header's length is wrong")
    end = offset + header_length
    if len(data) < end:
        raise FormatError(CUT_OFF)
    if zlib.crc32(data[offset : end - 4]) != _CRC.unpack_from(data, end - 4)[0]:
        raise FormatError("the header's checksum is wrong")
    middle = offset + _FIXED.size
    tenant = str(data[middle : middle + tenant_length], "ascii", "replace")
    camera = str(data[middle + tenant_length : end - 4], "ascii", "replace")
    return Header._make((*fields, tenant, camera))


def leaf_matches(header: Header, payload: bytes | memoryview) -> bool:
    """Whether `payload` is the one the header was made for (I3)."""
    return len(payload) == header.payload_length and blake3(payload).digest() == header.leaf


def piece_of(header: Header, payload: bytes, extra: PieceFlag = PieceFlag.NONE) -> Piece:
    """The piece of a record."""
    return Piece(
        tenant=header.tenant,
        camera=header.camera,
        session=header.session,
        wall_us=header.wall_us,
        duration_us=header.duration_us,
        media_ts=header.media_ts,
        key_offset=header.key_offset,
        key_us=header.key_us,
        flags=PieceFlag(header.flags) | extra,
        packets=header.packets,
        frames=header.frames,
        complexity=header.complexity,
        sampled=header.sampled,
        payload=payload,
    )


def session_payload(session: Session) -> bytes:
    """JSON of a session; the SDP as base64, since cameras send any bytes."""
    return json.dumps(
        {
            "tenant": session.tenant,
            "camera": session.camera,
            "session": session.session,
            "epoch": session.epoch,
            "started_us": session.started_us,
            "source": session.source,
            "sdp": base64.b64encode(session.sdp).decode(),
            "tracks": [
                {name: getattr(track, name) for name in Track.__slots__} for track in session.tracks
            ],
            "quirks": session.quirks,
        }
    ).encode()


@lru_cache(maxsize=2048)  # each look at a camera begins with its session
def session_of(payload: bytes) -> Session:
    """The session of a session record.

    Raises:
        FormatError: the payload is not one.
    """
    try:
        values = json.loads(payload)
        tracks = tuple(
            Track(**{name: track[name] for name in Track.__slots__}) for track in values["tracks"]
        )
        return Session(
            tenant=values["tenant"],
            camera=values["camera"],
            session=values["session"],
            epoch=values["epoch"],
            started_us=values["started_us"],
            source=values["source"],
            sdp=base64.b64decode(values["sdp"]),
            tracks=tracks,
            quirks=tuple(values["quirks"]),
        )
    except (ValueError, KeyError, TypeError) as error:
        raise FormatError(f"the session record cannot be read: {error!r}") from None


def gap_payload(gap: Gap) -> bytes:
    """JSON of a gap."""
    return json.dumps(
        {
            "start_us": gap.start_us,
            "end_us": gap.end_us,
            "cause": gap.cause.value,
            "detail": gap.detail,
        }
    ).encode()


def gap_of(payload: bytes) -> Gap:
    """The gap of a gap record; a cause this reader does not know becomes UNKNOWN with its name.

    Raises:
        FormatError: the payload is not one.
    """
    try:
        values = json.loads(payload)
        cause, detail = values["cause"], values["detail"]
        if cause not in set(GapCause):
            cause, detail = GapCause.UNKNOWN, f"{cause}: {detail}"
        return Gap(
            start_us=values["start_us"],
            end_us=values["end_us"],
            cause=GapCause(cause),
            detail=detail,
        )
    except (ValueError, KeyError, TypeError) as error:
        raise FormatError(f"the gap record cannot be read: {error!r}") from None
