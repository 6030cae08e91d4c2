import struct

from kilocam.simulate.content import Content
from kilocam.simulate.record import (
    MAX_CHECKPOINTS,
    CameraLife,
    ConnectionRecord,
    Mark,
    SentPacket,
    Skip,
    Skipped,
)


def rtp(packet: SentPacket) -> tuple[int, int, int]:
    """(seq, timestamp, ssrc)"""
    return struct.unpack(">HII", packet.data[2:12])


def test_numbers_follow_from_the_block_and_wrap(record: ConnectionRecord, content: Content) -> None:
    first = [p for p in record.packets(content, 10) if not p.rtcp]
    assert [p.channel for p in first] == [0, 2, 0]
    assert rtp(first[0]) == (65_530 + 20 - 65_536, 9_000 * 10 - 1, 0xA)
    assert rtp(first[1]) == (5 + 10, 9 + 8_000, 0xB)
    assert rtp(first[2])[0] == rtp(first[0])[0] + 1
    second_loop = [p for p in record.packets(content, 20) if not p.rtcp]
    assert rtp(second_loop[0])[:2] == (65_530 + 40 - 65_536, 180_000 - 1)


def test_reports_stand_before_the_first_block_of_each_5_seconds(
    record: ConnectionRecord, content: Content
) -> None:
    reported = [n for n in range(10, 160) if any(record.reports(content, n))]
    assert reported == [50, 100, 150]
    reports = list(record.reports(content, 50))
    assert [(p.channel, p.track, p.rtcp) for p in reports] == [(1, 0, True), (3, 1, True)]
    media = next(p for p in record.packets(content, 50) if p.channel == 0)
    assert reports[0].data[16:20] == media.data[4:8]  # its timestamp is that of the picture
    assert int.from_bytes(reports[0].data[20:24], "big") == 100  # packets before, from birth


def test_a_skipped_block_sends_nothing_and_numbers_go_on(
    record: ConnectionRecord, content: Content
) -> None:
    record.skip(12, Skipped.BACKLOG)
    record.skip(13, Skipped.BACKLOG)
    record.skip(14, Skipped.STALL)
    assert record.skips == [
        Skip(first=12, count=2, cause=Skipped.BACKLOG),
        Skip(first=14, count=1, cause=Skipped.STALL),
    ]
    causes = [record.was_skipped(n) for n in range(11, 16)]
    assert causes == [None, Skipped.BACKLOG, Skipped.BACKLOG, Skipped.STALL, None]
    assert list(record.packets(content, 13)) == []
    before = [p for p in record.packets(content, 11) if p.channel == 0][-1]
    after = next(p for p in record.packets(content, 15) if p.channel == 0)
    assert (rtp(after)[0] - rtp(before)[0]) & 0xFFFF == 7


def test_a_lost_packet_leaves_a_gap_in_its_block(
    record: ConnectionRecord, content: Content
) -> None:
    whole = list(record.packets(content, 11))
    record.lost += [(11, 1), (12, 0)]
    assert list(record.packets(content, 11)) == [whole[0], whole[2]]


def test_timestamps_jump_from_a_block_on(record: ConnectionRecord, content: Content) -> None:
    record.jumps += [(12, 10_000_000), (14, -500_000)]
    assert [record.jump_us(n) for n in range(11, 16)] == [
        0, 10_000_000, 10_000_000, -500_000, -500_000,
    ]  # fmt: skip
    video = [next(iter(record.packets(content, n))) for n in (11, 12, 14)]
    assert (rtp(video[1])[1] - rtp(video[0])[1]) & 0xFFFFFFFF == 9_000 + 900_000
    assert (rtp(video[2])[1] - rtp(video[0])[1]) % 2**32 == (3 * 9_000 - 45_000) % 2**32


def test_a_late_block_is_known_to_be_late_and_later_ones_are_not(
    record: ConnectionRecord, content: Content, life: CameraLife
) -> None:
    assert record.sent_us(content, 15) == life.epoch_us + 1_500_000
    record.checkpoint(13, life.epoch_us + 1_450_000)
    assert [record.sent_us(content, n) - life.epoch_us for n in (12, 13, 14, 15)] == [
        1_200_000, 1_450_000, 1_450_000, 1_500_000,
    ]  # fmt: skip


def test_checkpoints_are_thinned_when_there_are_too_many(record: ConnectionRecord) -> None:
    for number in range(3 * MAX_CHECKPOINTS):
        record.checkpoint(number, number)
    assert len(record.checkpoints) <= 2 * MAX_CHECKPOINTS + 2
    assert record.checkpoints[-1] == 3 * MAX_CHECKPOINTS - 1


def test_what_was_sent_ends_within_a_block(record: ConnectionRecord, content: Content) -> None:
    whole = list(record.sent(content, Mark(13)))
    assert len(whole) == 9
    assert list(record.sent(content, Mark(12, 1))) == whole[:7]
    block = list(record.packets(content, 12))
    sizes = [len(packet.framed()) for packet in block]
    assert record.packets_within(content, 12, sizes[0] + sizes[1] - 1) == 1
    assert record.packets_within(content, 12, sizes[0] + sizes[1]) == 2
    assert record.packets_within(content, 12, sum(sizes)) == 3


def test_a_clock_that_runs_fast_sends_sooner(content: Content) -> None:
    life = CameraLife(
        camera=0, path="/cam/0", content=content.digest, epoch_us=1_000_000, drift_ppm=100_000.0
    )
    assert life.wall_us(1_100_000) == 2_000_000
    assert life.life_us(2_000_000) == 1_100_000
