"""What recorders say of their cameras (`camera_board.py`), as the gateway needs it."""

import asyncio
import json
from collections.abc import Mapping
from pathlib import Path

from kilocam.api.operations.cameras import CameraFigures
from kilocam.core import CameraKey


class BoardReader:
    """The gateway's side: every recorder's file, read again when it was replaced."""

    def __init__(self, run_dir: Path) -> None:
        self._run_dir = run_dir
        self._seen: dict[Path, tuple[int, dict[CameraKey, CameraFigures]]] = {}

    async def figures(self) -> Mapping[CameraKey, CameraFigures]:
        """All cameras of all recorders of this machine."""
        return await asyncio.to_thread(self._read)

    def _read(self) -> dict[CameraKey, CameraFigures]:
        found: dict[CameraKey, CameraFigures] = {}
        for file in sorted(self._run_dir.glob("*.cameras.json")):
            changed = file.stat().st_mtime_ns
            known = self._seen.get(file)
            if known is None or known[0] != changed:
                known = (changed, _parse(json.loads(file.read_text())))
                self._seen[file] = known
            found |= known[1]
        return found


def _parse(lines: list[dict[str, object]]) -> dict[CameraKey, CameraFigures]:
    parsed = {}
    for line in lines:
        values = dict(line)
        key = CameraKey(str(values.pop("tenant")), str(values.pop("camera")))
        parsed[key] = CameraFigures(**values)  # type: ignore[arg-type]  # written by BoardWriter
    return parsed
