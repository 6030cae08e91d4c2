"""`kilocam link`: a way into the page."""

from pathlib import Path

import click

from kilocam.cli.client import Client, server_options


@click.command()
@server_options
def link(*, server: str | None, token: str | None, data: Path) -> None:
    """Print a fresh link that signs a browser in to the page, once; needs an admin token."""
    client = Client.of(server, token, data)
    made = client.call("POST", "/v1/session/links")
    click.echo(client.address(made["link"]))
    click.echo(f"it works once, until {made['expires']}", err=True)
