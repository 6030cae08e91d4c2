"""Laws of hearing: whatever comes is sound within its bounds or is counted, and never an error."""

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.fakes.sounds import Codec, EncodedSound, encode_sound, tone

from kilocam.media import SoundDecoder

WORKING: list[tuple[Codec, int, int]] = [
    ("pcmu", 8_000, 1),
    ("pcma", 8_000, 2),
    ("opus", 48_000, 2),
    ("mpeg4-generic", 16_000, 1),
    ("mpeg4-generic", 48_000, 2),
]
SOUNDS = [encode_sound(tone(1, 700, rate), codec, rate, ch) for codec, rate, ch in WORKING]

Edits = list[tuple[int, int, bytes]]
edits = st.lists(
    st.tuples(st.integers(0, 40), st.integers(0, 300), st.binary(max_size=30)), max_size=12
)


@given(st.sampled_from(SOUNDS), edits, st.lists(st.integers(-(2**40), 2**40), max_size=4))
@settings(max_examples=150, deadline=None)
def test_damaged_sound_is_sound_or_is_counted(
    sound: EncodedSound, edits: Edits, jumps: list[int]
) -> None:
    frames = list(sound.frames)
    for at, cut, fresh in edits:
        pts, data = frames[at % len(frames)]
        frames[at % len(frames)] = (pts, data[:cut] + fresh + data[cut + len(fresh) :])
    for number, jump in enumerate(jumps):
        pts, data = frames[number * 7 % len(frames)]
        frames[number * 7 % len(frames)] = (pts + jump, data)
    decoder = SoundDecoder(sound.entry, sound.rate)
    heard = [each for pts, data in frames for each in decoder.decode(data, pts)]
    heard += decoder.finish()
    assert decoder.finish() == []
    assert decoder.skipped <= len(frames)
    assert decoder.skipped == len(frames) or heard
    assert not heard or not heard[0].follows
    for each in heard:
        assert each.pcm.dtype == np.float32
        assert each.pcm.ndim == 1
        assert len(each.pcm) > 0
        assert np.all(np.abs(each.pcm) <= 1)


@given(st.sampled_from(SOUNDS), st.lists(st.binary(max_size=60), max_size=20))
@settings(max_examples=150, deadline=None)
def test_garbage_is_no_error(sound: EncodedSound, garbage: list[bytes]) -> None:
    decoder = SoundDecoder(sound.entry, sound.rate)
    for number, data in enumerate(garbage):
        decoder.decode(data, number * 160)
    decoder.finish()
    assert decoder.skipped <= len(garbage)
