"""What hearing costs before anything listens: stored packets to 16 kHz mono.

    python -m bench.sound

CPU milliseconds for a second of footage of a camera of 2 Mbit/s, by codec of its sound: the whole,
and the same with next to no pictures, which is what passing over them costs less.
"""

import time

from tests.fakes.sounds import Codec, encode_sound, tone
from tests.fakes.stored_sound import T0, Scene, sounding

from kilocam.analyse.pictures import Footage
from kilocam.analyse.stored_sound import StoredSound

SECONDS, ROUNDS = 30, 5
CODECS: tuple[tuple[Codec, int], ...] = (
    ("mpeg4-generic", 16_000),
    ("pcmu", 8_000),
    ("opus", 48_000),
)


def cost_ms(footage: Footage) -> float:
    """For each second; the best of some rounds, as the machine is shared."""
    rounds = []
    for _ in range(ROUNDS):
        begin = time.process_time()
        for _ in StoredSound()(footage, T0, T0 + SECONDS * 1_000_000):
            pass
        rounds.append(time.process_time() - begin)
    return min(rounds) * 1000 / SECONDS


def main() -> None:
    for codec, rate in CODECS:
        sound = encode_sound(tone(SECONDS, 500, rate), codec, rate)
        usual = Scene(sound=sound, seconds=SECONDS, picture_packets=9, picture_bytes=1390)
        footage = sounding(usual)
        mbit_s = sum(len(piece.payload) for _, piece in footage) * 8e-6 / SECONDS
        without = cost_ms(sounding(Scene(sound=sound, seconds=SECONDS, picture_bytes=1)))
        whole = cost_ms(footage)
        print(f"{codec:14} {mbit_s:.1f} Mbit/s  {whole:.2f} ms  without pictures {without:.2f} ms")


if __name__ == "__main__":
    main()
