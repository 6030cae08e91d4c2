"""A camera's password need not stand in an argument, where every list of processes shows it."""

from pathlib import Path

import click
import pytest
from click.testing import CliRunner

from kilocam.cli.commands.camera import camera
from kilocam.cli.commands.probe import probe
from kilocam.cli.secret_address import secret_address
from kilocam.core import ConfigError


@click.command()
@click.argument("url")
@click.option("--second", default="")
def shows(url: str, second: str) -> None:
    click.echo(f"{secret_address(url, 'URL')} {secret_address(second, 'detect URL')}")


def test_an_address_in_an_argument_is_taken_as_it_is() -> None:
    assert CliRunner().invoke(shows, ["rtsp://h/1"]).output == "rtsp://h/1 \n"


def test_dashes_are_lines_of_standard_input_in_the_order_of_the_help() -> None:
    given = "rtsp://user:secret@h/1\nrtsp://user:secret@h/2\n"
    done = CliRunner().invoke(shows, ["--second", "-", "-"], input=given)
    assert done.output == "rtsp://user:secret@h/1 rtsp://user:secret@h/2\n"


def test_an_empty_standard_input_gets_one_line(tmp_path: Path) -> None:
    done = CliRunner().invoke(camera, ["add", "gate", "-", "--data", str(tmp_path)], input="")
    assert isinstance(done.exception, ConfigError)
    assert str(done.exception) == (
        "no URL came on standard input; write it there on a line of its own"
    )


@pytest.mark.parametrize(("command", "arguments"), [(camera, ["add"]), (probe, [])])
def test_the_help_tells_of_it(command: click.Command, arguments: list[str]) -> None:
    shown = CliRunner().invoke(command, [*arguments, "--help"]).output
    assert "so that no list of processes shows the password" in " ".join(shown.split())
