"""`kilocam ask "…"`: a question answered, with the footage that shows it."""

import json
from pathlib import Path

import click

from kilocam.cli.client import Client, server_options

_WAIT_S = 90.0
"""The server gives up after a minute."""


@click.command()
@click.argument("question")
@click.option("--json", "as_json", is_flag=True)
@click.option("--steps", is_flag=True, help="Show what was done for the answer.")
@click.option("--tenant")
@server_options
def ask(
    question: str,
    *,
    as_json: bool,
    steps: bool,
    tenant: str | None,
    server: str | None,
    token: str | None,
    data: Path,
) -> None:
    """Answer QUESTION, such as "how many cars were at the gate yesterday?"."""
    client = Client.of(server, token, data)
    told = client.call(
        "POST", "/v1/ask", query={"tenant": tenant}, body={"question": question}, wait_s=_WAIT_S
    )
    if as_json:
        click.echo(json.dumps(told))
        return
    if steps:
        for step in told["steps"]:
            given = json.dumps(step["given"]) if step["given"] else ""
            click.echo(f"{step['did']:16} {step['came']}  {given}".rstrip(), err=True)
    click.echo(told["answer"])
    for cited in told["citations"]:
        click.echo(f"  {cited['start']}  {cited['camera']:24} {client.address(cited['clip_url'])}")
    click.echo(f"coverage: {told['coverage']}")
    if told["answered_by"] != "built-in":
        click.echo(
            f"worded by {told['answered_by']}; what was checked: docs/design/ask.md", err=True
        )
