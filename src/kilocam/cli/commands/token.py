"""`kilocam token …`: API tokens."""

from pathlib import Path

import click

from kilocam.cli.client import Client, server_options

ROLES = ["admin", "operator", "viewer", "service"]


@click.group()
def token() -> None:
    """Create, list and revoke API tokens of a running server."""


@token.command()
@click.option("--role", type=click.Choice(ROLES), required=True)
@click.option("--name", default="", help="What it is for.")
@click.option("--expires-in", help="Such as 30d; never if not given.")
@click.option("--tenant")
@server_options
def create(
    *,
    role: str,
    name: str,
    expires_in: str | None,
    tenant: str | None,
    server: str | None,
    token: str | None,
    data: Path,
) -> None:
    """Make a token; it is printed once and kept nowhere."""
    body = {"role": role, "name": name, "expires_in": expires_in}
    made = Client.of(server, token, data).call(
        "POST", "/v1/tokens", query={"tenant": tenant}, body=body
    )
    click.echo(made["token"])


@token.command(name="list")
@click.option("--tenant")
@server_options
def list_(*, tenant: str | None, server: str | None, token: str | None, data: Path) -> None:
    """All tokens of the tenant, without their secrets."""
    for item in Client.of(server, token, data).pages("/v1/tokens", tenant=tenant):
        state = "revoked" if item["revoked"] else f"until {item['expires'] or 'revoked'}"
        click.echo(f"{item['id']}  {item['role']:9} {state:34} {item['name']}")


@token.command()
@click.argument("id")
@click.option("--tenant")
@server_options
def revoke(
    id: str,  # noqa: A002
    *,
    tenant: str | None,
    server: str | None,
    token: str | None,
    data: Path,
) -> None:
    """End a token, within half a minute everywhere."""
    Client.of(server, token, data).call("DELETE", f"/v1/tokens/{id}", query={"tenant": tenant})
    click.echo(f"token {id} is revoked")
