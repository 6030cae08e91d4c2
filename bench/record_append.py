"""CPU per piece of the log's writer beside a plain writev of the same bytes, in one run.

    python bench/record_append.py [--cameras 1000] [--seconds 10] [--size 16000] [--directory DIR]

Pieces arrive as in a recorder: 20 turns per half second, each with its share of the cameras.
The writer hashes, heads, indexes, writes and commits; the baseline hands the payloads to writev.
"""

import argparse
import json
import os
import resource
import shutil
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from kilocam.core import Piece, PieceFlag, Session, Track, now_us
from kilocam.record import LogOptions, LogWriter

TURNS = 20
PERIOD_S = 0.5


def session(camera: int, epoch: int) -> Session:
    track = Track(
        index=0, media="video", codec="h264", payload_type=96, clock_rate=90000, channels=1,
        rtp_channel=0, rtcp_channel=1, fmtp="",
    )  # fmt: skip
    return Session(
        tenant="default", camera=f"cam{camera}", session=1, epoch=epoch, started_us=now_us(),
        source="rtsp://bench", sdp=b"v=0", tracks=(track,),
    )  # fmt: skip


def piece(camera: int, payload: bytes, number: int) -> Piece:
    now = now_us()
    key = number % 4 == 0
    return Piece(
        tenant="default", camera=f"cam{camera}", session=1, wall_us=now - 500_000,
        duration_us=500_000, media_ts=number * 45000, key_offset=0 if key else -1,
        key_us=now - 500_000 if key else 0, flags=PieceFlag.KEY if key else PieceFlag.NONE,
        packets=12, frames=7, complexity=1e6, sampled=2, payload=payload,
    )  # fmt: skip


class Nobody:
    """A queue's side that forgets."""

    def announce(self, ref: object, position: object) -> None:
        pass


def paced(cameras: int, seconds: float, each: Callable[[int, int], object]) -> int:
    """Call `each(camera, number)` as turns would; how many calls."""
    start, done, turn = time.monotonic(), 0, 0
    while time.monotonic() - start < seconds:
        for camera in range(turn % TURNS, cameras, TURNS):
            each(camera, turn // TURNS)
            done += 1
        turn += 1
        time.sleep(max(0.0, start + turn * PERIOD_S / TURNS - time.monotonic()))
    return done


def measured(cameras: int, seconds: float, each: Callable[[int, int], object]) -> tuple[float, int]:
    before = time.process_time()
    done = paced(cameras, seconds, each)
    return (time.process_time() - before) / done * 1e6, done


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--cameras", type=int, default=1000)
    parser.add_argument("--seconds", type=float, default=10)
    parser.add_argument("--size", type=int, default=16000)
    parser.add_argument("--directory", default=None)
    options = parser.parse_args()
    payloads = [os.urandom(options.size) for _ in range(64)]
    directory = Path(tempfile.mkdtemp(prefix="kilocam-bench-", dir=options.directory))
    try:
        idle, _ = measured(options.cameras, 3, lambda c, n: piece(c, payloads[(c + n) % 64], n))

        fd = os.open(directory / "plain", os.O_WRONLY | os.O_CREAT)
        batch: list[bytes] = []

        def plain(camera: int, number: int) -> None:
            made = piece(camera, payloads[(camera + number) % 64], number)
            batch.append(made.payload)
            if len(batch) == 128:
                os.writev(fd, batch)
                batch.clear()

        baseline, _ = measured(options.cameras, options.seconds, plain)
        os.close(fd)
        (directory / "plain").unlink()

        writer = LogWriter([directory / "log"], "bench", LogOptions(reserve=0), gops=Nobody())
        writer.start()
        for camera in range(options.cameras):
            writer.open_session(session(camera, writer.epoch))
        loop_s = 0.0

        def stored(camera: int, number: int) -> None:
            nonlocal loop_s
            made = piece(camera, payloads[(camera + number) % 64], number)
            before = time.perf_counter()
            writer.append(made)
            loop_s += time.perf_counter() - before

        full, done = measured(options.cameras, options.seconds, stored)
        status = writer.status()
        writer.close()
        print(
            json.dumps(
                {
                    "pieces": done,
                    "piece_bytes": options.size,
                    "making_pieces_us": round(idle, 1),
                    "plain_writev_us": round(baseline - idle, 1),
                    "log_us": round(full - idle, 1),
                    "append_in_loop_us": round(loop_s / done * 1e6, 2),
                    "mb_per_s": round(done * options.size / options.seconds / 1e6, 1),
                    "dropped": sum(disk.dropped for disk in status.disks),
                    "rss_mb": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024,
                },
                indent=2,
            )
        )
    finally:
        shutil.rmtree(directory)


if __name__ == "__main__":
    main()
