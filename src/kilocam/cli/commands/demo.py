"""`kilocam demo`: `up` on simulated cameras that play real footage."""

from pathlib import Path

import click

from kilocam.analyse.models import cache_directory
from kilocam.cli.data import DataDir
from kilocam.cli.demo import DemoFootage, demo_cameras
from kilocam.cli.installation import Installation
from kilocam.cli.supervise_spec import Limits, RoleChild
from kilocam.cli.up import ROLES, Up, free_address, listen_address
from kilocam.core.settings import load_settings


@click.command()
@click.option("--cameras", type=click.IntRange(1, 2000), default=4, show_default=True)
@click.option("--data", type=click.Path(path_type=Path), default=Path("data"), show_default=True)
@click.option("--http", help="HOST:PORT of the gateway; default: 127.0.0.1:8000.")
def demo(*, cameras: int, data: Path, http: str | None) -> None:
    """Run with simulated cameras: street footage, and one camera that speaks."""
    cache = cache_directory()
    DemoFootage.find(cache)
    settings = load_settings()
    address = free_address(*listen_address(http or settings.http.listen))
    _, port = free_address("127.0.0.1", 0)
    declared = settings.model_copy(update={"camera": demo_cameras(cameras, port)})
    installation = Installation(DataDir(data), declared)
    beside = [simulator_child(cameras, port, cache)]
    Up(installation, address, ROLES, click.echo, beside=beside).run()


def simulator_child(cameras: int, port: int, cache: Path) -> RoleChild:
    """The cameras; the recorder waits for them, or it would show them as refusing at first."""
    return RoleChild(
        name="simulator",
        role="simulator",
        entry="kilocam.cli.roles.simulator:main",
        config={"cameras": cameras, "port": port, "cache": str(cache)},
        # The first start of all encodes the footage.
        limits=Limits(start_s=300.0, boot_wait_s=120.0),
    )
