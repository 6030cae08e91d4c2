"""The `kilocam` command: finds the subcommand, turns errors of ours into one line."""

import importlib
import sys

import click
from typing_extensions import override

from kilocam import __version__
from kilocam.core import ConfigError, KilocamError

COMMANDS = {
    "ask": "kilocam.cli.commands.ask",
    "bench": "kilocam.cli.commands.bench",
    "camera": "kilocam.cli.commands.camera",
    "demo": "kilocam.cli.commands.demo",
    "doctor": "kilocam.cli.commands.doctor",
    "export": "kilocam.cli.commands.footage",
    "link": "kilocam.cli.commands.link",
    "probe": "kilocam.cli.commands.probe",
    "reader": "kilocam.cli.commands.footage",
    "search": "kilocam.cli.commands.search",
    "simulate": "kilocam.cli.commands.simulate",
    "token": "kilocam.cli.commands.token",
    "up": "kilocam.cli.commands.up",
    "verify": "kilocam.cli.commands.footage",
}


class _Commands(click.Group):
    """Imports a command's module only when it is called: `kilocam --help` stays quick."""

    @override
    def list_commands(self, ctx: click.Context) -> list[str]:
        return sorted(COMMANDS)

    @override
    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        module = COMMANDS.get(cmd_name)
        if module is None:
            return None
        command = getattr(importlib.import_module(module), cmd_name)
        if not isinstance(command, click.Command):
            raise TypeError(f"{module}.{cmd_name} is not a command")
        return command


@click.group(cls=_Commands, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, prog_name="kilocam")
@click.option("--debug", is_flag=True, help="Show tracebacks.")
@click.pass_context
def cli(context: click.Context, *, debug: bool) -> None:
    """Kilocam turns a fleet of RTSP cameras into answers."""
    context.obj = debug


def main() -> None:
    """Entry point: exit status 0 done, 1 failed, 2 wrong use."""
    debug = "--debug" in sys.argv
    try:
        cli(prog_name="kilocam")
    except KilocamError as error:
        if debug:
            raise
        click.echo(f"kilocam: {error}", err=True)
        sys.exit(2 if isinstance(error, ConfigError) else 1)
    except KeyboardInterrupt:
        sys.exit(130)
