"""`kilocam probe URL`: what a camera sends."""

import asyncio
import dataclasses
import json

import click

from kilocam.ingest import TrackReport
from kilocam.ingest import probe as look


@click.command()
@click.argument("url")
@click.option("--seconds", type=click.FloatRange(1), default=6.0, show_default=True)
@click.option("--json", "as_json", is_flag=True, help="One JSON object.")
def probe(url: str, *, seconds: float, as_json: bool) -> None:
    """Connect to URL, play for some seconds, describe what came."""
    report = asyncio.run(look(url, seconds=seconds))
    if as_json:
        click.echo(json.dumps(dataclasses.asdict(report)))
        return
    click.echo(f"{report.url}: {report.packets} packets in {report.seconds:g} s")
    for track in report.tracks:
        click.echo("  " + _line(track))
    click.echo(f"  quirks met: {', '.join(report.quirks) or 'none'}")


def _line(track: TrackReport) -> str:
    facts = [f"{track.media} {track.codec or 'unknown codec'}"]
    if track.width:
        facts.append(f"{track.width}x{track.height}")
    if track.fps:
        facts.append(f"{track.fps:g} frames/s")
    if track.channels and track.media == "audio":
        facts.append(f"{track.clock_rate} Hz, {track.channels} channels")
    facts.append(f"{track.bitrate_bps / 1000:.0f} kbit/s")
    if track.media == "video":
        every = f"every {track.key_frame_s:g} s" if track.key_frame_s else "fewer than two seen"
        facts.append(f"key frames {every}")
    return ", ".join(facts)
