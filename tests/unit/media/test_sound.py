"""Sound decoded for hearing: right in pitch and time, anew after a hole, never an error."""

from itertools import pairwise

import numpy as np
import pytest
from tests.fakes.sounds import Codec, EncodedSound, encode_sound, onset, pitch, silence, tone

from kilocam.media import SOUND_RATE, AudioFormat, HeardSound, SoundDecoder, Waveform

CODECS: list[tuple[Codec, int, int]] = [
    ("pcmu", 8_000, 1),
    ("pcma", 8_000, 1),
    ("pcma", 16_000, 1),
    ("pcmu", 8_000, 2),
    ("opus", 48_000, 1),
    ("opus", 48_000, 2),
    ("mpeg4-generic", 16_000, 1),
    ("mpeg4-generic", 44_100, 2),
]


def _encoded(codec: Codec, rate: int, channels: int = 1, seconds: float = 2) -> EncodedSound:
    """A second of silence, then a tone of 1 kHz."""
    sound = np.concatenate([silence(1, rate), tone(seconds - 1, 1000, rate)])
    return encode_sound(sound, codec, rate, channels)


def _heard(decoder: SoundDecoder, frames: list[tuple[int, bytes]]) -> list[HeardSound]:
    out = [heard for pts, data in frames for heard in decoder.decode(data, pts)]
    return out + decoder.finish()


def _joined(heard: list[HeardSound]) -> Waveform:
    return np.concatenate([each.pcm for each in heard])


