"""How each camera is, from the recorder to whoever asks: a small file in `DATA/run`.

It is rewritten every 2 s and worthless after a stop; it works while queue and database are dead.
`camera_figures.py` reads it: apart, so that a recorder does not load the gateway.
"""

import json
from collections.abc import Sequence
from pathlib import Path

from kilocam.core import CameraKey
from kilocam.ingest import CameraStatus

EVERY_S = 2.0


class BoardWriter:
    """The recorder's side: turns totals into rates and writes the file."""

    def __init__(self, file: Path) -> None:
        self._file = file
        self._before: dict[CameraKey, CameraStatus] = {}
        self._before_us = 0

    def write(self, statuses: Sequence[CameraStatus], now_us: int) -> None:
        """Replace the file; `now_us` is any monotonic time."""
        seconds = (now_us - self._before_us) / 1e6 if self._before_us else 0.0
        lines = []
        current: dict[CameraKey, CameraStatus] = {}
        for status in statuses:
            key = CameraKey(status.tenant, status.camera)
            current[key] = status
            before = self._before.get(key, status)
            bits, frames = 8 * (status.bytes - before.bytes), status.frames - before.frames
            lines.append({
                "tenant": status.tenant,
                "camera": status.camera,
                "state": status.state,
                "since_us": status.since_us,
                "reason": status.reason,
                "bitrate_bps": round(max(0, bits) / seconds) if seconds else 0,
                "fps": max(0, frames) / seconds if seconds else 0.0,
                "last_packet_us": status.last_packet_us,
            })  # fmt: skip
        self._before, self._before_us = current, now_us
        temporary = self._file.with_suffix(".new")
        temporary.write_text(json.dumps(lines))
        temporary.replace(self._file)
