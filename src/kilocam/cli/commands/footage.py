"""Commands on stored footage: `export`, `verify`, `reader`."""

import contextlib
import json
from collections.abc import Iterator
from pathlib import Path

import click

from kilocam.cli.data import DataDir
from kilocam.cli.installation import Installation
from kilocam.core import (
    CameraKey,
    ConfigError,
    Gap,
    KilocamError,
    PieceFlag,
    Span,
    check_id,
    format_time,
    parse_time,
)
from kilocam.core.settings import load_settings
from kilocam.playback import Exported, Library, NotPlayable, Range, playable
from kilocam.playback import export as write_mp4
from kilocam.ranges import SocketLiveView
from kilocam.record import (
    Archive,
    Damage,
    FileOk,
    RecordLine,
    list_records,
    log_files,
    verify_files,
)

FILE = click.Path(path_type=Path, dir_okay=False)
_MOST_TOLD = 20
_SLACK_US = 1_000_000
"""A range does not begin and end on a picture."""


def installation(data: Path, config: Path | None) -> Installation:
    """The installation whose files lie in `data`; the directory must exist.

    Raises:
        ConfigError: it does not.
    """
    if not data.is_dir():
        raise ConfigError(f"data directory {data} does not exist; name it with --data")
    return Installation(DataDir(data), load_settings(config))


def camera_key(text: str) -> CameraKey:
    """`camera`, or `tenant/camera`; the tenant is `default` unless named.

    Raises:
        ConfigError: it cannot be a camera's name.
    """
    tenant, _, camera = text.rpartition("/")
    return CameraKey(check_id("tenant", tenant or "default"), check_id("camera", camera))


class ExportError(KilocamError):
    """There is nothing to export."""


class VerifyError(KilocamError):
    """There is nothing to verify."""


class ReaderError(KilocamError):
    """A file cannot be listed."""


@click.command()
@click.option("--camera", required=True, help="CAMERA or TENANT/CAMERA.")
@click.option("--from", "start", required=True, help="Such as 2026-11-23T21:40:14Z.")
@click.option("--to", "end", required=True, help="Up to this time.")
@click.option("-o", "--output", required=True, type=FILE, help="FILE.mp4; must not exist.")
@click.option("--data", type=click.Path(path_type=Path), default=Path("data"), show_default=True)
@click.option("--config", type=FILE)
def export(
    *, camera: str, start: str, end: str, output: Path, data: Path, config: Path | None
) -> None:
    """Write footage to an MP4 file, from the key frame at or before the start on.

    Every picture and sound that was received is in it, as the camera sent it.
    """
    wanted = Range(key=camera_key(camera), from_us=parse_time(start), to_us=parse_time(end))
    if wanted.from_us >= wanted.to_us:
        raise ConfigError(f"--from {start} is not before --to {end}; give an earlier start")
    if output.exists():
        raise ConfigError(f"output file {output} exists; remove it or choose another name")
    found = installation(data, config)
    archive = Archive(found.footage, SocketLiveView(sorted(found.data.run.glob("*.sock"))))
    spans, gaps = archive.coverage(wanted.key, wanted.from_us, wanted.to_us)
    if not spans:
        raise _nothing(archive, wanted, gaps)
    for line in [
        *_told(write_mp4(Library(archive), wanted, output)),
        *_missing(wanted, spans, gaps),
        *_unplayable(archive, wanted),
    ]:
        click.echo(line)


def _nothing(archive: Archive, wanted: Range, gaps: list[Gap]) -> ExportError:
    """Why there is nothing."""
    what = f"camera {wanted.key}: nothing is recorded"
    if gaps:
        causes = sorted({_why(gap) for gap in gaps})
        return ExportError(f"{what} in this range ({'; '.join(causes)}); choose another range")
    known = archive.keys()
    if wanted.key not in known:
        names = ", ".join(map(str, known[:10])) or "none"
        return ExportError(f"{what}; check the name, footage exists of: {names}")
    return ExportError(f"{what} in this range; choose another range")


def _missing(wanted: Range, spans: list[Span], gaps: list[Gap]) -> list[str]:
    """What of the range is not in the file, and why."""
    missing = [(gap.start_us, gap.end_us, _why(gap)) for gap in gaps]
    known = [(each.start_us, each.end_us) for each in spans]
    known += [(each.start_us, each.end_us) for each in gaps]
    first, last = min(start for start, _ in known), max(end for _, end in known)
    if first - wanted.from_us > _SLACK_US:
        missing.insert(0, (wanted.from_us, first, "nothing is recorded"))
    if wanted.to_us - last > _SLACK_US:
        missing.append((last, wanted.to_us, "nothing is recorded"))
    lines = [
        f"missing: {format_time(start)} to {format_time(end)} ({why})"
        for start, end, why in missing[:_MOST_TOLD]
    ]
    if len(missing) > _MOST_TOLD:
        lines.append(f"missing: {len(missing) - _MOST_TOLD} more stretches")
    return lines


