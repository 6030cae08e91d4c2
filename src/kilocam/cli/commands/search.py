"""`kilocam search "…"`: find what was seen."""

import json
from pathlib import Path

import click

from kilocam.cli.client import Client, server_options


@click.command()
@click.argument("query")
@click.option("--camera", "cameras", multiple=True, help="Only this camera; may be repeated.")
@click.option("--from", "start", help="From this time, such as 2026-11-23T21:40:14Z.")
@click.option("--to", "end", help="Up to this time.")
@click.option("--limit", type=click.IntRange(1, 1000), default=20, show_default=True)
@click.option("--json", "as_json", is_flag=True)
@click.option("--tenant")
@server_options
def search(
    query: str,
    *,
    cameras: tuple[str, ...],
    start: str | None,
    end: str | None,
    limit: int,
    as_json: bool,
    tenant: str | None,
    server: str | None,
    token: str | None,
    data: Path,
) -> None:
    """Find QUERY, such as "person at gate yesterday", best first."""
    wanted = {"query": query, "from": start, "to": end, "cameras": list(cameras), "limit": limit}
    body = {name: value for name, value in wanted.items() if value not in (None, [])}
    answer = Client.of(server, token, data).call(
        "POST", "/v1/search", query={"tenant": tenant}, body=body
    )
    found = answer["items"]
    unmatched = answer.get("unmatched")  # an older server does not tell
    if found and unmatched:
        click.echo(f"no result holds: {', '.join(unmatched)}", err=True)
    if as_json:
        click.echo(json.dumps(found))
        return
    for item in found:
        click.echo(f"{item['score']:.2f}  {item['start']}  {item['camera']:24} {item['title']}")
    if not found:
        click.echo("nothing was found")
