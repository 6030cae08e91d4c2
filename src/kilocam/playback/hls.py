"""HLS playlists (RFC 8216) of footage: fragmented MP4, cut as `plan.py` says.

Playlists are private to who asked; the segments they name are not, each link carries its own
capability.
"""

from collections.abc import Callable
from math import ceil

from kilocam.core import format_time
from kilocam.playback.plan import Plan, Segment
from kilocam.playback.segments import init_name

CONTENT_TYPE = "application/vnd.apple.mpegurl"
_LEAST_TARGET_S = 6
"""Shown from the start, so that a growing playlist need not change it."""


def playlist(plan: Plan, from_us: int, link: Callable[[str], str]) -> str:
    """The playlist of a plan.

    Args:
        plan: the segments.
        from_us: where playing should begin.
        link: the URL of a segment or init segment by its name.
    """
    longest = max((ceil(segment.seconds) for segment in plan.segments), default=0)
    lines = [
        "#EXTM3U",
        "#EXT-X-VERSION:7",
        f"#EXT-X-TARGETDURATION:{max(longest, _LEAST_TARGET_S)}",
        "#EXT-X-MEDIA-SEQUENCE:0",
        f"#EXT-X-PLAYLIST-TYPE:{'VOD' if plan.complete else 'EVENT'}",
        "#EXT-X-INDEPENDENT-SEGMENTS",
    ]
    if plan.segments:
        offset = max(0.0, (from_us - plan.segments[0].name.start_us) / 1_000_000)
        lines.append(f"#EXT-X-START:TIME-OFFSET={offset:.6f},PRECISE=YES")
    before: Segment | None = None
    for segment in plan.segments:
        lines += _entry(segment, before, link)
        before = segment
    if plan.complete:
        lines.append("#EXT-X-ENDLIST")
    return "\n".join(lines) + "\n"


def _entry(segment: Segment, before: Segment | None, link: Callable[[str], str]) -> list[str]:
    lines = []
    if before is not None and not segment.follows:
        lines.append("#EXT-X-DISCONTINUITY")
    if before is None or not segment.same_init(before):
        lines.append(f'#EXT-X-MAP:URI="{link(init_name(segment))}"')
    lines.append(f"#EXT-X-PROGRAM-DATE-TIME:{format_time(segment.name.start_us)}")
    lines.append(f"#EXTINF:{segment.seconds:.6f},")
    lines.append(link(str(segment.name)))
    return lines
