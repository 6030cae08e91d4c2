"""A camera's address that must not stand in an argument, where every list of processes shows it."""

import sys

import click

from kilocam.core import ConfigError


def secret_address(given: str, what: str) -> str:
    """`given` itself; for `-` what is typed unseen, or the next line of standard input.

    Raises:
        ConfigError: nothing came.
    """
    if given != "-":
        return given
    if sys.stdin.isatty():
        return str(click.prompt(f"{what} (is not shown)", hide_input=True, err=True)).strip()
    line = sys.stdin.readline().strip()
    if not line:
        raise ConfigError(f"no {what} came on standard input; write it there on a line of its own")
    return line
