"""`kilocam export`, `verify` and `reader` on footage made by a generator."""

import json
import re
from pathlib import Path

import pytest
from click.testing import CliRunner
from tests.fakes.footage import T0, FootageSpec, Outage, store_footage

from kilocam.cli.commands.footage import camera_key, export, reader, verify
from kilocam.core import CameraKey, ConfigError, GapCause, KilocamError, format_time
from kilocam.media import open_media
from kilocam.record import log_files

S = 1_000_000


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Twenty seconds of a camera with sound, eight of them missing."""
    folder = tmp_path_factory.mktemp("data")
    outage = Outage(from_s=8, to_s=16, cause=GapCause.TIMED_OUT)
    store_footage(folder / "footage", FootageSpec(seconds=20, sound=True, outages=(outage,)))
    return folder


def arguments(data: Path, file: Path, start_s: float, end_s: float, camera: str) -> list[str]:
    times = [format_time(T0 + round(at * S)) for at in (start_s, end_s)]
    return [f"--data={data}", f"--camera={camera}", f"--from={times[0]}", f"--to={times[1]}",
            f"-o{file}"]  # fmt: skip


def exported(data: Path, file: Path, start_s: float, end_s: float, camera: str = "gate") -> str:
    arguments_ = arguments(data, file, start_s, end_s, camera)
    done = CliRunner().invoke(export, arguments_, catch_exceptions=False)
    assert done.exit_code == 0
    return done.output


def refused(data: Path, file: Path, start_s: float, end_s: float, camera: str = "gate") -> str:
    with pytest.raises(KilocamError) as caught:
        exported(data, file, start_s, end_s, camera)
    assert "\n" not in str(caught.value)
    return str(caught.value)


def test_footage_is_exported_and_described(data: Path, tmp_path: Path) -> None:
    said = exported(data, tmp_path / "out.mp4", 3, 6)
    assert said.startswith(f"{tmp_path}/out.mp4: 40 pictures, ")
    assert "frames of sound from" in said
    media = open_media(tmp_path / "out.mp4")
    assert media.video is not None
    assert media.audio is not None
    assert len(media.video.samples) == 40


def test_what_the_file_lacks_is_told_with_its_reason(data: Path, tmp_path: Path) -> None:
    *_, gap, rest = exported(data, tmp_path / "out.mp4", 3, 30).splitlines()
    times = [format_time(T0 + second * S)[:19] for second in (8, 16, 20, 30)]
    part = re.compile(r"\.\d+Z")  # sound ends a little later than the pictures
    assert part.sub("", gap) == f"missing: {times[0]} to {times[1]} (timed_out)"
    assert part.sub("", rest) == f"missing: {times[2]} to {times[3]} (nothing is recorded)"
    assert "missing" not in exported(data, tmp_path / "whole.mp4", 3, 6)


def test_what_no_mp4_can_hold_is_told(tmp_path: Path) -> None:
    change_us = T0 + 10 * S
    store_footage(tmp_path / "footage", FootageSpec(seconds=10))
    store_footage(tmp_path / "footage", FootageSpec(seconds=10, start_us=change_us, codec="h265"))
    *_, told = exported(tmp_path, tmp_path / "out.mp4", 2, 18).splitlines()
    assert told.startswith(f"missing: what came from {format_time(change_us)} on, in one session")
    assert "sends h265" in told


def test_a_gap_is_named_by_its_cause(data: Path, tmp_path: Path) -> None:
    assert refused(data, tmp_path / "out.mp4", 10, 14) == (
        "camera default/gate: nothing is recorded in this range (timed_out); choose another range"
    )
    assert list(tmp_path.iterdir()) == []


def test_an_unknown_camera_is_told_what_there_is(data: Path, tmp_path: Path) -> None:
    assert refused(data, tmp_path / "out.mp4", 0, 5, "gale") == (
        "camera default/gale: nothing is recorded; check the name, footage exists of: default/gate"
    )


def test_a_time_before_all_footage_is_refused(data: Path, tmp_path: Path) -> None:
    assert refused(data, tmp_path / "out.mp4", -500, -400) == (
        "camera default/gate: nothing is recorded in this range; choose another range"
    )


def test_a_range_that_ends_before_it_starts_is_refused(data: Path, tmp_path: Path) -> None:
    assert "is not before --to" in refused(data, tmp_path / "out.mp4", 5, 2)


def test_an_output_file_is_never_overwritten(data: Path, tmp_path: Path) -> None:
    taken = tmp_path / "out.mp4"
    taken.write_text("mine")
    assert refused(data, taken, 2, 6) == (
        f"output file {taken} exists; remove it or choose another name"
    )
    assert taken.read_text() == "mine"


def test_an_output_folder_that_is_not_there_gets_one_line(data: Path, tmp_path: Path) -> None:
    said = refused(data, tmp_path / "none" / "out.mp4", 2, 6)
    assert f"{tmp_path}/none/out.mp4" in said


def test_a_data_directory_that_is_not_there_gets_one_line(tmp_path: Path) -> None:
    assert refused(tmp_path / "none", tmp_path / "out.mp4", 2, 6) == (
        f"data directory {tmp_path}/none does not exist; name it with --data"
    )


def test_camera_names_may_carry_their_tenant() -> None:
    assert camera_key("gate") == CameraKey("default", "gate")
    assert camera_key("shop/gate") == CameraKey("shop", "gate")
    with pytest.raises(ConfigError, match="camera id 'Gate' is not valid"):
        camera_key("shop/Gate")


def test_verify_finds_one_altered_byte_and_names_camera_and_time(
    data: Path, tmp_path: Path
) -> None:
    (file,) = log_files([data / "footage"])
    whole = CliRunner().invoke(verify, [str(file)])
    assert whole.exit_code == 0
    assert whole.output.startswith("1 files, 0 faults; ")
    assert whole.output.endswith(" whole records in files without any\n")
    altered = tmp_path / file.name
    content = bytearray(file.read_bytes())
    content[len(content) // 2] ^= 1
    altered.write_bytes(content)
    found = CliRunner().invoke(verify, [str(altered)])
    assert found.exit_code == 1
    assert f"{altered} at byte " in found.output
    assert "camera default/gate 20" in found.output


def test_reader_lists_every_record_as_text_and_as_json(data: Path) -> None:
    (file,) = log_files([data / "footage"])
    lines = CliRunner().invoke(reader, [str(file)]).output.splitlines()
    facts = [
        json.loads(line) for line in CliRunner().invoke(reader, [str(file), "--json"]).output
        .splitlines()
    ]  # fmt: skip
    assert len(lines) == len(facts)
    pieces = [fact for fact in facts if fact["camera"] == "default/gate" and fact["packets"]]
    assert sum(piece["frames"] for piece in pieces) == 120
    assert any("key_frame=" in line for line in lines)


def verified(data: Path, *arguments_: str) -> str:
    with pytest.raises(KilocamError) as caught:
        CliRunner().invoke(verify, [f"--data={data}", *arguments_], catch_exceptions=False)
    assert "\n" not in str(caught.value)
    return str(caught.value)


def test_verify_refuses_a_camera_that_nothing_is_stored_of(data: Path) -> None:
    said = (
        "camera default/gale: nothing is recorded; check the name, footage exists of: default/gate"
    )
    assert verified(data, "--camera=gale") == said
    (file,) = log_files([data / "footage"])
    assert verified(data, "--camera=gale", str(file)) == said


def test_verify_names_a_mistyped_camera_in_damaged_files_too(data: Path, tmp_path: Path) -> None:
    (file,) = log_files([data / "footage"])
    altered = tmp_path / file.name
    altered.write_bytes(file.read_bytes()[:-1])
    assert "check the name" in verified(data, "--camera=gale", str(altered))
    assert "check the name" in verified(data, "--camera=gate", str(tmp_path / "gone.kcw"))
    found = CliRunner().invoke(verify, ["--camera=gate", str(altered)])
    assert found.exit_code == 1
    assert " faults; 0 whole records" in found.output


def test_verify_refuses_a_range_in_which_nothing_is_stored(data: Path) -> None:
    early = [format_time(T0 - S * 500), format_time(T0 - S * 400)]
    assert verified(data, "--camera=gate", f"--from={early[0]}", f"--to={early[1]}") == (
        "camera default/gate: nothing is recorded in this range; choose another range"
    )
    assert verified(data, f"--to={early[1]}") == (
        "nothing is recorded in this range; choose another range"
    )


def test_verify_refuses_a_range_that_ends_before_it_starts(data: Path) -> None:
    times = [format_time(T0 + S * 5), format_time(T0 + S * 2)]
    with pytest.raises(ConfigError, match="is not before --to"):
        CliRunner().invoke(
            verify,
            [f"--data={data}", f"--from={times[0]}", f"--to={times[1]}"],
            catch_exceptions=False,
        )


def test_verify_of_a_camera_and_a_range_says_what_it_looked_at(data: Path) -> None:
    times = [format_time(T0), format_time(T0 + S * 5)]
    done = CliRunner().invoke(
        verify, [f"--data={data}", "--camera=gate", f"--from={times[0]}", f"--to={times[1]}"]
    )
    assert done.exit_code == 0
    assert done.output.startswith("1 files, ")


@pytest.mark.parametrize("content", [b"", b"not a log\n" * 99, None])
def test_reader_of_what_is_no_log_says_so(tmp_path: Path, content: bytes | None) -> None:
    file = tmp_path / "holiday.mp4"
    if content is not None:
        file.write_bytes(content)
    said = "cannot be read: No such file" if content is None else "is no log of Kilocam"
    with pytest.raises(KilocamError, match=f"file {file} {said}") as caught:
        CliRunner().invoke(reader, [str(file)], catch_exceptions=False)
    assert not isinstance(caught.value, ConfigError)
