"""Sound out of stored footage: what was heard and when, whatever else is in the pieces."""

from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest
from tests.fakes.sounds import Codec, EncodedSound, encode_sound, onset, pitch, silence, tone
from tests.fakes.stored_sound import T0, Scene, sounding

from kilocam.analyse.pictures import Footage
from kilocam.analyse.stored_sound import Sound, StoredSound, has_sound

S = 1_000_000
CODECS: list[tuple[Codec, int]] = [
    ("pcmu", 8_000),
    ("pcma", 8_000),
    ("opus", 48_000),
    ("mpeg4-generic", 16_000),
]
_FRAME_US = 50_000
"""By arrival alone sound is placed by the pictures around it, which come each 50 ms."""


def _sound(codec: Codec, rate: int, seconds: float = 8, loud_s: float = 3) -> EncodedSound:
    """Silence, and from `loud_s` on a tone."""
    whole = [silence(loud_s, rate), tone(seconds - loud_s, 1000, rate)]
    return encode_sound(np.concatenate(whole), codec, rate)


def _onset_us(sounds: list[Sound]) -> int:
    loud = next(each for each in sounds if np.abs(each.pcm).max() > 0.1)
    return loud.at_us + round(onset(loud.pcm) * S)


@pytest.mark.parametrize(("codec", "rate"), CODECS)
def test_sound_is_heard_when_it_was_made(codec: Codec, rate: int) -> None:
    footage = sounding(Scene(sound=_sound(codec, rate), seconds=8))
    source = StoredSound()
    sounds = list(source(footage, T0 + 2 * S, T0 + 5 * S))
    (sound,) = sounds
    assert abs(sound.at_us - T0 - 2 * S) < 100
    assert abs(sound.end_us - T0 - 5 * S) < 100
    assert abs(_onset_us(sounds) - T0 - 3 * S) <= _FRAME_US
    assert abs(pitch(sound.pcm[-16_000:]) - 1000) < 5
    assert source.skipped == 0


@pytest.mark.parametrize(("codec", "rate"), CODECS)
def test_sender_reports_place_it_exactly(codec: Codec, rate: int) -> None:
    scene = Scene(sound=_sound(codec, rate), seconds=8, late_us=300_000, reports_off_us=0)
    assert abs(_onset_us(list(StoredSound()(sounding(scene), T0, T0 + 8 * S))) - T0 - 3 * S) < 5000


def test_reports_that_differ_from_arrival_by_a_second_are_not_believed() -> None:
    scene = Scene(sound=_sound("pcmu", 8_000), seconds=8, reports_off_us=S)
    sounds = list(StoredSound()(sounding(scene), T0, T0 + 8 * S))
    assert abs(_onset_us(sounds) - T0 - 3 * S) <= _FRAME_US


@pytest.mark.parametrize(("codec", "rate"), CODECS)
def test_sound_alone_tells_its_own_time(codec: Codec, rate: int) -> None:
    footage = sounding(Scene(sound=_sound(codec, rate), seconds=8, video=False))
    sounds = list(StoredSound()(footage, T0 + 2 * S, T0 + 4 * S))
    assert len(sounds) == 1
    assert abs(_onset_us(sounds) - T0 - 3 * S) < 5000


@pytest.mark.parametrize(("codec", "rate"), CODECS)
def test_lost_packets_are_a_hole_of_their_length(codec: Codec, rate: int) -> None:
    encoded = _sound(codec, rate)
    lost = range(len(encoded.frames) // 2, len(encoded.frames) // 2 + 3)
    footage = sounding(Scene(sound=encoded, seconds=8, lost=lost))
    before, after = StoredSound()(footage, T0, T0 + 8 * S)
    frame_us = (encoded.frames[2][0] - encoded.frames[1][0]) * S // rate
    assert abs(after.at_us - before.end_us - 3 * frame_us) < 1000
    assert abs(pitch(after.pcm) - 1000) < 5


def test_ranges_that_follow_each_other_fit_together() -> None:
    scene = Scene(sound=_sound("mpeg4-generic", 16_000), seconds=8, reports_off_us=0)
    footage = sounding(scene)
    (whole,) = StoredSound()(footage, T0 + S, T0 + 7 * S)
    source = StoredSound()
    parts = []
    for start in range(1, 7):
        until = T0 + (start + 1) * S
        near = [(s, p) for s, p in footage if T0 + start * S - S <= p.wall_us < until + S]
        parts += list(source(near, T0 + start * S, until))
    assert len(parts) == 6
    for before, after in pairwise(parts):
        assert abs(after.at_us - before.end_us) < 1000
    joined = np.concatenate([part.pcm for part in parts])
    assert abs(len(joined) - len(whole.pcm)) <= 12
    assert np.abs(joined[: 16_000 * 3 // 2] - whole.pcm[: 16_000 * 3 // 2]).max() < 0.01


def test_a_session_that_follows_is_heard_too_and_a_break_begins_anew() -> None:
    sound = _sound("pcmu", 8_000)
    first = Scene(sound=sound, seconds=4, broken_at_us=2 * S)
    second = Scene(sound=sound, seconds=4, session=2, start_us=T0 + 10 * S)
    footage = [*sounding(first), *sounding(second)]
    sounds = list(StoredSound()(footage, T0, T0 + 14 * S))
    assert [round((each.at_us - T0) / S, 1) for each in sounds] == [0.0, 2.0, 10.0]
    assert [_onset_us(sounds[n:]) for n in (1, 2)] == [
        pytest.approx(T0 + 3 * S, abs=_FRAME_US),
        pytest.approx(T0 + 13 * S, abs=_FRAME_US),
    ]


def test_nothing_is_heard_of_what_nobody_decodes_and_of_nothing() -> None:
    footage = sounding(Scene(sound=_sound("pcmu", 8_000), seconds=4))
    session, _ = footage[0]
    video, sound = session.tracks
    for tracks in ((video,), (video, replace(sound, codec="g726-32")),
                   (video, replace(sound, codec="mpeg4-generic"))):  # fmt: skip
        deaf = replace(session, tracks=tracks)
        assert not has_sound(deaf)
        assert list(StoredSound()([(deaf, p) for _, p in footage], T0, T0 + 4 * S)) == []
    assert has_sound(session)
    assert list(StoredSound()((), T0, T0 + S)) == []
    assert list(StoredSound()(footage, T0 + 20 * S, T0 + 30 * S)) == []


def test_the_first_track_that_can_be_decoded_is_heard() -> None:
    footage = sounding(Scene(sound=_sound("pcma", 8_000), seconds=4))
    session, _ = footage[0]
    unknown = replace(session.tracks[1], index=2, codec="g722", rtp_channel=6, rtcp_channel=7)
    other = replace(session, tracks=(session.tracks[0], unknown, session.tracks[1]))
    assert len(list(StoredSound()([(other, p) for _, p in footage], T0, T0 + 4 * S))) == 1


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize(("codec", "rate"), CODECS)
def test_damaged_footage_gives_other_sound_and_no_error(codec: Codec, rate: int, seed: int) -> None:
    random = np.random.default_rng(seed)
    footage: Footage = sounding(Scene(sound=_sound(codec, rate), seconds=4, reports_off_us=0))
    damaged = []
    for session, piece in footage:
        payload = bytearray(piece.payload)
        for at in random.integers(0, len(payload), 40):
            payload[at] = random.integers(0, 256)
        damaged.append((session, piece._replace(payload=bytes(payload))))
    end = T0
    for sound in StoredSound()(damaged, T0, T0 + 4 * S):
        assert sound.at_us >= end - 100
        end = sound.end_us
        assert end <= T0 + 4 * S + 100
