"""Listening: what was said in a stretch of sound. Pure computing, in a worker process.

Three stages, each on what the one before let through: loudness over the camera's usual quiet, voice
activity (Silero), speech (Whisper, English) on one thread. Sound is cut where a pause ends what was
said, so a stretch that ends amid speech is heard up to where that began, and listened to again from
there with what comes. Where the optional model is there, what is loud is also searched for sounds
that are no speech.
"""

import math
import time
from collections import OrderedDict
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager

import numpy as np
from faster_whisper import WhisperModel  # type: ignore[import-untyped] # it ships no types
from faster_whisper.vad import (  # type: ignore[import-untyped] # as above
    VadOptions,
    get_speech_timestamps,
)

from kilocam.analyse.errors import ModelError, in_a_line
from kilocam.analyse.loudness import RATE, is_loud
from kilocam.analyse.models import Model
from kilocam.analyse.sounds import SoundClasses
from kilocam.analyse.stored_sound import Sound, StoredSound
from kilocam.analyse.utterances import ListenOutcome, ListenTask, Noise, Utterance
from kilocam.core import CameraKey

PAUSE_US = 800_000
"""A longer pause ends what was said."""
OVERLAP_US = 300_000
"""The end of a stretch is heard again: a word may just begin there."""
LONGEST_S = 14.0
"""What goes on for longer is cut."""
BABBLE = 2.4
"""Text that can be compressed so far repeats itself: the model made it up."""
SPEECHLESS = 0.6
"""So sure that nothing was said, the model is taken at its word unless it is sure of the words."""
UNSURE = -1.0
"""Mean logarithm of the probability of words that are made up, mostly."""
_CAMERAS = 4096
_VOICE = VadOptions(
    threshold=0.5,
    min_speech_duration_ms=250,
    min_silence_duration_ms=PAUSE_US // 1000,
    speech_pad_ms=200,
    max_speech_duration_s=LONGEST_S,
)


def joined(sounds: Iterable[Sound]) -> Iterator[Sound]:
    """Sound with its short holes filled by silence: a lost packet ends nothing that is said."""
    parts: list[Sound] = []
    for sound in sounds:
        if parts and sound.at_us - parts[-1].end_us > PAUSE_US:
            yield _one(parts)
            parts = []
        parts.append(sound)
    if parts:
        yield _one(parts)


