"""`kilocam bench …`: measures on this machine; the figures of the README come from here."""

import dataclasses
import json
from collections.abc import Mapping
from pathlib import Path

import click

from kilocam.cli.bench.record import measure_record


@click.group()
def bench() -> None:
    """Measure, beside a baseline in the same run."""


@bench.command()
@click.option("--cameras", type=click.IntRange(1), default=100, show_default=True)
@click.option("--seconds", type=click.FloatRange(1), default=20, show_default=True)
@click.option("--rounds", type=click.IntRange(1), default=3, show_default=True)
@click.option("--json", "as_json", is_flag=True, help="One JSON object.")
def record(*, cameras: int, seconds: float, rounds: int, as_json: bool) -> None:
    """Recording: the shipped recorder beside one ffmpeg process per camera; medians of rounds."""
    _show(dataclasses.asdict(measure_record(cameras, seconds, rounds)), as_json=as_json)


@bench.command()
@click.option("--seconds", type=click.FloatRange(1), default=30, show_default=True)
@click.option("--quality", is_flag=True, help="Against labels: what is seen, missed, confused.")
@click.option("--labels", type=click.Path(path_type=Path), help="Default: the checkout's.")
@click.option("--json", "as_json", is_flag=True, help="One JSON object.")
def analyse(*, seconds: float, quality: bool, labels: Path | None, as_json: bool) -> None:
    """Analysis: gate, decoder, difference and detector on a still scene and on a street."""
    from kilocam.analyse import cache_directory, models_directory
    from kilocam.cli.bench.analyse import measure_analyse, scenes

    if labels and not quality:
        raise click.UsageError("--labels says what --quality is judged by; give both")
    if quality:
        from kilocam.cli.bench.quality.figures import as_json as as_object
        from kilocam.cli.bench.quality.figures import table
        from kilocam.cli.bench.quality.run import LABELS, measure_quality

        judged = measure_quality(labels or LABELS, cache_directory(), models_directory())
        click.echo(json.dumps(as_object(judged)) if as_json else table(judged))
        return
    films = scenes(cache_directory(), width=640, height=360, fps=15, bitrate_kbps=256)
    _show(measure_analyse(films, seconds, models_directory()), as_json=as_json)


@bench.command()
@click.option("--events", type=click.IntRange(1_000), default=100_000, show_default=True)
@click.option("--vectors", type=click.IntRange(0), default=10_000, show_default=True)
@click.option("--cameras", type=click.IntRange(1), default=1_000, show_default=True)
@click.option("--tenants", type=click.IntRange(1), default=20, show_default=True)
@click.option("--questions", type=click.IntRange(1), default=400, show_default=True)
@click.option("--data", type=click.Path(path_type=Path), help="Kept and used again, if given.")
@click.option("--json", "as_json", is_flag=True, help="One JSON object.")
def search(
    *,
    events: int,
    vectors: int,
    cameras: int,
    tenants: int,
    questions: int,
    data: Path | None,
    as_json: bool,
) -> None:
    """Search: four weeks of a fleet's events made up, kept by the product's database, and asked."""
    from kilocam.cli.bench.search.made import Fleet
    from kilocam.cli.bench.search.measure import measure_search

    fleet = Fleet(events=events, vectors=vectors, cameras=cameras, tenants=tenants)
    figures = measure_search(fleet, data, questions, lambda line: click.echo(line, err=True))
    _show(dataclasses.asdict(figures), as_json=as_json)


def _show(figures: Mapping[str, object], *, as_json: bool) -> None:
    if as_json:
        click.echo(json.dumps(figures))
        return
    width = max(map(len, figures))
    for name, value in figures.items():
        click.echo(f"{name:{width}}  {value}")
