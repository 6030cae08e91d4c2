"""Signs of life: heartbeats that our own children send, probes that engines answer."""

import asyncio
import json
import os
from collections.abc import Awaitable, Callable
from contextlib import suppress

_LINE_LIMIT = 65_536
_PROBE_EVERY_S = 1.0
_FIRST_PROBES_S = 0.1


class Pulse:
    """How long a child has been silent, and what it said last.

    Silence is counted in the supervisor's own waking time: a supervisor that was itself frozen, or
    a machine that slept, must not take all its children for dead.
    """

    def __init__(self) -> None:
        self.silent_s = 0.0
        self.alive = False
        self.ready = False
        self.served = False
        """It was ready once; one that froze later has served all the same."""
        self.says = ""
        self.figures: dict[str, float] = {}

    def pass_time(self, seconds: float, *, at_most: float) -> None:
        """Count `seconds` of silence, but no more than `at_most`."""
        self.silent_s += min(seconds, at_most)

    def beat(self, *, ready: bool) -> None:
        """A sign of life has come."""
        self.silent_s = 0.0
        self.alive = True
        self.ready = ready
        self.served = self.served or ready


class Heartbeats:
    """The reading end of a child's pipe: a JSON line each second, `{"state", "ready", "figures"}`.

    Lines that cannot be read are no sign of life.
    """

    def __init__(self, pulse: Pulse) -> None:
        self.pulse = pulse
        self._buffer = bytearray()
        self._loop = asyncio.get_running_loop()
        self._read, self.child_end = os.pipe2(os.O_CLOEXEC | os.O_NONBLOCK)
        self._open = True
        self._loop.add_reader(self._read, self._on_readable)

    def started(self) -> None:
        """The child has its end; ours of it is closed, so that its death ends the pipe."""
        os.close(self.child_end)

    def close(self) -> None:
        """Take what is still there, then stop reading."""
        if self._open:
            self._on_readable()
        if self._open:
            self._shut()

    def _shut(self) -> None:
        self._open = False
        self._loop.remove_reader(self._read)
        os.close(self._read)

    def _on_readable(self) -> None:
        try:
            data = os.read(self._read, _LINE_LIMIT)
        except BlockingIOError:
            return
        if not data:
            self._shut()
            return
        self._buffer += data
        *lines, rest = self._buffer.split(b"\n")
        self._buffer = bytearray() if len(rest) > _LINE_LIMIT else rest
        for line in lines:
            with suppress(ValueError, TypeError, AttributeError):
                self._take(line)

    def _take(self, line: bytes | bytearray) -> None:
        message = json.loads(line)
        self.pulse.says = str(message.get("state", ""))
        self.pulse.figures = {str(k): float(v) for k, v in message.get("figures", {}).items()}
        self.pulse.beat(ready=message.get("ready") is True)


async def probe_forever(
    pulse: Pulse, probe: Callable[[], Awaitable[bool]], deadline_s: float
) -> None:
    """Ask an engine every second; only an answer within the deadline is a sign of life."""
    while True:
        try:
            async with asyncio.timeout(deadline_s):
                ready = await probe()
            pulse.beat(ready=ready)
            pulse.says = "serving" if ready else "recovering"
        except Exception as error:  # noqa: BLE001 - edge of a task; any failure is "did not answer"
            pulse.ready = False
            pulse.says = f"no answer: {str(error) or type(error).__name__}"
        await asyncio.sleep(_PROBE_EVERY_S if pulse.alive else _FIRST_PROBES_S)
