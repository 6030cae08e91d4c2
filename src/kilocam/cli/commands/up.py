"""`kilocam up`: run."""

from pathlib import Path

import click

from kilocam.cli.data import DataDir
from kilocam.cli.installation import Installation
from kilocam.cli.up import ROLES, Up, check_cameras, free_address, listen_address
from kilocam.core import ConfigError
from kilocam.core.settings import load_settings
from kilocam.streams import check_streams


def parse_roles(text: str) -> tuple[str, ...]:
    """The roles in a comma-separated list."""
    roles = tuple(part.strip() for part in text.split(",") if part.strip())
    for role in roles:
        if role not in ROLES:
            raise ConfigError(f"role {role!r} is not one of {', '.join(ROLES)}")
    if not roles:
        raise ConfigError(f"--roles is empty; name some of {', '.join(ROLES)}")
    return roles


@click.command()
@click.option("--config", type=click.Path(path_type=Path, dir_okay=False), help="TOML file.")
@click.option("--data", type=click.Path(path_type=Path), default=Path("data"), show_default=True)
@click.option("--http", help="HOST:PORT of the gateway; default: http.listen of the settings.")
@click.option("--roles", default=",".join(ROLES), show_default=True)
def up(*, config: Path | None, data: Path, http: str | None, roles: str) -> None:
    """Run until Ctrl-C; prints `ready http://HOST:PORT` when all roles serve."""
    chosen = parse_roles(roles)
    settings = load_settings(config)
    check_cameras(settings)
    check_streams(settings.stream)
    address = free_address(*listen_address(http or settings.http.listen))
    Up(Installation(DataDir(data), settings), address, chosen, click.echo).run()
