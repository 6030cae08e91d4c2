import pytest

from kilocam.simulate.content import Content, ContentTrack, RawBlock
from kilocam.simulate.record import CameraLife, ConnectionRecord, SentTrack

HEADER = bytes((0x80, 96)) + bytes(10)


def medium(media: str, payload_type: int, clock_rate: int) -> ContentTrack:
    return ContentTrack(
        media=media,
        codec="h264",
        payload_type=payload_type,
        clock_rate=clock_rate,
        channels=1,
        fmtp="",
        packets=0,
        octets=0,
    )


@pytest.fixture
def content() -> Content:
    """A loop of 2 s: 20 pictures of two packets each, key frames at 0 and 10; sound at 8 kHz."""
    return Content(
        name="drawn",
        clock_rate=90_000,
        loop_ticks=180_000,
        tracks=[medium("video", 96, 90_000), medium("audio", 97, 8_000)],
        blocks=[
            RawBlock(
                due_us=100_000 * n,
                shown_us=100_000 * n,
                picture=n,
                key=n % 10 == 0,
                packets=[
                    (0, 9_000 * n, HEADER + bytes((n,)) * 50),
                    (1, 800 * n, HEADER + bytes((n,)) * 10),
                    (0, 9_000 * n, HEADER + bytes((n,)) * (20 + n)),
                ],
            )
            for n in range(20)
        ],
    )


@pytest.fixture
def life(content: Content) -> CameraLife:
    return CameraLife(
        camera=7, path="/cam/7", content=content.digest, epoch_us=1_700_000_000_000_000
    )


@pytest.fixture
def record(life: CameraLife) -> ConnectionRecord:
    """Plays both tracks from the second key frame of the first loop."""
    return ConnectionRecord(
        life=life,
        connection=0,
        peer="127.0.0.1:5000",
        opened_us=life.epoch_us + 900_000,
        tracks=(
            SentTrack(
                index=0, rtp_channel=0, rtcp_channel=1, ssrc=0xA, seq_base=65_530, ts_base=2**32 - 1
            ),
            SentTrack(index=1, rtp_channel=2, rtcp_channel=3, ssrc=0xB, seq_base=5, ts_base=9),
        ),
        first=10,
    )
