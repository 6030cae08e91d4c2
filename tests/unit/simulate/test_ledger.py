from pathlib import Path

import pytest
from blake3 import blake3

from kilocam.simulate.content import Content
from kilocam.simulate.errors import LedgerError
from kilocam.simulate.ledger import Difference, Ledger, Missing, OnAir
from kilocam.simulate.record import CameraLife, ConnectionRecord, Mark, Skipped

CAMERA = 7


@pytest.fixture
def ledger(content: Content, life: CameraLife, record: ConnectionRecord) -> Ledger:
    """One connection: blocks 10 to 59, of which 20 to 24 were stalled; 2 more packets written."""
    ledger = Ledger()
    ledger.add_camera(life, content)
    ledger.add(record)
    for number in range(20, 25):
        record.skip(number, Skipped.STALL)
    record.lost.append((30, 1))
    record.jumps.append((40, 1_000_000))
    record.checkpoint(50, life.epoch_us + 5_050_000)
    record.acknowledged, record.written = Mark(60), Mark(60, 2)
    record.closed_us, record.reason = life.epoch_us + 6_000_000, "flap"
    return ledger


def test_stored_may_end_between_acknowledged_and_written(ledger: Ledger) -> None:
    sure = list(ledger.expected_packets(CAMERA, 0))
    written = list(ledger.expected_packets(CAMERA, 0, until="written"))
    assert len(sure) == 45 * 3 - 1 + 2
    assert written[: len(sure)] == sure
    assert len(written) == len(sure) + 2
    for stored in (sure, written, written[:-1]):
        assert ledger.compare(CAMERA, 0, stored) is None


def test_the_first_difference_is_named(ledger: Ledger) -> None:
    written = list(ledger.expected_packets(CAMERA, 0, until="written"))
    missing = ledger.compare(CAMERA, 0, written[:5])
    assert missing is not None
    assert (missing.at, missing.what) == (5, "missing")
    assert str(missing) == "after 5 packets: missing (track 0, seq 17, block 11)"
    altered = [*written[:5], written[5][:-1] + b"?", *written[6:]]
    differs = ledger.compare(CAMERA, 0, altered)
    assert differs is not None
    assert (differs.at, differs.what, differs.stored) == (5, "differs", altered[5])
    swapped = [*written[:5], written[6], written[5], *written[7:]]
    assert ledger.compare(CAMERA, 0, swapped) is not None
    surplus = ledger.compare(CAMERA, 0, [*written, b"surplus"])
    assert surplus == Difference(
        at=len(written), what="never sent", expected=None, stored=b"surplus"
    )
    assert "never sent" in str(surplus)


def test_reports_can_be_left_out(ledger: Ledger) -> None:
    media = list(ledger.expected_packets(CAMERA, 0, rtcp=False))
    assert len(media) == 45 * 3 - 1
    assert ledger.compare(CAMERA, 0, media, rtcp=False) is None
    assert ledger.compare(CAMERA, 0, media) is not None


def test_a_stretch_of_time_has_a_count_and_a_running_hash(ledger: Ledger, life: CameraLife) -> None:
    from_us, to_us = life.epoch_us + 1_100_000, life.epoch_us + 1_300_000
    packets = list(ledger.sent_between(CAMERA, from_us, to_us))
    assert [packet.block for packet in packets] == [11, 11, 11, 12, 12, 12]
    span = ledger.span(CAMERA, from_us, to_us)
    assert (span.packets, span.first_us, span.last_us) == (6, from_us, from_us + 100_000)
    assert span.octets == sum(len(packet.data) for packet in packets)
    assert span.media_us == 100_000
    joined = b"".join(len(p.data).to_bytes(4, "big") + p.data for p in packets)
    assert span.hash == blake3(joined).hexdigest()


def test_a_late_block_counts_when_it_was_sent(ledger: Ledger, life: CameraLife) -> None:
    blocks = {
        packet.block
        for packet in ledger.sent_between(
            CAMERA, life.epoch_us + 5_040_000, life.epoch_us + 5_110_000
        )
    }
    assert blocks == {50, 51}


