"""Opus packets by their first bytes (RFC 6716 section 3.1)."""

import av
import numpy as np
import pytest
from av.audio.codeccontext import AudioCodecContext

from kilocam.bitstream import BitstreamError, opus_samples


@pytest.mark.parametrize(
    ("head", "ms"),
    [
        (bytes((0 << 3, 1)), 10),
        (bytes((3 << 3, 1)), 60),
        (bytes((11 << 3, 1)), 60),
        (bytes((12 << 3, 1)), 10),
        (bytes((15 << 3, 1)), 20),
        (bytes((16 << 3, 1)), 2.5),
        (bytes((31 << 3, 1)), 20),
        (bytes((31 << 3 | 1, 1, 2)), 40),
        (bytes((31 << 3 | 2, 1, 2)), 40),
        (bytes((31 << 3 | 3, 6)), 120),
        (bytes((31 << 3 | 3, 0xC0 | 3)), 60),
        (bytes((1 << 3,)), 20),
    ],
)
def test_the_first_bytes_tell_how_long_a_packet_sounds(head: bytes, ms: float) -> None:
    assert opus_samples(head) == ms * 48


@pytest.mark.parametrize(
    ("packet", "reason"),
    [
        (b"", "empty"),
        (bytes((31 << 3 | 3,)), "count"),
        (bytes((31 << 3 | 3, 0)), "0 ms"),
        (bytes((31 << 3 | 3, 7)), "140 ms"),
        (bytes((3 << 3 | 3, 3)), "180 ms"),
        (bytes((31 << 3 | 1, 1)), "odd byte"),
    ],
)
def test_what_no_opus_packet_begins_with_is_refused(packet: bytes, reason: str) -> None:
    with pytest.raises(BitstreamError, match=reason):
        opus_samples(packet)


@pytest.mark.parametrize("ms", ["2.5", "5", "10", "20", "40", "60", "80", "100", "120"])
def test_packets_of_libopus_have_the_length_they_were_asked_for(ms: str) -> None:
    encoder = av.CodecContext.create("libopus", "w")
    assert isinstance(encoder, AudioCodecContext)
    encoder.sample_rate, encoder.format, encoder.layout = 48_000, "s16", "mono"
    encoder.options = {"frame_duration": ms}
    noise = np.random.default_rng(1).integers(-9000, 9000, (1, 48_000), dtype=np.int16)
    frame = av.AudioFrame.from_ndarray(noise, format="s16", layout="mono")
    frame.sample_rate, frame.pts = 48_000, 0
    fifo = av.AudioFifo()
    fifo.write(frame)
    encoder.open()
    whole = fifo.read_many(encoder.frame_size)
    packets = [bytes(packet) for part in whole for packet in encoder.encode(part)]
    assert len(packets) > 5
    assert {opus_samples(packet) for packet in packets} == {float(ms) * 48}
