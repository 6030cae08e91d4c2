"""A recorder with analysis as others build it (Frigate's design); `others.py` measures it.

    python -m bench.nvr FOLDER URL...

A camera is one `ffmpeg` that stores what comes as segments of 10 s, decodes every picture and gives
five a second, as they are, on a pipe. Here motion is looked for in each of them, and the detector
runs on those with motion. Cheaper than it is elsewhere, where in doubt: all cameras share this one
process, which sees the whole picture once where Frigate looks at several parts of it, stores
nothing of what it found, and tells of it by a line on standard output:

    {"camera": 0, "label": "person", "start_us": ..., "told_us": ...}     an event begins
    {"counts": {...}}                                                     each second
"""

import fcntl
import json
import os
import selectors
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import IO

import cv2
import numpy as np
from numpy.typing import NDArray

from kilocam.analyse import DETECTOR, load_model, models_directory
from kilocam.analyse.detector import Detector
from kilocam.analyse.tracker import Tracker
from kilocam.core import CameraKey

WIDTH, HEIGHT, FPS = 640, 360, 5
MOTION_HEIGHT = 100
LEARN, ABSORB = 0.01, 0.001
"""The share of a picture in the running average, where nothing moves (20 s) and where something
does (200 s). Elsewhere it follows everywhere alike, and takes the place of what has left for motion
for as long as that was there."""
FIRST = 48
"""So many seconds are learnt from before motion is looked for: what is there for most of them."""
THRESHOLD = 25
"""Grey levels; what differs by more is motion ..."""
LEAST_AREA = 10
"""... where it covers more than this, in pixels of the reduced picture."""
WINDOW_US = 2_000_000
_PICTURE_BYTES = WIDTH * HEIGHT * 3 // 2
_PIPE_BYTES = 1 << 20
_REPORT_S = 1.0

Grey = NDArray[np.uint8]


