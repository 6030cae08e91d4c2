"""Processor time: what has ended counts, what was used before does not."""

import subprocess
import sys

from kilocam.cli.bench.processes import Meter

_BURN = "import time\nwhile time.process_time() < {}: pass"
_PARENT = f"""
import subprocess, sys
def child(seconds):
    return subprocess.Popen([sys.executable, '-c', {_BURN!r}.format(seconds)])
early = child(0.4)
print(flush=True)
input()
early.wait()
print(flush=True)
input()
child(0.4).wait()
print(flush=True)
input()
"""


def test_what_a_child_used_that_has_ended_is_counted_once() -> None:
    with subprocess.Popen(
        [sys.executable, "-c", _PARENT], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as parent:
        assert parent.stdin is not None
        assert parent.stdout is not None

        def go_on() -> None:
            assert parent.stdin is not None
            assert parent.stdout is not None
            print(file=parent.stdin, flush=True)
            parent.stdout.readline()

        parent.stdout.readline()
        go_on()  # the first child has used all it will before measuring begins
        meter = Meter([parent.pid])
        go_on()
        used = meter.stop()
        print(file=parent.stdin, flush=True)
    assert 0.3 < used.cpu_s < 0.75
