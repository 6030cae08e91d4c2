"""How far what was read or heard is from what was written or said: edit distance (Levenshtein)."""

import re
from collections.abc import Sequence

_OTHER = re.compile(r"[^a-z0-9]+")


def edits(wanted: Sequence[str], found: Sequence[str]) -> int:
    """The least number of words (or letters) put in, left out or changed."""
    row = list(range(len(found) + 1))
    for i, want in enumerate(wanted, 1):
        before, row[0] = row[0], i
        for j, find in enumerate(found, 1):
            before, row[j] = row[j], min(row[j] + 1, row[j - 1] + 1, before + (want != find))
    return row[-1]


def letters(text: str) -> str:
    """Lower case, words apart by one space, nothing but letters and digits."""
    return _OTHER.sub(" ", text.lower()).strip()
