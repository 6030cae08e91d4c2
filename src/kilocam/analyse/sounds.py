"""Which sounds are in a stretch of sound: a siren, breaking glass, a dog. Pure computing.

A network of the YAMNet kind (AudioSet; Gemmeke et al. 2017) sees the spectrogram of 0.96 s in 64
mel bands, each 0.48 s anew. What it names above a threshold in patches that follow each other is
one sound. Its weights are an optional extra: `tools/models.py --sounds`.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from kilocam.analyse.errors import ModelError
from kilocam.analyse.loudness import RATE, Waveform
from kilocam.analyse.models import Model
from kilocam.analyse.network import Network
from kilocam.analyse.stored_sound import Sound
from kilocam.analyse.utterances import Noise

FRAME, STEP, FFT = 400, 160, 512
"""Samples: 25 ms each 10 ms."""
BANDS, LOW_HZ, HIGH_HZ = 64, 125.0, 7500.0
FRAMES, FRAMES_STEP = 96, 48
"""Spectra a patch has, and from one to the next."""
PATCH = (FRAMES - 1) * STEP + FFT
"""Samples of one."""
THRESHOLD = 0.5
"""Of the network's own probability."""
_INPUT = (1, 1, FRAMES, BANDS)
_TINY = 1e-6

Spectra = NDArray[np.float32]


def log_mel(pcm: Waveform) -> Spectra:
    """Logarithms of mel-band magnitudes, spectra x `BANDS`; none of less than `FFT` samples."""
    if len(pcm) < FFT:
        return np.zeros((0, BANDS), np.float32)
    frames = np.lib.stride_tricks.sliding_window_view(pcm, FFT)[::STEP]
    magnitudes = np.abs(np.fft.rfft(frames * _WINDOW, axis=1))
    mel: Spectra = np.log(magnitudes @ _MEL + _TINY).astype(np.float32)
    return mel


def _window() -> NDArray[np.float32]:
    """A periodic Hann window in the middle of a longer frame."""
    window = np.zeros(FFT, np.float32)
    at = (FFT - FRAME) // 2
    window[at : at + FRAME] = 0.5 - 0.5 * np.cos(2 * np.pi * np.arange(FRAME) / FRAME)
    return window


def _mel_bands() -> NDArray[np.float32]:
    """Triangles over the bins of a spectrum, (`FFT` / 2 + 1) x `BANDS` (O'Shaughnessy's mel)."""
    bins = np.linspace(0, RATE / 2, FFT // 2 + 1)
    low, high = (2595 * np.log10(1 + hertz / 700) for hertz in (LOW_HZ, HIGH_HZ))
    edges = 700 * (10 ** (np.linspace(low, high, BANDS + 2) / 2595) - 1)
    rising = (bins[:, None] - edges[:-2]) / (edges[1:-1] - edges[:-2])
    falling = (edges[2:] - bins[:, None]) / (edges[2:] - edges[1:-1])
    return np.clip(np.minimum(rising, falling), 0, None).astype(np.float32)


_WINDOW, _MEL = _window(), _mel_bands()


@dataclass(slots=True)
class _Open:
    """A sound that went on in the last patch; by the number of its spectra."""

    first: int
    last: int = 0
    score: float = 0.0


class SoundClasses:
    """Names sounds; of the manifest's classes, several columns may have one label."""

    def __init__(self, model: Model) -> None:
        """Load it.

        Raises:
            ModelError: it is no network of this kind; one line.
        """
        manifest = model.manifest
        if manifest.input != _INPUT:
            raise ModelError(
                f"model {manifest.name}: its input is {manifest.input}, not {_INPUT}: "
                "it does not name sounds"
            )
        self._columns = dict(manifest.classes)
        self._network = Network(model)

    def of(self, sound: Sound, until_us: int) -> tuple[Noise, ...]:
        """What is to be heard in a stretch up to a moment, in order of time."""
        upto = (until_us - sound.at_us) * RATE // 1_000_000
        spectra = log_mel(sound.pcm[: max(0, upto)])
        last = len(spectra) - FRAMES
        # The last one as far to the end as it goes: what comes next is heard by itself.
        starts = sorted({*range(0, last + 1, FRAMES_STEP), last}) if last >= 0 else []
        patches = [(at, self._scores(spectra[at : at + FRAMES])) for at in starts]
        return tuple(sorted(_noises(patches, sound.at_us), key=lambda each: each.from_us))

    def _scores(self, patch: Spectra) -> Mapping[str, float]:
        (scores,) = self._network.run(patch.reshape(_INPUT))
        row = scores.reshape(-1)
        best: dict[str, float] = {}
        for column, label in self._columns.items():
            best[label] = max(best.get(label, 0.0), float(row[column]))
        return best


def _noises(patches: Sequence[tuple[int, Mapping[str, float]]], at_us: int) -> Iterator[Noise]:
    """Runs of patches (first spectrum, scores) in which a label stands out."""
    going: dict[str, _Open] = {}
    for at, scores in patches:
        for label, score in scores.items():
            if score >= THRESHOLD:
                run = going.setdefault(label, _Open(at))
                run.last, run.score = at, max(run.score, score)
            elif label in going:
                yield _noise(label, going.pop(label), at_us)
    for label, run in going.items():
        yield _noise(label, run, at_us)


def _noise(label: str, run: _Open, at_us: int) -> Noise:
    from_us = at_us + run.first * STEP * 1_000_000 // RATE
    to_us = at_us + (run.last * STEP + PATCH) * 1_000_000 // RATE
    return Noise(from_us=from_us, to_us=to_us, label=label, score=run.score)