@pytest.mark.parametrize(("codec", "rate", "channels"), CODECS)
def test_sound_comes_out_in_pitch_and_in_time(codec: Codec, rate: int, channels: int) -> None:
    sound = _encoded(codec, rate, channels)
    decoder = SoundDecoder(sound.entry, rate)
    heard = _heard(decoder, sound.frames)
    pcm = _joined(heard)
    assert pcm.dtype == np.float32
    assert [each.follows for each in heard] == [False] + [True] * (len(heard) - 1)
    assert heard[0].pts == sound.frames[0][0]
    assert abs(heard[0].pts / rate + onset(pcm) - 1) < 0.005
    assert abs(pitch(pcm[-SOUND_RATE // 2 :]) - 1000) < 5
    assert 0.4 < np.abs(pcm[-SOUND_RATE // 2 : -SOUND_RATE // 4]).max() < 0.6
    step = sound.frames[-1][0] - sound.frames[-2][0]
    length = sound.frames[-1][0] + step - sound.frames[0][0]
    assert abs(len(pcm) / SOUND_RATE - length / rate) < 0.001
    assert decoder.skipped == 0
    for before, after in pairwise(heard):  # to the tick
        assert abs(after.pts - before.pts - len(before.pcm) * rate / SOUND_RATE) <= 1


@pytest.mark.parametrize(("codec", "rate", "channels"), CODECS)
def test_after_lost_packets_sound_begins_anew_at_its_time(
    codec: Codec, rate: int, channels: int
) -> None:
    sound = _encoded(codec, rate, channels, seconds=3)
    middle = len(sound.frames) // 2
    kept = sound.frames[:middle] + sound.frames[middle + 3 :]
    decoder = SoundDecoder(sound.entry, rate)
    heard = _heard(decoder, kept)
    anew = [n for n, each in enumerate(heard) if not each.follows]
    assert len(anew) == 2
    assert heard[anew[1]].pts == sound.frames[middle + 3][0]
    before, after = _joined(heard[: anew[1]]), _joined(heard[anew[1] :])
    hole_s = 3 * (kept[-1][0] - kept[-2][0]) / rate
    assert heard[0].pts / rate + len(before) / SOUND_RATE == pytest.approx(
        heard[anew[1]].pts / rate - hole_s, abs=0.001
    )
    assert abs(pitch(after) - 1000) < 5


@pytest.mark.parametrize(("codec", "rate", "channels"), CODECS)
def test_one_lost_packet_is_a_hole_and_a_rounded_time_is_none(
    codec: Codec, rate: int, channels: int
) -> None:
    sound = _encoded(codec, rate, channels)
    step = sound.frames[1][0] - sound.frames[0][0]
    shaken = [
        (pts + (step // 3) * ((n + 1) % 3 - 1), data) for n, (pts, data) in enumerate(sound.frames)
    ]
    heard = _heard(SoundDecoder(sound.entry, rate), shaken)
    assert sum(not each.follows for each in heard) == 1
    heard = _heard(SoundDecoder(sound.entry, rate), sound.frames[:5] + sound.frames[6:])
    assert sum(not each.follows for each in heard) == 2


def test_times_may_be_counted_by_another_clock_and_reach_far() -> None:
    sound = _encoded("mpeg4-generic", 16_000)
    far = 7 << 40
    frames = [(far + pts * 90_000 // 16_000, data) for pts, data in sound.frames]
    heard = _heard(SoundDecoder(sound.entry, 90_000), frames)
    assert sum(not each.follows for each in heard) == 1
    assert heard[0].pts == frames[0][0]
    seconds = (heard[-1].pts - heard[0].pts) / 90_000
    assert seconds == pytest.approx((len(_joined(heard)) - len(heard[-1].pcm)) / SOUND_RATE)


@pytest.mark.parametrize("codec", ["opus", "mpeg4-generic"])
def test_a_frame_that_cannot_be_decoded_is_counted_and_costs_itself(codec: Codec) -> None:
    rate = 48_000
    sound = _encoded(codec, rate, seconds=3)
    middle = len(sound.frames) // 2
    frames = list(sound.frames)
    frames[middle] = (frames[middle][0], b"\xff\xff" + b"\xa5" * 60)
    decoder = SoundDecoder(sound.entry, rate)
    heard = _heard(decoder, frames)
    assert decoder.skipped == 1
    anew = [each.pts for each in heard if not each.follows]
    assert anew == [frames[0][0], frames[middle + 1][0]]
    assert abs(pitch(_joined(heard)[-SOUND_RATE // 2 :]) - 1000) < 5


@pytest.mark.parametrize("codec", ["opus", "mpeg4-generic"])
@pytest.mark.parametrize("bad", [True, False])
def test_what_comes_after_a_break_is_as_if_it_came_first(codec: Codec, bad: bool) -> None:
    loud = encode_sound(tone(2, 300, 48_000), codec, 48_000)
    before, after = loud.frames[:20], loud.frames[30:]
    between = [(loud.frames[20][0], b"\xff\xff" + b"\xa5" * 60)] if bad else []
    decoder = SoundDecoder(loud.entry, 48_000)
    heard = _heard(decoder, before + between + after)
    anew = next(n for n, each in enumerate(heard) if n and not each.follows)
    alone = _heard(SoundDecoder(loud.entry, 48_000), after)
    assert np.array_equal(_joined(heard[anew:]), _joined(alone))


def test_sound_louder_than_can_be_is_cut_off_there() -> None:
    square = np.sign(tone(1, 300, 16_000))
    loud = encode_sound(square.astype(np.float32), "mpeg4-generic", 16_000)
    pcm = _joined(_heard(SoundDecoder(loud.entry, 16_000), loud.frames))
    assert np.abs(pcm).max() == 1


def test_a_config_that_no_decoder_takes_is_counted_with_each_frame() -> None:
    sound = _encoded("mpeg4-generic", 16_000)
    entry = AudioFormat(config=b"\xf8\xe8\x50\x00", codec="", sample_rate=16_000, channels=1)
    decoder = SoundDecoder(entry, 16_000)
    assert _heard(decoder, sound.frames[:5]) == []
    assert decoder.skipped == 5


def test_sound_that_changes_within_aac_begins_anew() -> None:
    mono, stereo = _encoded("mpeg4-generic", 48_000, 1), _encoded("mpeg4-generic", 48_000, 2)
    frames = mono.frames[:40]
    frames += [(mono.frames[40 + n][0], data) for n, (_, data) in enumerate(stereo.frames[40:50])]
    decoder = SoundDecoder(mono.entry, 48_000)
    heard = _heard(decoder, frames)
    assert [each.pts for each in heard if not each.follows] == [-1024, frames[40][0]]
    assert decoder.skipped == 0
    assert abs(pitch(_joined(heard)[-3000:]) - 1000) < 10
