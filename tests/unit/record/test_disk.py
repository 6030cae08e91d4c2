from pathlib import Path

import pytest

from kilocam.record.disk import Disk


class Noting(Disk):
    """Says which directory was made durable, and what it held then."""

    def __init__(self) -> None:
        self.seen: list[tuple[Path, list[str]]] = []

    def sync_directory(self, directory: Path) -> None:
        self.seen.append((directory, [file.name for file in directory.iterdir()]))
        super().sync_directory(directory)


def test_a_new_name_is_durable_before_it_counts(tmp_path: Path) -> None:
    disk = Noting()
    (tmp_path / "old").touch()
    disk.rename(tmp_path / "old", tmp_path / "new")
    assert disk.seen == [(tmp_path, ["new"])]


def test_a_file_made_twice_is_refused(tmp_path: Path) -> None:
    disk = Disk()
    fd = disk.create(tmp_path / "file")
    with pytest.raises(FileExistsError):
        disk.create(tmp_path / "file")
    disk.close(fd)
