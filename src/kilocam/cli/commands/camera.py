"""`kilocam camera …`: the fleet."""

import json
from pathlib import Path
from typing import Any

import click

from kilocam.cli.client import Client, server_options
from kilocam.cli.secret_address import secret_address


@click.group()
def camera() -> None:
    """Add, list, show and remove cameras of a running server."""


@camera.command()
@click.argument("id")
@click.argument("url")
@click.option("--detect-url", default="", help="Kept for later; URL is analysed.")
@click.option("--transport", type=click.Choice(["tcp"]), default="tcp", show_default=True)
@click.option("--keep", help="Retention, such as 30d.")
@click.option("--weight", type=float, default=1.0, help="Looked at sooner where time is short.")
@click.option("--tenant")
@server_options
def add(
    id: str,  # noqa: A002
    url: str,
    *,
    detect_url: str,
    transport: str,
    keep: str | None,
    weight: float,
    tenant: str | None,
    server: str | None,
    token: str | None,
    data: Path,
) -> None:
    """Record camera ID from URL, such as rtsp://user:password@host/path, from now on.

    Where others use this machine give '-' as URL: it is asked for, or read from a line of standard
    input, so that no list of processes shows the password.
    """
    url = secret_address(url, "URL")
    detect_url = secret_address(detect_url, "detect URL")
    body = {"id": id, "url": url, "detect_url": detect_url, "transport": transport, "keep": keep,
            "weight": weight}  # fmt: skip
    added = Client.of(server, token, data).call(
        "POST", "/v1/cameras", query={"tenant": tenant}, body=body
    )
    click.echo(f"camera {added['id']} is added, to be recorded from {added['url']}")


@camera.command(name="list")
@click.option("--json", "as_json", is_flag=True)
@click.option("--tenant")
@server_options
def list_(
    *, as_json: bool, tenant: str | None, server: str | None, token: str | None, data: Path
) -> None:
    """All cameras, each with its state."""
    cameras = list(Client.of(server, token, data).pages("/v1/cameras", tenant=tenant))
    if as_json:
        click.echo(json.dumps(cameras))
        return
    for item in cameras:
        click.echo(_line(item))


@camera.command()
@click.argument("id")
@click.option("--json", "as_json", is_flag=True)
@click.option("--tenant")
@server_options
def show(
    id: str,  # noqa: A002
    *,
    as_json: bool,
    tenant: str | None,
    server: str | None,
    token: str | None,
    data: Path,
) -> None:
    """One camera."""
    found = Client.of(server, token, data).call(
        "GET", f"/v1/cameras/{id}", query={"tenant": tenant}
    )
    if as_json:
        click.echo(json.dumps(found))
        return
    status = found.pop("status")
    for name, value in {**found, **status}.items():
        if value not in (None, ""):
            click.echo(f"{name:16}{value}")


@camera.command()
@click.argument("id")
@click.option("--tenant")
@server_options
def remove(
    id: str,  # noqa: A002
    *,
    tenant: str | None,
    server: str | None,
    token: str | None,
    data: Path,
) -> None:
    """Stop recording a camera; its footage stays as long as its retention says."""
    Client.of(server, token, data).call("DELETE", f"/v1/cameras/{id}", query={"tenant": tenant})
    click.echo(f"camera {id} is removed; its footage stays as long as its retention says")


def _line(item: dict[str, Any]) -> str:
    status = item["status"]
    what = f"{status['bitrate_bps'] / 1000:.0f} kbit/s, {status['fps']:g} frames/s"
    if status["state"] != "recording":
        what = status["reason"]
    return f"{item['id']:24} {status['state']:11} {what}"
