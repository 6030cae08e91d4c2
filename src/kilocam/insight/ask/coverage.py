"""How much of the time an answer rests on: what was recorded, what was looked at, in words.

An answer of "no" is worth as much as the footage behind it, so every answer says what is missing.
"""

from collections.abc import Mapping, Sequence
from typing import Any

from kilocam.core import format_time
from kilocam.insight.ask.tools import ToldTools, ToolRefused
from kilocam.insight.ask.values import CameraCoverage, Gap
from kilocam.insight.ask.wording import clock, counted, listed, share, span

MOST_CAMERAS = 20
"""Whose footage is checked for one answer."""
_MOST_US = 7 * 86_400_000_000
"""What the API tells of at once."""
_HOUR_US = 3_600_000_000
_SHORTEST_US = 500_000
"""A reconnection's hole is longer; a shorter one hides nothing that stays a second."""
_SHOWN_CAMERAS, _SHOWN_GAPS = 8, 4
_FRESH_US = 120_000_000


async def find_coverage(
    tools: ToldTools, cameras: Sequence[str], from_us: int, to_us: int, now_us: int
) -> tuple[CameraCoverage, ...]:
    """What is known of each camera's time; of at most `MOST_CAMERAS`, in their order."""
    if not cameras or to_us <= from_us:
        return ()
    windows = await _windows(tools, cameras[:MOST_CAMERAS], from_us, to_us, now_us)
    return tuple(
        [
            await _camera(tools, camera, from_us, to_us, windows.get(camera, {}))
            for camera in cameras[:MOST_CAMERAS]
        ]
    )


async def _camera(
    tools: ToldTools, camera: str, from_us: int, to_us: int, windows: Mapping[str, int]
) -> CameraCoverage:
    checked_us = max(from_us, to_us - _MOST_US)
    skipped = {reason: many for reason, many in windows.items() if reason != "looked"}
    found: Mapping[str, Any] | None = None
    problem = ""
    if checked_us > from_us:
        problem = f"only the last days, from {clock(checked_us)} on, were checked"
    try:
        found = await tools.call(
            "get_footage",
            {"id": camera, "from": format_time(checked_us), "to": format_time(to_us)},
        )
    except ToolRefused as error:
        problem = f"what was recorded could not be asked: {error}"
    gaps = [
        Gap(start=gap["start"], end=gap["end"], cause=gap["cause"])
        for gap in (found["gaps"] if found else ())
        if span(gap["start"], gap["end"]) >= _SHORTEST_US
    ]
    return CameraCoverage(
        camera=camera,
        start=format_time(checked_us),
        end=format_time(to_us),
        recorded=found["coverage"] if found else None,
        gaps=tuple(gaps),
        looked=windows.get("looked", 0),
        skipped=skipped,
        problem=problem,
    )


async def _windows(
    tools: ToldTools, cameras: Sequence[str], from_us: int, to_us: int, now_us: int
) -> dict[str, dict[str, int]]:
    """Windows of each camera by outcome, of the whole hours that the time touches."""
    after_us = -(-to_us // _HOUR_US) * _HOUR_US
    found = await _since(tools, cameras, from_us)
    later = await _since(tools, cameras, after_us) if after_us <= now_us else {}
    for camera, windows in later.items():
        for outcome, many in windows.items():
            mine = found.setdefault(camera, {})
            mine[outcome] = max(0, mine.get(outcome, 0) - many)
    return found


async def _since(
    tools: ToldTools, cameras: Sequence[str], from_us: int
) -> dict[str, dict[str, int]]:
    given = {"camera": ",".join(cameras), "from": format_time(from_us)}
    answer = await tools.call("show_analysis", given)
    return {
        each["camera"]: {"looked": each["looked"], **each["skipped"]} for each in answer["cameras"]
    }


def is_whole(found: Sequence[CameraCoverage], cameras: int) -> bool:
    """Everything was recorded, and looked at or passed over as quiet; of all the cameras."""
    return bool(found) and len(found) == cameras and all(each.whole for each in found)


def missing(found: Sequence[CameraCoverage], cameras: int) -> str:
    """What an answer of "no" leaves open, in one clause; empty: nothing."""
    parts = []
    for each in found:
        if each.gaps:
            parts.append(f"{each.camera} was dark {_gaps(each.gaps)}")
        if each.problem:
            parts.append(f"of {each.camera} {each.problem}")
        if not each.gaps and not each.problem and not each.whole:
            unseen = sum(each.unseen.values())
            parts.append(
                f"{counted(unseen, 'window')} of {each.camera} {'was' if unseen == 1 else 'were'} "
                "not looked at"
                if unseen
                else f"nothing of {each.camera} is known to have been looked at"
            )
    if cameras > len(found):
        parts.append(
            f"the footage of {counted(cameras - len(found), 'more camera')} was not checked"
        )
    shown = parts[:_SHOWN_CAMERAS]
    if len(parts) > len(shown):
        shown.append(f"{len(parts) - len(shown)} more such things, see `cameras`")
    return listed(shown)


def coverage_text(
    found: Sequence[CameraCoverage], cameras: int, from_us: int, to_us: int, now_us: int
) -> str:
    """The statement that goes with every answer."""
    if not cameras:
        return "There is no camera, so there is no footage that an answer could rest on."
    if not found:
        return "The time asked for has not begun, so there is no footage of it."
    lines = [f"Checked: {clock(from_us)} to {clock(min(to_us, now_us))} UTC."]
    lines += [_line(each) for each in found[:_SHOWN_CAMERAS]]
    rest = found[_SHOWN_CAMERAS:]
    if rest:
        bad = sum(not each.whole for each in rest)
        lines.append(
            f"{counted(len(rest), 'more camera')}: {bad or 'none'} with something missing."
        )
    if cameras > len(found):
        lines.append(f"{counted(cameras - len(found), 'camera')} not checked.")
    if to_us >= now_us - _FRESH_US:
        lines.append("Of the last minutes not everything may have been looked at yet.")
    return " ".join(lines)


def _line(each: CameraCoverage) -> str:
    if each.recorded is None:
        recorded = each.problem
    else:
        recorded = f"{share(each.recorded)} recorded"
        if each.gaps:
            recorded += f", dark {_gaps(each.gaps)}"
        if each.problem:
            recorded += f", {each.problem}"
    quiet = each.skipped.get("quiet", 0)
    offered = each.looked + sum(each.skipped.values())
    if not offered:
        return f"{each.camera}: {recorded}; no window of it was offered to analysis."
    unseen = listed([f"{reason} {many}" for reason, many in sorted(each.unseen.items()) if many])
    return (
        f"{each.camera}: {recorded}; of {counted(offered, 'window')} in those hours {each.looked} "
        f"looked at, {quiet} passed over as quiet"
        + (f", not looked at: {unseen}." if unseen else ", none left out.")
    )


def _gaps(gaps: Sequence[Gap]) -> str:
    longest = sorted(gaps, key=lambda gap: -span(gap.start, gap.end))[:_SHOWN_GAPS]
    shown = [
        f"{clock(gap.start)} to {clock(gap.end)} ({gap.cause})"
        for gap in sorted(longest, key=lambda gap: gap.start)
    ]
    if len(gaps) > len(shown):
        shown.append(f"{len(gaps) - len(shown)} shorter times")
    return listed(shown)