class Motion:
    """Whether a picture of one camera differs from the running average of those before."""

    def __init__(self) -> None:
        self._first: list[Grey] = []
        self._average: NDArray[np.float32] | None = None

    def seen(self, grey: Grey) -> bool:
        """Look at the next picture, height x width."""
        height, width = grey.shape
        size = (MOTION_HEIGHT * width // height, MOTION_HEIGHT)
        reduced = cv2.resize(grey, size, interpolation=cv2.INTER_LINEAR)
        small = np.asarray(cv2.blur(reduced, (3, 3)), np.uint8)
        if self._average is None:
            self._learn_first(small)
            return False
        off = cv2.absdiff(small, cv2.convertScaleAbs(self._average))
        _, mask = cv2.threshold(off, THRESHOLD, 255, cv2.THRESH_BINARY)
        if not mask.any():
            cv2.accumulateWeighted(small, self._average, LEARN)
            return False
        mask = cv2.dilate(mask, np.ones((3, 3), np.uint8))
        cv2.accumulateWeighted(small, self._average, LEARN, mask=cv2.bitwise_not(mask))
        cv2.accumulateWeighted(small, self._average, ABSORB, mask=mask)
        contours, _ = cv2.findContours(mask, cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_SIMPLE)
        return any(cv2.contourArea(each) > LEAST_AREA for each in contours)

    def _learn_first(self, small: Grey) -> None:
        self._first.append(small)
        if len(self._first) == FIRST * FPS:
            self._average = np.median(np.stack(self._first[::FPS]), axis=0).astype(np.float32)
            self._first.clear()


@dataclass(slots=True)
class Counts:
    """What was done since the start, up to a moment; the other `..._us` are processor time."""

    at_us: int = 0
    pictures: int = 0
    moving: int = 0
    """Pictures with motion, which the detector saw."""
    motion_us: int = 0
    detector_us: int = 0
    """With conversion to what the detector takes, and tracking."""


class Camera:
    """One camera's pictures as they come out of its ffmpeg."""

    def __init__(self, number: int, pipe: IO[bytes], detector: Detector, counts: Counts) -> None:
        self._pipe = pipe
        self._number = number
        self._detector = detector
        self._counts = counts
        self._picture = np.zeros((HEIGHT * 3 // 2, WIDTH), np.uint8)
        self._bytes = self._picture.data.cast("B")
        self._filled = 0
        self._motion = Motion()
        self._tracker = Tracker(CameraKey("nvr", f"cam{number}"))
        self._told: set[str] = set()

    def read(self) -> None:
        """Take what is there; raises `EOFError` when its ffmpeg has ended."""
        got = os.readv(self._pipe.fileno(), [self._bytes[self._filled :]])
        if not got:
            raise EOFError(f"ffmpeg of camera {self._number} ended by itself")
        self._filled += got
        if self._filled == _PICTURE_BYTES:
            self._filled = 0
            self._look(time.time_ns() // 1000)

    def _look(self, at_us: int) -> None:
        counts, begun = self._counts, time.thread_time_ns()
        moving = self._motion.seen(self._picture[:HEIGHT])
        looked = time.thread_time_ns()
        counts.pictures += 1
        counts.motion_us += (looked - begun) // 1000
        if moving:
            self._detect(at_us)
            counts.moving += 1
            counts.detector_us += (time.thread_time_ns() - looked) // 1000

    def _detect(self, at_us: int) -> None:
        rgb = cv2.cvtColor(self._picture, cv2.COLOR_YUV2RGB_I420)
        size = (self._detector.width, self._detector.height)
        pixels = np.asarray(cv2.resize(rgb, size, interpolation=cv2.INTER_LINEAR), np.uint8)
        if at_us - self._tracker.window_us >= WINDOW_US:
            self._tracker.begin(at_us)
        self._tracker.step(
            self._detector.detect(pixels, WIDTH / HEIGHT, at_us), at_us, WIDTH / HEIGHT
        )
        for each in self._tracker.findings():
            if each.event_id not in self._told:
                self._told.add(each.event_id)
                say(
                    camera=self._number,
                    label=each.label,
                    start_us=each.boxes[0].at_us,
                    told_us=time.time_ns() // 1000,
                )


def say(**what: object) -> None:
    """A line on standard output."""
    print(json.dumps(what), flush=True)


@contextmanager
def ffmpegs(folder: Path, urls: Sequence[str]) -> Iterator[list[IO[bytes]]]:
    """One a camera; gives their pictures."""
    running: list[subprocess.Popen[bytes]] = []
    try:
        for n, url in enumerate(urls):
            running.append(subprocess.Popen(_argv(folder, n, url), stdout=subprocess.PIPE))
        pipes = [each.stdout for each in running if each.stdout is not None]
        for pipe in pipes:
            fcntl.fcntl(pipe, fcntl.F_SETPIPE_SZ, _PIPE_BYTES)
        yield pipes
    finally:
        for each in running:
            if each.stdout is not None:
                each.stdout.close()  # else it could wait to write and never end
            each.terminate()
        for each in running:
            try:
                each.wait(10)
            except subprocess.TimeoutExpired:
                each.kill()
                each.wait(10)


def _argv(folder: Path, number: int, url: str) -> list[str]:
    read = ["-rtsp_transport", "tcp", "-threads", "1", "-i", url]
    store = ["-c", "copy", "-f", "segment", "-segment_time", "10", "-segment_format", "mp4",
             "-reset_timestamps", "1", str(folder / f"{number}-%05d.mp4")]  # fmt: skip
    # Without buffers of its own a picture is one write, which is cheaper for both.
    give = ["-vf", f"fps={FPS},scale={WIDTH}:{HEIGHT}", "-threads", "1", "-f", "rawvideo",
            "-pix_fmt", "yuv420p", "-avioflags", "direct", "pipe:1"]  # fmt: skip
    return ["ffmpeg", "-nostdin", "-hide_banner", "-loglevel", "fatal", *read, *store, *give]


def watch(folder: Path, urls: Sequence[str]) -> None:
    """Until SIGTERM."""
    detector = Detector(load_model(DETECTOR, models_directory()))
    counts = Counts()
    with ffmpegs(folder, urls) as pipes, selectors.DefaultSelector() as selector:
        for n, pipe in enumerate(pipes):
            selector.register(pipe, selectors.EVENT_READ, Camera(n, pipe, detector, counts))
        report_at = time.monotonic()
        while True:
            for key, _ in selector.select(_REPORT_S):
                key.data.read()
            if time.monotonic() >= report_at:
                report_at += _REPORT_S
                counts.at_us = time.time_ns() // 1000
                say(counts=asdict(counts))


def main() -> None:
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    cv2.setNumThreads(1)
    folder, *urls = sys.argv[1:]
    watch(Path(folder), urls)


if __name__ == "__main__":
    main()
