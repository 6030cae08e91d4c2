"""Which of many files a question needs, found without asking each: a week of them is 75,000.

Owns: `Listing`, what data paths hold at one moment; `Directory`, one data path listed anew at the
cost of what is new in it.
"""

from bisect import bisect_left
from collections.abc import Iterable
from dataclasses import dataclass
from operator import attrgetter
from pathlib import Path

from kilocam.record.names import FileName, parse_name, raw_names

Identity = tuple[str, int, str, int]
"""Directory, creation, recorder, class."""
_ORDER = attrgetter(
    "name.created_us",
    "name.recorder",
    "name.keep_s",
    "name.first_us",
    "name.last_us",
    "name.sealed",
)
"""As names compare, in a tenth of the time."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Listed:
    """One file and where it is."""

    name: FileName
    path: Path

    @property
    def identity(self) -> Identity:
        """The same before and after sealing."""
        return str(self.path.parent), *self.name.identity


class Listing:
    """Files as they were listed once; never changed, so any thread may keep it."""

    def __init__(self, files: Iterable[Listed] = ()) -> None:
        self.files = tuple(sorted(files, key=_ORDER))
        """All, oldest first."""
        self.active = tuple(listed for listed in self.files if not listed.name.sealed)
        sealed = [listed for listed in self.files if listed.name.sealed]
        self._sealed = sorted(sealed, key=attrgetter("name.first_us"))
        self._firsts = [listed.name.first_us for listed in self._sealed]
        self._longest_us = max((one.name.last_us - one.name.first_us for one in sealed), default=0)

    def sealed(self, from_us: int, to_us: int) -> list[Listed]:
        """Sealed files with something in [from, to), oldest first."""
        low = bisect_left(self._firsts, from_us - self._longest_us)
        high = bisect_left(self._firsts, to_us)
        return sorted(
            (one for one in self._sealed[low:high] if one.name.last_us >= from_us), key=_ORDER
        )


class Directory:
    """One data path; who uses it sees to it that one thread at a time does."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._files: dict[str, Listed] = {}

    @property
    def files(self) -> Iterable[Listed]:
        """As they were listed last, in no order."""
        return self._files.values()

    def refresh(self) -> None:
        """List it anew.

        Raises:
            OSError: it cannot be listed.
        """
        before, self._files = self._files, {}
        for name in raw_names(self._path):
            listed = before.get(name) or self._meet(name)
            if listed is not None:
                self._files[name] = listed

    def clear(self) -> None:
        """It cannot be listed."""
        self._files = {}

    def _meet(self, name: str) -> Listed | None:
        parsed = parse_name(name)
        return None if parsed is None else Listed(name=parsed, path=self._path / name)
