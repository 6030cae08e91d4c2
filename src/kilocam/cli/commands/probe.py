"""`kilocam probe URL`: what a camera sends."""

import asyncio
import dataclasses
import json

import click

from kilocam.cli.secret_address import secret_address
from kilocam.ingest import TrackReport
from kilocam.ingest import probe as look


@click.command()
@click.argument("url")
@click.option("--seconds", type=click.FloatRange(1), default=6.0, show_default=True)
@click.option("--json", "as_json", is_flag=True, help="One JSON object.")
def probe(url: str, *, seconds: float, as_json: bool) -> None:
    """Connect to URL, play for some seconds, describe what came.

    Where others use this machine give '-' as URL: it is asked for, or read from a line of standard
    input, so that no list of processes shows the password.
    """
    report = asyncio.run(look(secret_address(url, "URL"), seconds=seconds))
    if as_json:
        click.echo(json.dumps(dataclasses.asdict(report)))
        return
    click.echo(f"{report.url}: {report.packets} packets in {report.seconds:g} s")
    for track in report.tracks:
        click.echo("  " + _line(track))
        if advice := _advice(track, seconds):
            click.echo(f"    {advice}")
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


def _advice(track: TrackReport, seconds: float) -> str:
    """What to change on the camera so that more than recording is possible; empty: nothing."""
    if track.media != "video":
        return ""
    if track.codec not in ("h264", "h265"):
        codec = track.codec or "this codec"
        return f"{codec} is recorded as it comes, but neither played nor looked at: set it to H.264"
    advice = []
    if track.codec == "h265":
        advice.append("h265 is recorded and looked at, but not played: set it to H.264")
    if not track.key_frame_s:
        advice.append(
            f"fewer than two key frames came in {seconds:g} s; all is recorded, but pictures begin "
            "at key frames only: set their distance (GOP, I-frame interval) to 1 to 4 s"
        )
    return "; ".join(advice)
