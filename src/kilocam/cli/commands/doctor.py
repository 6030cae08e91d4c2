"""`kilocam doctor`: is this machine fit?"""

from pathlib import Path

import click

from kilocam.cli.data import DataDir
from kilocam.cli.doctor import examine
from kilocam.cli.installation import Installation
from kilocam.core.settings import load_settings


@click.command()
@click.option("--config", type=click.Path(path_type=Path, dir_okay=False), help="TOML file.")
@click.option("--data", type=click.Path(path_type=Path), default=Path("data"), show_default=True)
@click.pass_context
def doctor(context: click.Context, *, config: Path | None, data: Path) -> None:
    """Check the machine and say how to mend what is wrong; exits with 1 if something is."""
    wrong = 0
    for finding in examine(Installation(DataDir(data), load_settings(config))):
        click.echo(f"{'ok ' if finding.ok else 'BAD'} {finding.name}: {finding.text}")
        if not finding.ok:
            wrong += 1
            click.echo(f"    {finding.mend}")
    if wrong:
        context.exit(1)
