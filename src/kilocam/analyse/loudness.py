"""Whether sound is louder than a camera's usual quiet: the first and cheapest stage of hearing."""

import numpy as np
from numpy.typing import NDArray

Waveform = NDArray[np.float32]
RATE = 16_000
BLOCK = 512
"""Samples (32 ms) whose loudness is one number."""
ABOVE_DB = 9.0
"""Louder than the floor by so much is worth listening to ..."""
BLOCKS = 4
"""... if it lasts so long in all."""
SILENT_DB = -65.0
"""No speech is quieter: digital silence and a microphone's own noise."""
RISE_DB_S = 0.5
"""How fast the floor follows a place that gets louder; a quieter one it follows at once."""
FLOOR_SHARE = 20
"""Percentile of the blocks' loudness that is quiet."""


def loudness_db(pcm: Waveform) -> NDArray[np.float32]:
    """Loudness of each whole block, dB of full scale."""
    blocks = pcm[: len(pcm) // BLOCK * BLOCK].reshape(-1, BLOCK)
    power = np.einsum("ij,ij->i", blocks, blocks, dtype=np.float64) / BLOCK
    levels: NDArray[np.float32] = (10 * np.log10(np.maximum(power, 1e-10))).astype(np.float32)
    return levels


def is_loud(pcm: Waveform, floor_db: float | None) -> tuple[bool, float | None]:
    """Whether sound stands out, and the floor after it; without a floor all sound does."""
    levels = loudness_db(pcm)
    if not len(levels):
        return False, floor_db
    quiet_db = float(np.percentile(levels, FLOOR_SHARE))
    if floor_db is None:
        return bool(levels.max() > SILENT_DB), quiet_db
    threshold = max(floor_db + ABOVE_DB, SILENT_DB)
    loud = int((levels > threshold).sum()) >= BLOCKS
    seconds = len(pcm) / RATE
    return loud, min(quiet_db, floor_db + RISE_DB_S * seconds)
