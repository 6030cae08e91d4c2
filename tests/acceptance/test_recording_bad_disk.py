"""Two disks, of which one cannot be used: `kilocam up` records on the other."""

from pathlib import Path

from bench.recording import EVER, cameras, recorder, until

from kilocam.core import CameraKey
from kilocam.media import PatternSpec
from kilocam.record import Archive
from kilocam.simulate import Group


def test_a_bad_storage_path_of_two_does_not_stop_recording(tmp_path: Path) -> None:
    bad, good = tmp_path / "bad", tmp_path / "good"
    bad.touch()  # a file where a directory should be
    extra = f"[storage]\npath = ['{bad}', '{good}']\n"
    source = PatternSpec(width=160, height=96, seconds=2)
    with (
        cameras([Group(count=1, source=source)], tmp_path) as playing,
        recorder(tmp_path, [playing.url(0)], extra=extra) as recording,
    ):
        recording.wait_recording(1)
        archive, key = Archive([bad, good]), CameraKey("default", "cam0")
        until(lambda: archive.spans(key, *EVER), 30, "footage on the other disk")
    assert "it or a parent is a file" in (tmp_path / "recorder.log").read_text()
