"""Daily partitions of this room's tables: made ahead of time, dropped with the footage.

Control's work. A window whose day has no partition cannot be written, so some days are made in
advance: control may be away for `DAYS_AHEAD` days before anybody has to wait.
"""

from datetime import UTC, datetime, timedelta

from kilocam.database import ControlDatabase, Place, load_queries

TABLES = ("window_state", "window_count", "contribution", "event")
DAYS_BEHIND = 1
"""Windows are told of for an hour, and a tracked object may be older."""
DAYS_AHEAD = 4


def day_of(wall_us: int) -> datetime:
    """The UTC day a moment lies in."""
    moment = datetime.fromtimestamp(wall_us / 1e6, UTC)
    return moment.replace(hour=0, minute=0, second=0, microsecond=0)


async def make_days(control: ControlDatabase, now_us: int) -> None:
    """Makes the partitions around now that are missing, wherever tenants live."""
    today = day_of(now_us)
    for place in await control.places():
        for offset in range(-DAYS_BEHIND, DAYS_AHEAD + 1):
            day = (today + timedelta(days=offset)).date().isoformat()
            for table in TABLES:
                await control.make_partition(place, table, day)


async def drop_days(control: ControlDatabase, before_us: int) -> list[str]:
    """Drops the days that lie wholly before a moment; gives the names of what went."""
    before = day_of(before_us).date().isoformat()
    return [
        name for place in await control.places() for name in await _drop(control, place, before)
    ]


async def _drop(control: ControlDatabase, place: Place, before: str) -> list[str]:
    dropped: list[str] = []
    for table in TABLES:
        async with control.everything(place) as transaction:
            rows = await transaction.fetch(
                load_queries("kilocam.insight")["drop_days"], table, before
            )
        dropped += [row["drop_days"] for row in rows]
    return dropped
