"""What simulated cameras cost: CPU and memory of the simulator while a client drains them all.

    python bench/simulate.py --cameras 1000 --seconds 20 [--json]

The client runs in a process of its own and reads each socket twice a second; its cost is not
counted. Cameras: 640x360, 15 fps, 256 kbit/s, key frame every 2 s.
"""

import argparse
import json
import multiprocessing
import os
import secrets
import socket
import time
from multiprocessing.connection import Connection
from pathlib import Path

import uvloop

from kilocam.media import PatternSpec
from kilocam.rtsp import NEED_DATA, Handshake, Playing
from kilocam.simulate import Group, SimulatedFleet, Simulator, serve
from kilocam.simulate.server import raise_file_limit

READ_EVERY_S = 0.5


def play(cameras: int, spec: PatternSpec, cache: Path, pipe: Connection) -> None:
    fleet = SimulatedFleet(groups=[Group(count=cameras, source=spec)])

    def announce(simulator: Simulator) -> None:
        pipe.send(simulator.port)

    uvloop.run(serve(fleet, cache=cache, announce=announce))


def drain(port: int, cameras: int, pipe: Connection) -> None:
    raise_file_limit()
    sockets = [connect(f"rtsp://127.0.0.1:{port}/cam/{camera}") for camera in range(cameras)]
    pipe.send("playing")
    taken = 0
    buffer = bytearray(1 << 20)
    while not pipe.poll():
        turn = time.monotonic()
        for sock in sockets:
            try:
                taken += sock.recv_into(buffer)
            except BlockingIOError:
                continue
        time.sleep(max(0.0, READ_EVERY_S - (time.monotonic() - turn)))
    pipe.recv()
    pipe.send(taken)


def connect(url: str) -> socket.socket:
    handshake = Handshake(url, cnonce=secrets.token_hex(4))
    sock = socket.create_connection(handshake.address)
    sock.sendall(handshake.start())
    while not isinstance(event := handshake.next_event(), Playing):
        assert event is NEED_DATA, event
        sock.sendall(handshake.data_to_send())
        handshake.receive_data(sock.recv(65536))
    sock.setblocking(False)
    return sock


def cpu_seconds(pid: int) -> float:
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def rss_mb(pid: int) -> float:
    pages = int(Path(f"/proc/{pid}/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE") / 1e6


def measure(cameras: int, seconds: float, cache: Path) -> dict[str, float]:
    context = multiprocessing.get_context("spawn")
    here, there = context.Pipe()
    spec = PatternSpec()
    server = context.Process(target=play, args=(cameras, spec, cache, there))
    server.start()
    port = here.recv()
    assert server.pid is not None
    near, far = context.Pipe()
    client = context.Process(target=drain, args=(port, cameras, far))
    client.start()
    near.recv()
    time.sleep(3)  # each camera begins at its next key frame
    began, used = time.monotonic(), cpu_seconds(server.pid)
    time.sleep(seconds)
    used, took = cpu_seconds(server.pid) - used, time.monotonic() - began
    memory = rss_mb(server.pid)
    near.send("stop")
    taken = near.recv()
    client.join()
    server.terminate()
    server.join()
    return {
        "cameras": cameras,
        "seconds": round(took, 1),
        "cpu_percent_of_core": round(100 * used / took, 1),
        "cpu_percent_of_core_per_camera": round(100 * used / took / cameras, 4),
        "rss_mb": round(memory, 1),
        "taken_mb": round(taken / 1e6, 1),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--cameras", type=int, default=1000)
    parser.add_argument("--seconds", type=float, default=20)
    parser.add_argument("--cache", type=Path, default=Path("build/bench-cache"))
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    figures = measure(options.cameras, options.seconds, options.cache)
    if options.json:
        print(json.dumps(figures))
    else:
        for name, value in figures.items():
            print(f"{name:32} {value}")


if __name__ == "__main__":
    main()
