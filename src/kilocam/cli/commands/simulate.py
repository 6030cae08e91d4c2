"""`kilocam simulate`: cameras out of files."""

import json
from pathlib import Path

import click

from kilocam.cli.limits import raise_file_limit
from kilocam.simulate import PASSWORD_VARIABLE, Simulator
from kilocam.simulate import simulate as run


@click.command()
@click.argument("files", nargs=-1, type=click.Path(path_type=Path, dir_okay=False))
@click.option("--cameras", type=click.IntRange(1), help="How many; as many as files by default.")
@click.option("--host", default="127.0.0.1", show_default=True)
@click.option("--port", type=click.IntRange(0, 65535), default=8554, show_default=True)
@click.option("--user", help="Clients must sign in as this user.")
@click.option("--password", help=f"Safer: set {PASSWORD_VARIABLE} in the environment.")
@click.option("--ledger", type=click.Path(path_type=Path), help="Write what was sent to this file.")
@click.option("--control", type=click.Path(path_type=Path), help="Socket that takes commands.")
def simulate(
    files: tuple[Path, ...],
    *,
    cameras: int | None,
    host: str,
    port: int,
    user: str | None,
    password: str | None,
    ledger: Path | None,
    control: Path | None,
) -> None:
    """Play FILES as N cameras at rtsp://127.0.0.1:PORT/cam/0 … N-1.

    Without files they show a test pattern whose top row carries the frame number.
    """

    def announce(simulator: Simulator) -> None:
        message = {"ready": simulator.url(0), "cameras": len(simulator.ledger.cameras)}
        click.echo(json.dumps(message))

    raise_file_limit((cameras or 1) + 100)
    run(
        files,
        cameras=cameras,
        host=host,
        port=port,
        user=user,
        password=password,
        ledger=ledger,
        control=control,
        announce=announce,
    )
