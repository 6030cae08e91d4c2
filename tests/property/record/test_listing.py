"""A listing finds the files of a stretch of time as asking each of them would."""

from pathlib import Path

from hypothesis import given
from hypothesis import strategies as st

from kilocam.record.listing import Directory, Listed, Listing
from kilocam.record.names import FileName

MOMENTS = st.integers(-50, 50)


@st.composite
def files(draw: st.DrawFn) -> list[Listed]:
    def one() -> Listed:
        sealed, first = draw(st.booleans()), draw(MOMENTS)
        name = FileName(
            created_us=draw(st.integers(0, 5)),
            recorder=draw(st.sampled_from(["r0", "r0-a", "r1"])),
            keep_s=draw(st.integers(1, 20)),
            first_us=first if sealed else 0,
            last_us=first + draw(st.integers(0, 100)) if sealed else 0,
            sealed=sealed,
        )
        return Listed(name=name, path=Path("log") / str(name))

    return [one() for _ in range(draw(st.integers(0, 12)))]


@given(files(), MOMENTS, MOMENTS)
def test_the_files_of_a_stretch_are_those_that_reach_into_it(
    given_files: list[Listed], from_us: int, to_us: int
) -> None:
    listing = Listing(given_files)
    in_order = sorted(given_files, key=lambda listed: listed.name)
    assert [one.name for one in listing.files] == [one.name for one in in_order]
    assert set(listing.active) == {one for one in given_files if not one.name.sealed}
    reaching = [
        one.name
        for one in in_order
        if one.name.sealed and one.name.first_us < to_us and one.name.last_us >= from_us
    ]
    assert [one.name for one in listing.sealed(from_us, to_us)] == reaching


def test_a_directory_keeps_what_it_knows_of_files_that_stay(tmp_path: Path) -> None:
    def put(number: int) -> Path:
        file = tmp_path / str(FileName(created_us=number, recorder="r0", keep_s=1))
        file.touch()
        return file

    directory = Directory(tmp_path)
    first = put(1)
    (tmp_path / "notes.txt").touch()
    directory.refresh()
    [known] = directory.files
    assert known.path == first
    second = put(2)
    directory.refresh()
    assert {one.path for one in directory.files} == {first, second}
    assert any(one is known for one in directory.files)
    first.unlink()
    directory.refresh()
    assert [one.path for one in directory.files] == [second]
