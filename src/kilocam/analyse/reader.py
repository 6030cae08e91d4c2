"""Reading: lines of text in one picture or a part of it. Pure computing, in a worker process.

PP-OCR through RapidOCR on one thread: a network finds lines, another reads each. It takes some 0.3
s a picture, so who asks for it chooses well (`reading.py`).
"""

import math
import time
from collections.abc import Callable

import rapidocr
from rapidocr.utils.output import RapidOCROutput

from kilocam.analyse.errors import ModelError, in_a_line
from kilocam.analyse.lines import Line, ReadOutcome, ReadTask
from kilocam.analyse.models import Model
from kilocam.analyse.pictures import Picture, PictureSource, part_of, picture_at
from kilocam.analyse.results import Box

PIXELS = 640 * 480
"""A part is enlarged or reduced to so many at most: cost grows with them."""
ENLARGE = 2.0
WIDEST = 2560
"""Pixels of a whole picture's row that a part is cut from."""
SURE = 0.8
"""Lines read with less confidence are left out."""
MOST_LINES = 40
"""The surest of a picture."""
LETTERS = 2
"""Lines of fewer letters and digits are, too."""


class Reader:
    """Reads one task after the other; not for several threads at once."""

    def __init__(
        self,
        model: Model,
        pictures: PictureSource,
        stopwatch_ns: Callable[[], int] = time.process_time_ns,
    ) -> None:
        self._pictures = pictures
        self._stopwatch_ns = stopwatch_ns
        det, rec = (str(model.path(f"{model.manifest.name}/{n}.onnx")) for n in ("det", "rec"))
        try:
            self._engine = rapidocr.RapidOCR(params={**_OPTIONS, _DET: det, _REC: rec})
        except Exception as error:  # the library's errors share no narrower type
            raise ModelError(
                f"model {model.manifest.name}: RapidOCR refuses it ({in_a_line(error)}); "
                "delete it and run tools/models.py"
            ) from error

    def read(self, task: ReadTask) -> ReadOutcome:
        """Read.

        Raises:
            FootageError: the window's first picture cannot be decoded.
        """
        begun = self._stopwatch_ns()
        picture = picture_at(self._pictures, task.footage, task.window.start_us, task.what)
        lines = self.lines(picture, task.region)
        cost_us = (self._stopwatch_ns() - begun) // 1000
        return ReadOutcome(at_us=picture.at_us, lines=lines, cost_us=cost_us)

    def lines(self, picture: Picture, region: Box) -> tuple[Line, ...]:
        """What is read in a part of a picture."""
        scale = _scale(picture, region)
        wide, high = round(picture.width * scale), round(picture.height * scale)
        rows, columns = part_of(region, wide, high)
        part = picture.rgb(wide, high)[rows, columns, ::-1]  # the library takes BGR
        found = self._engine(part.copy())
        assert isinstance(found, RapidOCROutput)  # it was asked to find and to read
        if found.boxes is None or found.txts is None or found.scores is None:
            return ()
        lines = []
        for corners, text, score in zip(found.boxes, found.txts, found.scores, strict=True):
            left, top = corners.min(axis=0)
            right, bottom = corners.max(axis=0)
            box = (
                max(0.0, (left + columns.start) / wide),
                max(0.0, (top + rows.start) / high),
                min(1.0, (right - left) / wide),
                min(1.0, (bottom - top) / high),
            )
            clean = " ".join(text.split())
            if score >= SURE and sum(map(str.isalnum, clean)) >= LETTERS:
                lines.append(Line(text=clean, score=float(score), box=_floats(box)))
        return tuple(sorted(lines, key=lambda line: -line.score)[:MOST_LINES])


def _floats(box: Box) -> Box:
    x, y, w, h = map(float, box)  # of numpy's kind before
    return x, y, w, h


def _scale(picture: Picture, region: Box) -> float:
    pixels = picture.width * region[2] * picture.height * region[3]
    widest = WIDEST / picture.width
    return min(ENLARGE, widest, math.sqrt(PIXELS / max(pixels, 1.0)))


_DET, _REC = "Det.model_path", "Rec.model_path"
_THREADS = "EngineConfig.onnxruntime.{}_op_num_threads"
_OPTIONS = {
    _THREADS.format("intra"): 1,
    _THREADS.format("inter"): 1,
    "Det.limit_type": "max",  # the part is as large as it should be
    "Det.limit_side_len": WIDEST,
    "Global.use_cls": False,  # signs stand upright
    "Global.log_level": "critical",
}
