"""Sessions and pieces made up, for tests of the log and of what reads it."""

from kilocam.core import CameraKey, Piece, PieceFlag, Session, Track

START_US = 1_774_550_000_000_000
GATE = CameraKey("default", "gate")
YARD = CameraKey("default", "yard")


def track(codec: str = "h264", media: str = "video") -> Track:
    return Track(
        index=0,
        media=media,
        codec=codec,
        payload_type=96,
        clock_rate=90000,
        channels=1,
        rtp_channel=0,
        rtcp_channel=1,
        fmtp="packetization-mode=1",
    )


def session(
    key: CameraKey = GATE, number: int = 1, epoch: int = 1, started_us: int = START_US
) -> Session:
    return Session(
        tenant=key.tenant,
        camera=key.camera,
        session=number,
        epoch=epoch,
        started_us=started_us,
        source="rtsp://camera/stream",
        sdp=b"v=0\r\ns=\xff\xfe not UTF-8\r\n",
        tracks=(track(),),
        quirks=("no-key-frames",),
    )


def piece(
    key: CameraKey = GATE,
    *,
    session: int = 1,
    wall_us: int = START_US,
    duration_us: int = 500_000,
    keyed: bool = False,
    payload: bytes = b"$\0\0\4abcd",
    sampled: int = 0,
    complexity: float = 0.0,
    flags: PieceFlag = PieceFlag.NONE,
) -> Piece:
    return Piece(
        tenant=key.tenant,
        camera=key.camera,
        session=session,
        wall_us=wall_us,
        duration_us=duration_us,
        media_ts=(wall_us - START_US) * 9 // 100,
        key_offset=0 if keyed else -1,
        key_us=wall_us if keyed else 0,
        flags=flags | (PieceFlag.KEY if keyed else PieceFlag.NONE),
        packets=3,
        frames=2,
        complexity=complexity,
        sampled=sampled,
        payload=payload,
    )


def stretch(
    key: CameraKey = GATE,
    *,
    start_us: int = START_US,
    pieces: int = 8,
    session: int = 1,
    key_every: int = 4,
    size: int = 300,
) -> list[Piece]:
    """Pieces of half a second one after the other, a key frame every two seconds."""
    return [
        piece(
            key,
            session=session,
            wall_us=start_us + number * 500_000,
            keyed=number % key_every == 0,
            payload=bytes((number + index) % 251 for index in range(size)),
        )
        for number in range(pieces)
    ]
