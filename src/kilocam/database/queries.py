"""Reads a room's named queries from its `.sql` file.

-- name: one_camera
-- What it gives and why it looks the way it does.
select …
"""

import re
from collections.abc import Mapping
from functools import cache
from importlib.resources import files
from types import MappingProxyType

_HEAD = re.compile(r"^-- name: (\w+)\n((?:--.*\n)*)", re.MULTILINE)


@cache
def load_queries(package: str, file: str = "queries.sql") -> Mapping[str, str]:
    """The queries of `file` in `package` by name.

    Raises:
        ValueError: a query has no description, or a name stands there twice.
    """
    return MappingProxyType(parse_queries(files(package).joinpath(file).read_text(), file))


def parse_queries(text: str, file: str) -> dict[str, str]:
    """The named queries of one file's text."""
    queries: dict[str, str] = {}
    heads = list(_HEAD.finditer(text))
    for head, after in zip(heads, [*heads[1:], None], strict=True):
        name, description = head.groups()
        if not description.strip("- \n"):
            raise ValueError(f"{file}: query {name!r} has no description")
        if name in queries:
            raise ValueError(f"{file}: query {name!r} stands there twice")
        end = after.start() if after else len(text)
        queries[name] = text[head.end() : end].strip().removesuffix(";")
    return queries
