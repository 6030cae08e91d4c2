"""Cameras with G.711 and Opus: recorded packet by packet, heard in time, played as far as MP4 can.

Each plays a loop of four seconds, in the second half of which it sounds 1 kHz.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

import av
import numpy as np
import pytest
from bench.recording import EVER, cameras, compare, recorder, until
from tests.fakes.samples import check_decodes, probe_packets
from tests.fakes.sounds import Codec, film_with_sound, onset, pitch

from kilocam.analyse.stored_sound import Sound, StoredSound, has_sound
from kilocam.core import CameraKey
from kilocam.media import OpusFormat, SoundDecoder, aac_format
from kilocam.playback import Library, Range, clip, export, init_name, make_init
from kilocam.playback.live_muxer import LiveInit, LiveMuxer
from kilocam.record import Archive
from kilocam.simulate import Group, Ledger

CODECS: list[tuple[Codec, int, str]] = [
    ("pcmu", 8_000, "mov"),
    ("pcma", 8_000, "mov"),
    ("opus", 48_000, "mp4"),
    ("mpeg4-generic", 48_000, "mp4"),
]
NUMBERS = range(len(CODECS))
OPUS = 2
SILENT_IN_MP4, PLAYED = (0, 1), (2, 3)
SECONDS = 9
TONE_BEGINS = 20
"""The number of the picture."""
NEAR_US = 80_000
"""Lip-synchronous, with what arrival alone can tell and what encoders put in front."""
LATE_US = 400_000
"""The log's time is that of arrival, on a machine that may be busy."""
S = 1_000_000


def key(number: int) -> CameraKey:
    return CameraKey("default", f"cam{number}")


@dataclass(frozen=True)
class Recorded:
    """What was sent and what is kept."""

    ledger: Ledger
    archive: Archive

    @property
    def library(self) -> Library:
        return Library(self.archive)

    def range(self, number: int) -> Range:
        marks = self.archive.marks(key(number), *EVER)
        first, last = marks[0].entry, marks[-1].entry
        return Range(key=key(number), from_us=first.wall_us, to_us=last.end_us)


@pytest.fixture(scope="module")
def recorded(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Recorded]:
    folder = tmp_path_factory.mktemp("sound")
    files = [film_with_sound(folder / f"{c}.{kind}", c, rate) for c, rate, kind in CODECS]
    groups = [Group(source=file, count=1) for file in files]
    with cameras(groups, folder) as sent:
        with recorder(folder, [sent.url(n) for n in NUMBERS]) as recording:

            def stored_s(number: int) -> float:
                marks = recording.archive().marks(key(number), *EVER)
                return (marks[-1].entry.end_us - marks[0].entry.wall_us) / S if marks else 0

            until(lambda: min(map(stored_s, NUMBERS)) >= SECONDS, 60, "sound recorded")
            ledger = sent.stop()
            recording.wait_quiet()
        yield Recorded(ledger, Archive([recording.footage]))


def test_every_packet_is_stored_as_it_was_sent(recorded: Recorded) -> None:
    found = compare(recorded.archive, recorded.ledger, NUMBERS)
    assert found.differences == []
    assert found.connections == len(CODECS)


def heard(recorded: Recorded, number: int) -> list[Sound]:
    wanted = recorded.range(number)
    footage = list(recorded.archive.pieces(key(number), *EVER))
    assert has_sound(footage[0][0])
    source = StoredSound()
    sounds = list(source(footage, wanted.from_us, wanted.to_us))
    assert source.skipped == 0
    return sounds


@pytest.mark.parametrize("number", NUMBERS)
def test_what_was_sent_is_heard_with_the_pictures_it_was_sent_with(
    recorded: Recorded, number: int
) -> None:
    sounds = heard(recorded, number)
    length_s = sum(len(sound.pcm) for sound in sounds) / 16_000
    assert length_s >= SECONDS - 1.5
    begins = [us for sound in sounds for us in tone_begins(sound)]
    assert len(begins) >= 2
    assert all(with_its_picture(recorded, number, begin_us) for begin_us in begins)


def with_its_picture(recorded: Recorded, number: int, begin_us: int) -> bool:
    """Whether the tone begins with the key frame it begins with in the film, as both are kept."""
    taken_us = recorded.ledger.picture_us(number, TONE_BEGINS, near_us=begin_us)
    keys = [piece.key_us for _, piece in recorded.archive.pieces(key(number), *EVER)]
    apart_us = min(abs(begin_us - key_us) for key_us in keys if abs(key_us - taken_us) < LATE_US)
    return apart_us < NEAR_US


