"""A successor that stands by: started and loaded while the one before it seems to be frozen.

An interpreter with all a role needs takes half a second of a core, and seconds on a loaded machine;
a frozen recorder's gap would be longer by that.
"""

import os
from dataclasses import dataclass

from kilocam.cli.supervise_process import Process
from kilocam.cli.supervise_pulse import Heartbeats


@dataclass(frozen=True, slots=True)
class Spare:
    """A child that does nothing until it is told to go; it ends when `go_fd` is closed instead."""

    process: Process
    beats: Heartbeats
    go_fd: int

    def go(self) -> bool:
        """Let it begin; False, and it is gone, when it has ended already."""
        if self.process.exited.done():
            self.drop()
            return False
        try:
            os.write(self.go_fd, b"g")
        except BrokenPipeError:
            self.drop()
            return False
        os.close(self.go_fd)
        return True

    def drop(self) -> None:
        """It is not needed."""
        os.close(self.go_fd)
        self.process.kill()
        self.beats.close()
