"""What a look costs, stage by stage, on real street footage; one core.

    python bench/detector.py [--size 640x360] [--fps 15] [--bitrate 256] [--windows 20] [--json]

Three kinds of look, as the analyst orders them: at a quiet camera (key frame, difference), at a
busy one by its key frame alone, and at a busy one with the whole window before it. The footage
comes from `tools/footage.py`, the model from `tools/models.py`.
"""

import argparse
import json
import pickle
import statistics
import struct
import time
from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path

from kilocam.analyse import DETECTOR, cache_directory, load_model, models_directory
from kilocam.analyse.detector import Detector
from kilocam.analyse.look import Looker, LookOutcome, LookTask, Memory
from kilocam.analyse.pictures import Footage
from kilocam.analyse.stored import StoredPictures
from kilocam.core import CameraKey, Piece, PieceFlag, Session, Track, Window
from kilocam.media import FileTrack, VideoEncoding, open_media
from kilocam.rtsp import frame, packetize_h264

T0 = 1_700_000_000_000_000
KEY = CameraKey("bench", "street")
WINDOW_US = 2_000_000
MARKER = 0x80
TRACK = Track(
    index=0, media="video", codec="h264", payload_type=96, clock_rate=90_000, channels=0,
    rtp_channel=0, rtcp_channel=1, fmtp="",
)  # fmt: skip
SESSION = Session(
    tenant="bench", camera="street", session=1, epoch=1, started_us=T0, source="", sdp=b"",
    tracks=(TRACK,),
)  # fmt: skip


def pieces(video: FileTrack) -> Iterator[Piece]:
    """The file's pictures as a recorder would keep them, one a piece."""
    sequence = 0
    for sample in video.samples:
        units = (*video.parameter_sets, *sample.units) if sample.key else sample.units
        wall_us = T0 + sample.pts * 1_000_000 // video.clock_rate
        ts = sample.pts * TRACK.clock_rate // video.clock_rate
        *bodies, last = packetize_h264(units)
        packets = [(96, body) for body in bodies] + [(96 | MARKER, last)]
        payload = b""
        for kind, body in packets:
            payload += frame(0, struct.pack(">BBHII", 0x80, kind, sequence, ts, 1) + body)
            sequence = (sequence + 1) & 0xFFFF
        yield Piece(
            tenant="bench", camera="street", session=1, wall_us=wall_us, duration_us=66_000,
            media_ts=ts, key_offset=0 if sample.key else -1, key_us=wall_us if sample.key else 0,
            flags=PieceFlag.KEY if sample.key else PieceFlag.NONE, packets=len(packets), frames=1,
            complexity=0.0, sampled=0, payload=payload,
        )  # fmt: skip


class Street:
    """Stored footage, and looks at it."""

    def __init__(self, stored: list[Piece], looker: Looker) -> None:
        self._stored = stored
        self._looker = looker
        self._keys = [piece.key_us for piece in stored if piece.key_us]
        self.windows = len(self._keys) - 2

    def look(self, number: int, memory: Memory, *, before: bool) -> tuple[LookOutcome, float, int]:
        """A look at a window: its outcome, CPU milliseconds, the bytes its task takes."""
        window = self._window(number)
        from_us = self._keys[number - before]
        footage: Footage = tuple(
            (SESSION, piece)
            for piece in self._stored
            if from_us <= piece.wall_us < window.start_us + 600_000
        )
        task = LookTask(
            key=KEY,
            window=window,
            before=self._window(number - 1) if before else None,
            whole=False,
            footage=footage,
            memory=memory,
        )
        size = len(pickle.dumps(task))
        begun = time.process_time_ns()
        outcome = self._looker.look(task)
        return outcome, (time.process_time_ns() - begun) / 1e6, size

    def _window(self, number: int) -> Window:
        start_us, next_us = self._keys[number : number + 2]
        end_us = min(next_us, start_us + WINDOW_US)
        return Window(tenant="bench", camera="street", start_us=start_us, end_us=end_us)


def measure(street: Street, windows: int, *, before: bool, quiet: bool) -> dict[str, float]:
    """CPU milliseconds of a kind of look: all of it (median) and by stage (means)."""
    memory, took, sizes = Memory(), [], []
    stages: dict[str, float] = {}
    for number in range(windows + 1):
        if quiet:  # the background just learnt is the picture itself
            learnt = street.look(number, Memory(), before=False)[0].memory
            memory = Memory(background=learnt.background, detected_us=learnt.detected_us)
        outcome, ms, size = street.look(number, memory, before=before and number > 0)
        memory = outcome.memory
        if number == 0:
            continue
        took.append(ms)
        sizes.append(size)
        for stage, count in outcome.stages.items():
            stages[stage] = stages.get(stage, 0.0) + count.cost_us / 1000
    result = {"look_ms": round(statistics.median(took), 2)}
    result |= {f"{stage}_ms": round(ms / windows, 2) for stage, ms in sorted(stages.items())}
    result["task_kb"] = round(statistics.mean(sizes) / 1000, 1)
    result["looks_per_s_of_core"] = round(1000 / statistics.mean(took), 1)
    return result


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--size", default="640x360")
    parser.add_argument("--fps", type=int, default=15)
    parser.add_argument("--bitrate", type=int, default=256, help="kbit/s")
    parser.add_argument("--windows", type=int, default=20)
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    width, height = (int(part) for part in options.size.split("x"))
    encoding = VideoEncoding(
        width=width, height=height, fps=Fraction(options.fps), bitrate_kbps=options.bitrate
    )
    footage = cache_directory() / "footage"
    parts = json.loads((footage / "index.json").read_text())
    media = open_media(footage / parts["street"][0], encoding=encoding, cache=Path(footage))
    assert media.video is not None
    detector = Detector(load_model(DETECTOR, models_directory()))
    # CPU time: other work on the machine does not blur it.
    looker = Looker(detector, StoredPictures(), time.process_time_ns)
    street = Street(list(pieces(media.video)), looker)
    windows = min(options.windows, street.windows)
    measure(street, 2, before=True, quiet=False)  # warm up
    results = {
        "quiet": measure(street, windows, before=False, quiet=True),
        "busy, key frame": measure(street, windows, before=False, quiet=False),
        "busy, whole window": measure(street, windows, before=True, quiet=False),
    }
    if options.json:
        print(json.dumps(results))
        return
    for kind, figures in results.items():
        print(f"{kind:20}", "  ".join(f"{name} {value}" for name, value in figures.items()))


if __name__ == "__main__":
    main()
