"""The analyst's worker, but its stages count processor time: other work does not blur it."""

import sys
import time
from collections.abc import Callable
from pathlib import Path

from kilocam.analyse.look import LookOutcome, LookTask
from kilocam.analyse.worker import restrain, serve


def main() -> None:
    """`python -m kilocam.cli.bench.look_worker MODELS_DIRECTORY`."""
    tasks, answers = restrain()

    def prepare() -> Callable[[LookTask], LookOutcome]:
        from kilocam.analyse.detector import Detector
        from kilocam.analyse.look import Looker
        from kilocam.analyse.models import DETECTOR, load_model
        from kilocam.analyse.stored import StoredPictures

        detector = Detector(load_model(DETECTOR, Path(sys.argv[1])))
        return Looker(detector, StoredPictures(), time.process_time_ns).look

    serve(prepare, tasks, answers)


if __name__ == "__main__":
    main()