def tone_begins(sound: Sound) -> list[int]:
    """Wall times at which it becomes loud after half a second of silence."""
    found, at = [], 0
    while at + 8_000 < len(sound.pcm):
        quiet = sound.pcm[at : at + 8_000]
        if np.abs(quiet).max() > 0.02:
            at += 800
            continue
        rest = sound.pcm[at:]
        if np.abs(rest).max() < 0.1:
            break
        at += round(onset(rest) * 16_000)
        if len(sound.pcm) - at > 8_000:
            assert abs(pitch(sound.pcm[at + 400 : at + 8_000]) - 1000) < 10
        found.append(sound.at_us + at * S // 16_000)
    return found


def sent_frames(recorded: Recorded, number: int) -> list[bytes]:
    """The payloads of the sound in the order sent."""
    (record,) = recorded.ledger.connections(number)
    tracks = [t for t in recorded.ledger.content(number).tracks if t.media == "audio"]
    (kind,) = {track.payload_type for track in tracks}
    packets = (p.data for p in recorded.ledger.sent(number, record.connection))
    return [data[12:] for data in packets if data[1] & 127 == kind]


def test_an_export_and_a_clip_have_the_opus_packets_as_they_were_sent(
    recorded: Recorded, tmp_path: Path
) -> None:
    exported, clipped = tmp_path / "export.mp4", tmp_path / "clip.mp4"
    wanted = recorded.range(OPUS)
    result = export(recorded.library, wanted, exported)
    made = clip(recorded.library, wanted)
    clipped.write_bytes(b"".join(made.chunks))
    assert result.left_out == made.left_out == ()
    assert made.mime.endswith(',opus"')
    sent = sent_frames(recorded, OPUS)
    for file in (exported, clipped):
        check_decodes(file)
        kept = opus_in(file)
        assert is_run(kept, sent)
        assert len(kept) >= (SECONDS - 1) * 50
        times = [packet.pts for packet in probe_packets(file, "a:0")]
        # A packet is cut off where the film begins again.
        odd = [b - a for a, b in pairwise(times) if b - a != 960]
        assert len(odd) <= SECONDS // 4 + 1
        assert all(0 < step < 1920 for step in odd)
    assert result.sounds == len(opus_in(exported))


def is_run(kept: list[bytes], sent: list[bytes]) -> bool:
    """Whether packets are some of those that were sent, one after the other."""
    return any(kept == sent[n : n + len(kept)] for n in range(len(sent)) if sent[n] == kept[0])


def opus_in(file: Path) -> list[bytes]:
    with av.open(str(file)) as container:
        return [bytes(packet) for packet in container.demux(audio=0) if packet.size]


def live(recorded: Recorded, number: int) -> tuple[str, bytes]:
    """MIME type and bytes of what a viewer had got who watched all the time."""
    muxer = LiveMuxer(recorded.library.sync)
    pieces = recorded.archive.pieces(key(number), *EVER)
    messages = [m for session, piece in pieces for m in muxer.feed(session, piece)]
    newest = max(n for n, message in enumerate(messages) if isinstance(message, LiveInit))
    init = messages[newest]
    assert isinstance(init, LiveInit)
    return init.mime, b"".join(message.data for message in messages[newest:])


def segments(recorded: Recorded, number: int) -> bytes:
    """What HLS plays of it."""
    wanted, library = recorded.range(number), recorded.library
    plan = library.planner.plan(wanted.key, wanted.from_us, wanted.to_us, wanted.to_us + 100 * S)
    made = [library.segments.make(wanted.key, segment.name) for segment in plan.segments]
    return make_init(init_name(plan.segments[0])) + b"".join(made)


def test_segments_and_live_play_opus(recorded: Recorded, tmp_path: Path) -> None:
    mime, watched = live(recorded, OPUS)
    assert mime.endswith(',opus"')
    sent = sent_frames(recorded, OPUS)
    for data, seconds in ((watched, 3), (segments(recorded, OPUS), SECONDS - 3)):
        file = tmp_path / "played.mp4"
        file.write_bytes(data)
        check_decodes(file)
        kept = opus_in(file)
        assert is_run(kept, sent)
        assert len(kept) >= seconds * 50


@pytest.mark.parametrize("number", SILENT_IN_MP4)
def test_g711_is_left_out_of_all_that_is_mp4_and_said_so(
    recorded: Recorded, number: int, tmp_path: Path
) -> None:
    wanted = recorded.range(number)
    result = export(recorded.library, wanted, tmp_path / "export.mp4")
    made = clip(recorded.library, wanted)
    (tmp_path / "clip.mp4").write_bytes(b"".join(made.chunks))
    (tmp_path / "live.mp4").write_bytes(live(recorded, number)[1])
    (tmp_path / "hls.mp4").write_bytes(segments(recorded, number))
    codec = CODECS[number][0]
    said = f"track 1 (audio, {codec}) is recorded but not put into MP4 so far"
    assert result.left_out == made.left_out == (said,)
    for name in ("export", "clip", "live", "hls"):
        file = tmp_path / f"{name}.mp4"
        check_decodes(file)
        with av.open(str(file)) as container:
            assert len(container.streams) == 1
        assert len(probe_packets(file)) >= 25


@pytest.mark.parametrize("number", PLAYED)
def test_the_tone_of_an_export_begins_with_its_picture(
    recorded: Recorded, number: int, tmp_path: Path
) -> None:
    file = tmp_path / "out.mp4"
    exported = export(recorded.library, recorded.range(number), file)
    with av.open(str(file)) as container:
        stream = container.streams.audio[0]
        config = bytes(stream.codec_context.extradata or b"")
        packets = [(p.pts, bytes(p)) for p in container.demux(stream) if p.pts is not None]
        rate = stream.codec_context.sample_rate
    entry = OpusFormat() if number == OPUS else aac_format(config)
    assert entry is not None
    decoder = SoundDecoder(entry, rate)
    parts = [part for pts, data in packets for part in decoder.decode(data, pts)]
    parts += decoder.finish()
    at_us = exported.start_us + parts[0].pts * S // rate
    begins = tone_begins(Sound(at_us, np.concatenate([part.pcm for part in parts])))
    assert begins
    assert all(with_its_picture(recorded, number, begin_us) for begin_us in begins)
