"""Packets of NAL units in the order sent, and what a depacketizer makes of them."""

from collections.abc import Container

from kilocam.rtsp import AccessUnit
from kilocam.rtsp.depacketize import Depacketizer

Packets = list[tuple[bytes, int, bool]]
"""Payload, timestamp, marker."""


def gather(
    depacketizer: Depacketizer, packets: Packets, missing: Container[int] = frozenset()
) -> list[AccessUnit]:
    """All access units of packets, some of which (by number) were lost."""
    units: list[AccessUnit] = []
    lost = 0
    for number, (payload, ts, marker) in enumerate(packets):
        if number in missing:
            lost += 1
            continue
        units += depacketizer.push(payload, ts, marker=marker, lost=lost)
        lost = 0
    return units + depacketizer.flush()


def shape(units: list[AccessUnit]) -> list[tuple[int, tuple[bytes, ...], bool]]:
    """Times, NAL units, and what is damaged."""
    return [(unit.ts, unit.units, unit.damaged) for unit in units]