def test_a_stretch_without_packets_is_empty(ledger: Ledger, life: CameraLife) -> None:
    span = ledger.span(CAMERA, life.epoch_us, life.epoch_us + 1_000_000)
    assert (span.packets, span.first_us, span.media_us) == (0, 0, 0)


def test_what_is_missing_has_a_cause(ledger: Ledger, life: CameraLife) -> None:
    start = life.epoch_us
    assert ledger.missing(CAMERA, start, start + 8_000_000) == [
        Missing(start_us=start, end_us=start + 1_000_000, cause="not connected"),
        Missing(start_us=start + 2_000_000, end_us=start + 2_500_000, cause="stall"),
        Missing(start_us=start + 6_000_000, end_us=start + 8_000_000, cause="flap"),
    ]
    assert ledger.missing(CAMERA, start + 1_500_000, start + 1_900_000) == []
    assert ledger.missing(CAMERA, start + 2_100_000, start + 2_200_000) == [
        Missing(start_us=start + 2_100_000, end_us=start + 2_200_000, cause="stall")
    ]


def test_a_camera_nobody_played_is_missing_throughout(content: Content) -> None:
    ledger = Ledger()
    life = CameraLife(camera=0, path="/cam/0", content=content.digest, epoch_us=0)
    ledger.add_camera(life, content)
    assert ledger.missing(0, 5, 10) == [Missing(start_us=5, end_us=10, cause="not connected")]


def test_a_picture_is_mapped_to_its_moment_and_back(ledger: Ledger, life: CameraLife) -> None:
    moment = life.epoch_us + 4_350_000
    assert ledger.picture_at(CAMERA, moment) == OnAir(
        loop=2, picture=3, taken_us=life.epoch_us + 4_300_000
    )
    assert ledger.picture_us(CAMERA, 3, near_us=moment) == life.epoch_us + 4_300_000
    assert ledger.picture_us(CAMERA, 19, near_us=moment) == life.epoch_us + 3_900_000
    assert ledger.picture_at(CAMERA, life.epoch_us - 1) is None
    with pytest.raises(LedgerError, match="has no picture 20; its loop has 20"):
        ledger.picture_us(CAMERA, 20, near_us=moment)


def test_a_file_gives_back_the_whole_ledger(ledger: Ledger, tmp_path: Path) -> None:
    path = tmp_path / "ledger.jsonl"
    ledger.save(path)
    ledger.save(path)  # again, over the old one
    again = Ledger.load(path)
    assert again.cameras == ledger.cameras
    assert again.connections(CAMERA) == ledger.connections(CAMERA)
    packets = list(ledger.expected_packets(CAMERA, 0, until="written"))
    assert list(again.expected_packets(CAMERA, 0, until="written")) == packets
    assert len(list(tmp_path.iterdir())) == 2


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "damaged"),
        ("no json\n", "damaged"),
        ('{"kind":"ledger","version":9}\n', "not of version 1"),
        ('{"kind":"ledger","version":1}\n{"kind":"camera"}\n', "damaged"),
        ('{"kind":"ledger","version":1}\n{"kind":"riddle"}\n', "damaged"),
        ('{"kind":"ledger","version":1}\n[]\n', "damaged"),
    ],
)
def test_a_damaged_ledger_is_named(tmp_path: Path, text: str, message: str) -> None:
    path = tmp_path / "ledger.jsonl"
    path.write_text(text)
    with pytest.raises(LedgerError, match=rf"^ledger ledger\.jsonl: .*{message}"):
        Ledger.load(path)


def test_a_missing_ledger_is_named(tmp_path: Path) -> None:
    with pytest.raises(LedgerError, match=r"^ledger none\.jsonl: cannot be read \(No such"):
        Ledger.load(tmp_path / "none.jsonl")
