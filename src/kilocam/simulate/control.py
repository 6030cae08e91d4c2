"""Owns: steering a running simulator from another process, through a Unix socket.

One JSON object a line, one answer a line: `{"ok": true, ...}` or `{"ok": false, "error": "..."}`.

    {"do": "flap", "camera": 3, "seconds": 2}     ends its connections, away for 2 s
    {"do": "stall", "camera": 3, "seconds": 5}    sends nothing for 5 s
    {"do": "resume", "camera": 3}                 ends a stall
    {"do": "jump", "camera": 3, "seconds": -10}   timestamps jump
    {"do": "lose", "camera": 3, "share": 0.01}    loses packets from now on
    {"do": "save"}                                writes the ledger
    {"do": "status"}                              {"ok": true, "playing": 7, "worst_late_ms": 3.2}

Without `seconds` a fault takes what the camera's group says; without `camera` it strikes all.
"""

import asyncio
import json
from pathlib import Path
from typing import Any, Protocol

from kilocam.simulate.camera import Camera
from kilocam.simulate.errors import SimulateError

_MAX_LINE = 4096


class Controlled(Protocol):
    """What is steered: a `Simulator`."""

    @property
    def cameras(self) -> list[Camera]:
        """All cameras, by number."""
        ...

    @property
    def worst_late_s(self) -> float:
        """The longest that anything was sent late by the simulator's fault."""
        ...

    async def save(self, path: Path) -> None:
        """Write the ledger."""
        ...


class ControlSocket:
    """Listens at `path` while entered; without a path it does nothing."""

    def __init__(self, simulator: Controlled, path: Path | None, ledger: Path | None) -> None:
        self._simulator = simulator
        self._path = path
        self._ledger = ledger
        self._server: asyncio.Server | None = None

    async def __aenter__(self) -> None:
        """Listen.

        Raises:
            SimulateError: the socket cannot be made.
        """
        if self._path is None:
            return
        try:
            self._path.unlink(missing_ok=True)
            self._server = await asyncio.start_unix_server(
                self._serve, str(self._path), limit=_MAX_LINE
            )
        except OSError as error:
            raise SimulateError(
                f"simulator: control socket {self._path} cannot be made ({error.strerror}); "
                "choose a short path in a folder that you can write to"
            ) from None

    async def __aexit__(self, *_: object) -> None:
        """Stop listening."""
        if self._server is not None:
            self._server.close()
        if self._path is not None:
            self._path.unlink(missing_ok=True)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while line := await reader.readline():
                writer.write(json.dumps(await self.obey(line)).encode() + b"\n")
                await writer.drain()
        except (ConnectionError, ValueError):  # ValueError: a line over the limit
            pass
        finally:
            writer.close()

    async def obey(self, line: bytes) -> dict[str, object]:
        """Do what one line says; the answer."""
        try:
            order = json.loads(line)
            match order:
                case {"do": "save"}:
                    await self._save()
                case {"do": "status"}:
                    return {"ok": True} | self._status()
                case {"do": str(what), **rest}:
                    for camera in self._chosen(rest.pop("camera", None)):
                        _strike(camera, what, rest)
                case _:
                    raise SimulateError('control: not an order; write {"do": "flap", "camera": 0}')
        except (SimulateError, ValueError, TypeError) as error:
            return {"ok": False, "error": str(error)}
        return {"ok": True}

    async def _save(self) -> None:
        if self._ledger is None:
            raise SimulateError("control: there is no ledger file; start the simulator with one")
        await self._simulator.save(self._ledger)

    def _status(self) -> dict[str, object]:
        return {
            "playing": sum(len(camera.clients) for camera in self._simulator.cameras),
            "worst_late_ms": round(self._simulator.worst_late_s * 1000, 1),
        }

    def _chosen(self, camera: object) -> list[Camera]:
        cameras = self._simulator.cameras
        if camera is None:
            return cameras
        if not isinstance(camera, int) or not 0 <= camera < len(cameras):
            raise SimulateError(
                f"control: there is no camera {camera!r}; choose from 0 to {len(cameras) - 1}"
            )
        return [cameras[camera]]


# `Any`: what JSON holds; `float()` refuses what is no number.
def _strike(camera: Camera, what: str, order: dict[object, Any]) -> None:
    seconds = float(order["seconds"]) if "seconds" in order else None
    match what:
        case "flap":
            camera.flap(seconds)
        case "stall":
            camera.stall(seconds)
        case "resume":
            camera.resume()
        case "jump":
            camera.jump(seconds)
        case "lose" if "share" in order:
            camera.lose(float(order["share"]))
        case _:
            raise SimulateError(
                f"control: cannot do {what!r}; choose flap, stall, resume, jump, lose (with a "
                "share), save or status"
            )