def _one(parts: Sequence[Sound]) -> Sound:
    first = parts[0]
    pieces = [first.pcm]
    samples = len(first.pcm)
    for sound in parts[1:]:
        hole = max(0, (sound.at_us - first.at_us) * RATE // 1_000_000 - samples)
        pieces += [np.zeros(hole, np.float32), sound.pcm]
        samples += hole + len(sound.pcm)
    return Sound(first.at_us, np.concatenate(pieces)) if len(parts) > 1 else first


def voiced(sound: Sound) -> list[Sound]:
    """The parts of a stretch in which somebody speaks."""
    return [
        Sound(
            sound.at_us + span["start"] * 1_000_000 // RATE, sound.pcm[span["start"] : span["end"]]
        )
        for span in get_speech_timestamps(sound.pcm, _VOICE)
    ]


class Listener:
    """Listens to one task after the other; not for several threads at once."""

    def __init__(
        self,
        model: Model,
        sounds: SoundClasses | None = None,
        stopwatch_ns: Callable[[], int] = time.process_time_ns,
    ) -> None:
        self._sounds = sounds
        folder = model.path(model.manifest.file).parent
        try:
            self._whisper = WhisperModel(
                str(folder), device="cpu", compute_type="int8", cpu_threads=1, num_workers=1
            )
        except Exception as error:  # the library's errors share no narrower type
            raise ModelError(
                f"model {model.manifest.name}: faster-whisper refuses it ({in_a_line(error)}); "
                "delete it and run tools/models.py"
            ) from error
        self._stopwatch_ns = stopwatch_ns
        self._stored: OrderedDict[CameraKey, StoredSound] = OrderedDict()

    def listen(self, task: ListenTask) -> ListenOutcome:
        """Listen."""
        run = _Run(task, self._stopwatch_ns)
        with run.timed("decode"):
            parts = self._of(task.key)(task.footage, task.from_us, task.to_us)
            sounds = list(joined(parts))
        for n, sound in enumerate(sounds):
            following = sounds[n + 1].at_us if n + 1 < len(sounds) else task.to_us
            broken = following - sound.end_us > PAUSE_US
            until_us, spoken = run.spoken(sound, ends=task.last or broken)
            run.until_us = following if broken else until_us
            if self._sounds is not None and run.is_loud:
                with run.timed("sounds", sound):
                    run.noises += self._sounds.of(sound, min(until_us, sound.end_us))
            for part in spoken:
                with run.timed("speech", part):
                    said = self.understand(part)
                if said is not None:
                    run.said.append(said)
            if not broken and until_us < sound.end_us - OVERLAP_US:
                break  # still speaking; the rest is heard with it
        return run.outcome()

    def understand(self, sound: Sound) -> Utterance | None:
        """What is said in a part of sound in which somebody speaks; None: nothing to be sure of."""
        found, _ = self._whisper.transcribe(
            sound.pcm, language="en", beam_size=1, temperature=0.0,
            condition_on_previous_text=False,
        )  # fmt: skip
        sure = [
            each
            for each in found
            if each.compression_ratio <= BABBLE
            and (each.no_speech_prob <= SPEECHLESS or each.avg_logprob > UNSURE)
        ]
        text = " ".join(" ".join(each.text.split()) for each in sure).strip()
        if not any(map(str.isalnum, text)):
            return None
        score = math.exp(sum(each.avg_logprob for each in sure) / len(sure))
        return Utterance(from_us=sound.at_us, to_us=sound.end_us, text=text, score=score)

    def _of(self, key: CameraKey) -> StoredSound:
        """Kept, for it knows how a camera's sound lies to its pictures."""
        stored = self._stored.setdefault(key, StoredSound())
        self._stored.move_to_end(key)
        if len(self._stored) > _CAMERAS:
            self._stored.popitem(last=False)
        return stored


class _Run:
    """One listening in progress."""

    def __init__(self, task: ListenTask, stopwatch_ns: Callable[[], int]) -> None:
        self._task = task
        self._stopwatch_ns = stopwatch_ns
        self._floor_db = task.floor_db
        self._loud = False
        self.is_loud = False
        """What was heard last was louder than quiet."""
        self._spent_us: dict[str, int] = {}
        self._heard_us: dict[str, int] = {}
        self.said: list[Utterance] = []
        self.noises: list[Noise] = []
        self.until_us = task.to_us

    @contextmanager
    def timed(self, stage: str, sound: Sound | None = None) -> Iterator[None]:
        """Adds to what a stage cost, and to how much it was given."""
        begun = self._stopwatch_ns()
        yield
        cost_us = (self._stopwatch_ns() - begun) // 1000
        self._spent_us[stage] = self._spent_us.get(stage, 0) + cost_us
        given_us = sound.end_us - sound.at_us if sound is not None else 0
        self._heard_us[stage] = self._heard_us.get(stage, 0) + given_us

    def spoken(self, sound: Sound, *, ends: bool) -> tuple[int, list[Sound]]:
        """Up to where a stretch is heard, and the parts of it in which somebody spoke."""
        with self.timed("loudness", sound):
            self.is_loud, self._floor_db = is_loud(sound.pcm, self._floor_db)
        self._loud |= self.is_loud
        done_us = sound.end_us if ends else max(sound.at_us, sound.end_us - OVERLAP_US)
        if not self.is_loud:
            return done_us, []
        with self.timed("voice", sound):
            parts = voiced(sound)
        for n, part in enumerate(parts):
            if not ends and sound.end_us - part.end_us < PAUSE_US and not _cut(part):
                return part.at_us, parts[:n]
        return max(done_us, parts[-1].end_us if parts else 0), parts

    def outcome(self) -> ListenOutcome:
        """What the listening gives."""
        return ListenOutcome(
            until_us=min(self.until_us, self._task.to_us),
            said=tuple(self.said),
            noises=tuple(self.noises),
            floor_db=self._floor_db,
            loud=self._loud,
            spent_us=self._spent_us,
            heard_us=self._heard_us,
        )


def _cut(part: Sound) -> bool:
    """It went on for so long that it was cut."""
    return part.end_us - part.at_us >= (LONGEST_S - 1) * 1_000_000
