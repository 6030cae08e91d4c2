"""Each line a person gets about a data path is quoted here."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from kilocam.core import ConfigError
from kilocam.record.names import (
    FileName,
    check_recorder,
    list_names,
    log_files,
    parse_name,
    prepare_path,
    prepare_paths,
)

OPEN = FileName(created_us=1_774_550_000_000_000, recorder="r0", keep_s=604_800)
SEALED = FileName(
    created_us=1_774_550_000_000_001,
    recorder="edge-1",
    keep_s=60,
    first_us=1_774_550_000_000_000,
    last_us=1_774_550_060_000_000,
    sealed=True,
)


@pytest.mark.parametrize("name", [OPEN, SEALED])
def test_a_name_is_read_back(name: FileName) -> None:
    assert parse_name(str(name)) == name


@pytest.mark.parametrize(
    "name", ["", "log-version", "x.kcw", "1_r0_60.kcw.open", "1774550000000000_R_60.kcw.open"]
)
def test_other_files_are_not_the_logs(name: str) -> None:
    assert parse_name(name) is None


def test_files_are_listed_oldest_first_over_all_paths(tmp_path: Path) -> None:
    one, two = tmp_path / "one", tmp_path / "two"
    prepare_path(one)
    prepare_path(two)
    (one / str(SEALED)).touch()
    (two / str(OPEN)).touch()
    assert log_files([one, two]) == [two / str(OPEN), one / str(SEALED)]
    assert list_names(tmp_path / "nowhere") == []


def test_a_path_is_made_and_marked_with_its_version(tmp_path: Path) -> None:
    prepare_path(tmp_path / "a" / "b")
    prepare_path(tmp_path / "a" / "b")
    assert (tmp_path / "a" / "b" / "log-version").read_text() == "1\n"


def line(path: Path) -> str:
    with pytest.raises(ConfigError) as refused:
        prepare_path(path)
    return str(refused.value).replace(str(path), "PATH")


def test_a_file_in_the_way(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    expected = (
        "storage path PATH: it or a parent is a file, not a directory; "
        "move the file away or set storage.path to a directory"
    )
    assert line(tmp_path / "file") == expected
    assert line(tmp_path / "file" / "below") == expected


def test_a_path_of_a_newer_version_is_not_touched(tmp_path: Path) -> None:
    (tmp_path / "log-version").write_text("2\n")
    assert line(tmp_path) == (
        "storage path PATH: written by a newer Kilocam (log version 2, this one knows 1); "
        "run that Kilocam or set storage.path to another directory"
    )
    assert [file.name for file in tmp_path.iterdir()] == ["log-version"]


def test_a_version_that_is_none(tmp_path: Path) -> None:
    (tmp_path / "log-version").write_text("tomorrow")
    assert line(tmp_path) == (
        "storage path PATH: log-version holds 'tomorrow', not a version; "
        "restore it or set storage.path to another directory"
    )


def test_of_several_paths_one_that_can_be_used_is_enough(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    prepare_paths([tmp_path / "file", tmp_path / "good"])
    assert (tmp_path / "good" / "log-version").exists()


def test_several_paths_of_which_none_can_be_used_are_one_line(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    (tmp_path / "other").touch()
    with pytest.raises(ConfigError, match="file: it or a parent is a file"):
        prepare_paths([tmp_path / "file", tmp_path / "other"])


def test_a_path_that_does_not_answer_is_one_line(tmp_path: Path) -> None:
    version = tmp_path / "log-version"
    os.mkfifo(version)  # reading it hangs
    with pytest.raises(ConfigError, match="it does not answer; mount it"):
        prepare_paths([tmp_path], 0.1)
    pipe = os.open(version, os.O_RDWR | os.O_NONBLOCK)
    os.write(pipe, b"1\n")
    os.close(pipe)


def python(code: str) -> str:
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    return found.stdout.strip()


def test_a_path_without_permission(tmp_path: Path) -> None:
    (tmp_path / "closed").mkdir(mode=0o555)
    for parent in (tmp_path, *tmp_path.parents):
        if os.geteuid() == 0 and parent.stat().st_mode & 0o005 != 0o005:
            os.chmod(parent, parent.stat().st_mode | 0o055)  # noqa: PTH101 - pytest's own
        if parent.name.startswith("pytest-of"):
            break
    said = python(
        "import os\n"
        "from pathlib import Path\n"
        "from kilocam.core import ConfigError\n"
        "from kilocam.record.names import prepare_path\n"
        "if os.geteuid() == 0: os.setuid(65534)  # root's permissions hide the case\n"
        f"try: prepare_path(Path({str(tmp_path / 'closed')!r}))\n"
        "except ConfigError as error: print(error)\n"
    )
    user = 65534 if os.geteuid() == 0 else os.geteuid()
    assert said == (
        f"storage path {tmp_path / 'closed'}: no permission to write there as user {user}; "
        "change its owner or mode, or set storage.path to another directory"
    )


def test_a_recorder_name_that_would_break_file_names() -> None:
    with pytest.raises(ConfigError, match="recorder name 'a_b' is not valid: use 1 to 32"):
        check_recorder("a_b")
