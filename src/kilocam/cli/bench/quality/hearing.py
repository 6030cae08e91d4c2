"""The listener against what was said: words that are wrong, and words made up where nobody speaks.

The real voice is that of Debian's alsa-utils. Sentences are spoken by `espeak-ng`, a machine that
is harder to understand than people are; where it is not installed they are left out, and the table
says so.
"""

import shutil
import subprocess
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from kilocam.analyse.listener import Listener, voiced
from kilocam.analyse.loudness import RATE, Waveform
from kilocam.analyse.models import Model
from kilocam.analyse.stored_sound import Sound
from kilocam.cli.bench.quality.figures import Figure, Section
from kilocam.cli.bench.quality.words import edits, letters
from kilocam.media import decode_sound

REAL = {"front-center.wav": "front center", "front-left.wav": "front left"}
VOICES = ("en-us", "en-gb", "en-us+f3", "en-gb+m7")
SENTENCES = (
    "please call the fire brigade there is smoke in the loading bay",
    "the delivery van is waiting at the north gate",
    "stop or i will call the police",
    "can somebody open the door for me",
    "the red car has been here since yesterday evening",
    "i have lost my key and nobody answers the bell",
    "take the second street on the left after the bridge",
    "the meeting starts at nine in the large room",
    "put the boxes over there and close the window",
    "he went down to the cellar with a ladder",
    "where did you leave the blue bicycle",
    "we need more water for the animals in the barn",
)
_QUIET_S = 1.5
"""Before and after what is said."""
_NOBODY_S = 60.0
"""Of each kind of sound in which nobody speaks."""
_PUBLISHED = "LibriSpeech test-clean, as published (Radford 2022); not comparable: read books"


@dataclass(frozen=True, slots=True)
class Spoken:
    """Sound, and the words in it."""

    pcm: Waveform
    words: tuple[str, ...]


def hearing_section(model: Model, footage: Path) -> Section:
    """Word errors of each kind of sound, and words made up a minute.

    Raises:
        ConfigError: the footage cannot be read.
    """
    listener = Listener(model)
    real = [
        Spoken(decode_sound(footage / file), tuple(words.split()))
        for file, words in REAL.items()
        if (footage / file).is_file()
    ]
    said = list(_sentences())
    figures = [_figure("a real voice", listener, real, 0.06, _PUBLISHED)] if real else []
    figures += [
        _figure(f"synthetic voices, {name}", listener, [change(each) for each in said])
        for name, change in _CONDITIONS.items()
        if said
    ]
    for name, pcm in _NOBODY.items():
        words = len(_heard(listener, pcm()))
        figures.append(
            Figure(name=f"nobody speaks, {name}: words made up", value=words, of=int(_NOBODY_S))
        )
    missing = () if said else ("espeak-ng is not installed: no sentences were judged",)
    return Section(
        name="hearing",
        model=f"{model.manifest.name} {model.manifest.version}, English, after voice activity",
        figures=tuple(figures),
        notes=missing,
    )


def _figure(
    name: str,
    listener: Listener,
    spoken: Sequence[Spoken],
    reference: float | None = None,
    reference_is: str = "",
) -> Figure:
    wrong = sum(edits(each.words, _heard(listener, each.pcm)) for each in spoken)
    words = sum(len(each.words) for each in spoken)
    return Figure(
        name=f"{name}: word error", value=wrong / words, of=words,
        reference=reference, reference_is=reference_is,
    )  # fmt: skip


def _heard(listener: Listener, pcm: Waveform) -> list[str]:
    said = [listener.understand(part) for part in voiced(Sound(0, pcm))]
    return [word for each in said if each is not None for word in letters(each.text).split()]


def _sentences() -> Iterator[Spoken]:
    program = shutil.which("espeak-ng")
    if program is None:
        return
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "said.wav"
        for number, words in enumerate(SENTENCES):
            voice = VOICES[number % len(VOICES)]
            command = [program, "-v", voice, "-s", "150", "-w", str(file), words]
            subprocess.run(command, check=True, timeout=60)
            quiet = np.zeros(int(_QUIET_S * RATE), np.float32)
            pcm = np.concatenate([quiet, decode_sound(file), quiet])
            yield Spoken(pcm, tuple(words.split()))


def _telephone(spoken: Spoken) -> Spoken:
    """As G.711 carries it: 8 kHz, 8 bits on a logarithmic scale."""
    half = (spoken.pcm[: len(spoken.pcm) // 2 * 2].reshape(-1, 2)).mean(axis=1)
    companded = np.sign(half) * np.log1p(255 * np.abs(half)) / np.log(256)
    coarse = np.round(companded * 127) / 127
    back = np.sign(coarse) * (np.power(256, np.abs(coarse)) - 1) / 255
    return replace(spoken, pcm=np.repeat(back, 2).astype(np.float32))


def _over_noise(spoken: Spoken, level_db: float) -> Spoken:
    """So much louder than noise whose power falls with frequency, as that of streets does."""
    noise = _street(len(spoken.pcm))
    speech = spoken.pcm[np.abs(spoken.pcm) > 0.01]
    gain = np.sqrt(np.mean(speech**2) / np.mean(noise**2)) * 10 ** (-level_db / 20)
    return replace(spoken, pcm=(spoken.pcm + gain * noise).astype(np.float32))


def _street(samples: int) -> Waveform:
    spectrum = np.fft.rfft(np.random.default_rng(7).normal(0, 1, samples))
    spectrum[1:] /= np.sqrt(np.arange(1, len(spectrum)))
    noise = np.fft.irfft(spectrum, samples)
    loud: Waveform = (noise / np.abs(noise).max() * 0.5).astype(np.float32)
    return loud


def _humming() -> Waveform:
    at = np.arange(int(_NOBODY_S * RATE)) / RATE
    tones = sum(
        np.sin(2 * np.pi * hertz * at) / n for n, hertz in enumerate((50, 100, 150, 440), 1)
    )
    return (0.2 * tones * (1 + 0.5 * np.sin(2 * np.pi * 0.7 * at))).astype(np.float32)


_CONDITIONS: Mapping[str, Callable[[Spoken], Spoken]] = {
    "clean": lambda each: each,
    "as G.711": _telephone,
    "20 dB over noise": lambda each: _over_noise(each, 20),
    "10 dB over noise": lambda each: _over_noise(each, 10),
    "0 dB over noise": lambda each: _over_noise(each, 0),
}
_NOBODY: Mapping[str, Callable[[], Waveform]] = {
    "noise": lambda: _street(int(_NOBODY_S * RATE)),
    "a machine's hum": _humming,
}
