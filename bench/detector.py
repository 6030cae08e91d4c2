"""`kilocam bench analyse` for cameras of another size, frame rate or bit rate.

python bench/detector.py [--size 1920x1080] [--fps 15] [--bitrate 2000] [--seconds 30]
"""

import argparse
import json

from kilocam.analyse import cache_directory, models_directory
from kilocam.cli.bench.analyse import measure_analyse, scenes


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--size", default="1920x1080")
    parser.add_argument("--fps", type=int, default=15)
    parser.add_argument("--bitrate", type=int, default=2000, help="kbit/s")
    parser.add_argument("--seconds", type=float, default=30)
    options = parser.parse_args()
    width, height = (int(part) for part in options.size.split("x"))
    films = scenes(
        cache_directory(), width=width, height=height, fps=options.fps, bitrate_kbps=options.bitrate
    )
    print(json.dumps(measure_analyse(films, options.seconds, models_directory()), indent=1))


if __name__ == "__main__":
    main()
