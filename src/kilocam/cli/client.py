"""The gateway as commands reach it: by address and token, or by the data directory beside us."""

import json
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any, TypeVar
from urllib.parse import urlencode

import click

from kilocam.cli.data import DataDir
from kilocam.core import ConfigError, KilocamError

_TIMEOUT_S = 30.0
F = TypeVar("F", bound=Callable[..., Any])


class ServerError(KilocamError):
    """The server refused, or could not be reached."""


def server_options(command: F) -> F:
    """The options of every command that needs a running server."""
    for option in (
        click.option("--data", type=click.Path(path_type=Path), default=Path("data"),
                     show_default=True, help="Data directory of a server on this machine."),
        click.option("--token", envvar="KILOCAM_TOKEN", help="API token."),
        click.option("--server", envvar="KILOCAM_SERVER", help="Such as http://127.0.0.1:8000."),
    ):  # fmt: skip
        command = option(command)
    return command


class Client:
    """JSON calls to one gateway."""

    def __init__(self, server: str, token: str) -> None:
        if not server.startswith(("http://", "https://")):
            raise ConfigError(f"server {server!r} is not valid: write it as http://host:port")
        self._server = server.rstrip("/")
        self._token = token

    @classmethod
    def of(cls, server: str | None, token: str | None, data: Path) -> "Client":
        """By what was given, completed from the data directory.

        Raises:
            ConfigError: neither says where the server is or how to get in.
        """
        here = DataDir(data)
        try:
            server = server or here.address.read_text().strip()
            token = token or here.admin_token.read_text().strip()
        except OSError:
            raise ConfigError(
                f"no server is known: none runs on {data}; start one with `kilocam up`, or name "
                "one with --server and --token, or its data directory with --data"
            ) from None
        return cls(server, token)

    def address(self, path: str) -> str:
        """Where a browser finds `path`."""
        return f"{self._server}{path}"

    def call(
        self,
        method: str,
        path: str,
        *,
        query: Mapping[str, object] | None = None,
        body: Mapping[str, object] | None = None,
        wait_s: float = _TIMEOUT_S,
    ) -> Any:
        """The JSON answer; None when there is none.

        Raises:
            ServerError: one line with what the server said.
        """
        wanted = {k: v for k, v in (query or {}).items() if v is not None}
        url = self.address(path) + (f"?{urlencode(wanted, doseq=True)}" if wanted else "")
        request = urllib.request.Request(  # noqa: S310 - the scheme was checked
            url,
            method=method,
            data=None if body is None else json.dumps(body).encode(),
            headers={"Authorization": f"Bearer {self._token}", "Content-Type": "application/json"},
        )
        try:
            with urllib.request.urlopen(request, timeout=wait_s) as answer:  # noqa: S310
                text = answer.read()
        except urllib.error.HTTPError as error:
            raise ServerError(_detail(error)) from None
        except OSError as error:
            reason = getattr(error, "reason", error)
            raise ServerError(
                f"{self._server} cannot be reached ({reason}); is the server running?"
            ) from None
        return json.loads(text) if text else None

    def pages(self, path: str, **query: object) -> Iterator[Any]:
        """The items of all pages of a list."""
        cursor: str | None = None
        while True:
            page = self.call("GET", path, query={**query, "cursor": cursor})
            yield from page["items"]
            cursor = page["next_cursor"]
            if cursor is None:
                return


def _detail(error: urllib.error.HTTPError) -> str:
    try:
        return str(json.loads(error.read())["detail"])
    except (ValueError, KeyError, TypeError):
        return f"the server answered {error.code} {error.reason}"