def _unplayable(archive: Archive, wanted: Range) -> Iterator[str]:
    """Sessions of the range that no MP4 of ours can hold."""
    for session in archive.sessions(wanted.key, wanted.from_us, wanted.to_us):
        try:
            playable(session)
        except NotPlayable as error:
            start_us = max(session.started_us, wanted.from_us)
            yield f"missing: what came from {format_time(start_us)} on, in one session: {error}"


def _why(gap: Gap) -> str:
    return f"{gap.cause}: {gap.detail}" if gap.detail else gap.cause


def _told(done: Exported) -> list[str]:
    lines = [
        f"{done.file}: {done.pictures} pictures, {done.sounds} frames of sound "
        f"from {format_time(done.start_us)} on"
    ]
    if done.damaged:
        lines.append(f"{done.damaged} pictures are damaged: packets of them were lost")
    if done.before_key:
        lines.append(f"{done.before_key} pictures before the first key frame are left out")
    lines += [f"left out: {text}" for text in done.left_out]
    return lines


@click.command()
@click.argument("files", nargs=-1, type=FILE)
@click.option("--camera", help="CAMERA or TENANT/CAMERA; default: all.")
@click.option("--from", "start", help="From this time, such as 2026-11-23T21:40:14Z.")
@click.option("--to", "end", help="Up to this time.")
@click.option("--data", type=click.Path(path_type=Path), default=Path("data"), show_default=True)
@click.option("--config", type=FILE)
@click.pass_context
def verify(
    context: click.Context,
    files: tuple[Path, ...],
    *,
    camera: str | None,
    start: str | None,
    end: str | None,
    data: Path,
    config: Path | None,
) -> None:
    """Check that no stored record was altered; of all footage, or of FILES.

    Exits with 1 and names the damaged range if anything differs.
    """
    key = camera_key(camera) if camera else None
    from_us, to_us = (parse_time(text) if text else None for text in (start, end))
    if from_us is not None and to_us is not None and from_us >= to_us:
        raise ConfigError(f"--from {start} is not before --to {end}; give an earlier start")
    chosen = list(files) or log_files(installation(data, config).footage)
    looked: set[Path] = set()
    damaged = records = wanted = 0
    for result in verify_files(chosen, key, from_us, to_us):
        looked.add(result.file)
        if isinstance(result, FileOk):
            records += result.records
            wanted += result.wanted
        else:
            damaged += 1
            click.echo(_damage(result))
    if (key or start or end) and not wanted:
        _check_verified(chosen, key, damaged=bool(damaged))
    told = f"{len(looked)} files, {damaged} faults"
    click.echo(f"{told}; {records} whole records in files without any")
    if damaged:
        context.exit(1)


def _check_verified(files: list[Path], key: CameraKey | None, *, damaged: bool) -> None:
    """Say why no whole file had what was asked for: a name mistyped must not pass for footage."""
    known = {key for file in files for key in _cameras_in(file)}
    if key is not None and key not in known:
        names = ", ".join(map(str, sorted(known)[:10])) or "none"
        raise VerifyError(
            f"camera {key}: nothing is recorded; check the name, footage exists of: {names}"
        )
    if not damaged:
        what = "nothing" if key is None else f"camera {key}: nothing"
        raise VerifyError(f"{what} is recorded in this range; choose another range")


def _cameras_in(file: Path) -> set[CameraKey]:
    with contextlib.suppress(OSError):  # told of as damaged already
        return {line.header.key for line in list_records(file) if line.header.tenant}
    return set()


def _damage(damage: Damage) -> str:
    where = f"{damage.file} at byte {damage.offset}: {damage.reason}"
    if damage.key is None:
        return where
    times = [format_time(us) for us in (damage.from_us, damage.to_us) if us is not None]
    return f"{where}; camera {damage.key} {' to '.join(times)}"


@click.command()
@click.argument("file", type=FILE)
@click.option("--json", "as_json", is_flag=True, help="One JSON object a line.")
def reader(file: Path, *, as_json: bool) -> None:
    """List the records of a log FILE (.kcw)."""
    for line in _records(file):
        header = line.header
        times = [format_time(us) if us else None for us in (header.wall_us, header.key_us)]
        facts = {
            "offset": line.offset,
            "kind": line.kind,
            "camera": f"{header.tenant}/{header.camera}",
            "session": header.session,
            "time": times[0],
            "bytes": line.length,
            "packets": header.packets,
            "frames": header.frames,
            "key_frame": times[1],
            "flags": PieceFlag(header.flags).name or "",
        }
        if as_json:
            click.echo(json.dumps(facts))
        else:
            click.echo(" ".join(f"{name}={value}" for name, value in facts.items() if value))


def _records(file: Path) -> Iterator[RecordLine]:
    """The records of a file; an error where it has none."""
    lines = list_records(file)
    try:
        first = next(lines, None)
    except OSError as error:
        raise ReaderError(f"file {file} cannot be read: {error.strerror}") from None
    if first is None:
        raise ReaderError(
            f"file {file} is no log of Kilocam: there is no record in it; logs end in .kcw"
        )
    yield first
    yield from lines
