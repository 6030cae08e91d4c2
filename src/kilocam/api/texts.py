"""Text that nothing can keep, refused once for every operation, in words of ours."""

import re
from collections.abc import Mapping

from kilocam.api.problems import Problem

_UNKEPT = re.compile("[\0\ud800-\udfff]")
"""Postgres keeps no NUL, UTF-8 has no half of a surrogate pair; nobody means either."""


def check_texts(values: Mapping[str, object]) -> None:
    """Raise 422 for the first value that holds such a character; `values` are by field."""
    for field, value in values.items():
        for text in value if isinstance(value, tuple) else (value,):
            if isinstance(text, str) and (found := _UNKEPT.search(text)):
                raise Problem(
                    422,
                    "invalid",
                    f"{field}: character {found.start() + 1} is U+{ord(found[0]):04X}, which no "
                    "text can hold: leave it out",
                )
