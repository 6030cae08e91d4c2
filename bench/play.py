"""The simulator's process of `recording.cameras`: plays a fleet until it is asked to stop."""

import json
import pickle
import sys
from pathlib import Path

import uvloop

from kilocam.simulate import Simulator, serve, until_signal


def announce(simulator: Simulator) -> None:
    print(json.dumps({"url": simulator.url(0), "cameras": len(simulator.cameras)}), flush=True)


def main() -> None:
    fleet, ledger, cache = pickle.loads(Path(sys.argv[1]).read_bytes())
    uvloop.run(until_signal(serve(fleet, ledger=ledger, cache=cache, announce=announce)))


main()
