"""How fast this machine is just now: its cores are shared, and no two hours of it are alike.

python -m bench.speed
"""

import time
from fractions import Fraction

import av
import numpy as np
from av.video.codeccontext import VideoCodecContext

_FRAMES = 60
_ROUNDS = 5
_WIDTH, _HEIGHT = 640, 360


def key_frame_ms() -> float:
    """Processor time of a key frame like those of the benches' cameras, decoded by itself.

    640x360 with the noise of a sensor, about 30 kB, without deblocking, as a look decodes it. The
    best of some rounds: what the processor does at most now.
    """
    packets = _packets()
    return round(min(_decode_ms(packets) for _ in range(_ROUNDS)) / len(packets), 2)


def _packets() -> list[bytes]:
    random = np.random.default_rng(1)
    encoder = av.CodecContext.create("libx264", "w")
    assert isinstance(encoder, VideoCodecContext)
    encoder.width, encoder.height, encoder.pix_fmt = _WIDTH, _HEIGHT, "yuv420p"
    encoder.framerate, encoder.time_base = Fraction(15), Fraction(1, 15)
    encoder.options = {"preset": "veryfast", "tune": "zerolatency", "qp": "26", "g": "1"}
    slope = np.linspace(40, 200, _WIDTH, dtype=np.float32)[None, :, None]
    packets = []
    for number in range(_FRAMES):
        noisy = slope + random.normal(0, 5, (_HEIGHT, _WIDTH, 1)).astype(np.float32)
        picture = np.repeat(noisy.clip(0, 255).astype(np.uint8), 3, axis=2)
        frame = av.VideoFrame.from_ndarray(picture, format="rgb24").reformat(format="yuv420p")
        frame.pts = number
        packets += [bytes(packet) for packet in encoder.encode(frame)]
    return packets + [bytes(packet) for packet in encoder.encode(None)]


def _decode_ms(packets: list[bytes]) -> float:
    decoder = av.CodecContext.create("h264", "r")
    assert isinstance(decoder, VideoCodecContext)
    decoder.thread_count, decoder.options = 1, {"skip_loop_filter": "all"}
    begun = time.process_time_ns()
    for packet in packets:
        decoder.decode(av.Packet(packet))
    return (time.process_time_ns() - begun) / 1e6


if __name__ == "__main__":
    print(f"a key frame: {key_frame_ms()} ms")
