"""Daily partitions of this room's tables: made ahead or when asked for, dropped with the footage.

Control's work, for nobody else may make a table. Days around now are made in advance, so control
may be away for `DAYS_AHEAD` days before anybody has to wait. A clock that was wrong dates footage
anywhere: whoever meets such a window asks for its day through the outbox (`ask_for_day`).
"""

from collections.abc import Mapping
from datetime import UTC, date, datetime, timedelta
from functools import lru_cache

from kilocam.database import SYSTEM, ControlDatabase, Database, Place, load_queries

TABLES = (
    "window_state", "window_count", "stage_count", "contribution", "event", "rule_hit", "likeness",
    "withdrawal",
)  # fmt: skip
DAYS_BEHIND = 1
"""Windows are told of for an hour, and a tracked object may be older."""
DAYS_AHEAD = 4
ASK_TOPIC = "insight-day"
"""The outbox's topic for a day that somebody needs."""
_DAY_US = 86_400_000_000
_FIRST, _LAST = date(1970, 1, 1), date(2999, 12, 31)


def day_of(wall_us: int) -> datetime:
    """The UTC day a moment lies in."""
    moment = datetime.fromtimestamp(wall_us / 1e6, UTC)
    return moment.replace(hour=0, minute=0, second=0, microsecond=0)


def start_of(day: date) -> int:
    """The moment a UTC day begins, in microseconds."""
    return (day - _FIRST).days * _DAY_US


def possible_day(wall_us: int) -> date | None:
    """The UTC day a moment lies in; None for what no clock shows, before 1970 or after 2999."""
    return _possible_day(wall_us // _DAY_US)


@lru_cache(maxsize=64)
def _possible_day(since_1970: int) -> date | None:
    """Asked for hundreds of windows a second, nearly all of one day."""
    if not 0 <= since_1970 <= (_LAST - _FIRST).days:
        return None
    return _FIRST + timedelta(days=since_1970)


async def make_days(control: ControlDatabase, now_us: int) -> None:
    """Makes the partitions around now that are missing, wherever tenants live."""
    today = day_of(now_us).date()
    for offset in range(-DAYS_BEHIND, DAYS_AHEAD + 1):
        await _make(control, today + timedelta(days=offset))


async def ask_for_day(database: Database, day: date) -> None:
    """Asks control for the partitions of a day; they come within seconds while it is there."""
    async with database.for_tenant(SYSTEM) as transaction:
        await transaction.execute(_sql("tell"), SYSTEM, ASK_TOPIC, [{"day": day.isoformat()}])


async def make_day_asked_for(
    control: ControlDatabase, tenant: str, topic: str, body: Mapping[str, object]
) -> bool:
    """Makes the day that a message of the outbox asks for; false when it asks for none.

    Only the installation itself may ask: a tenant's own messages make no tables.
    """
    if (tenant, topic) != (SYSTEM, ASK_TOPIC):
        return False
    await _make(control, date.fromisoformat(str(body["day"])))
    return True


async def drop_days(control: ControlDatabase, before_us: int) -> list[str]:
    """Drops the days that lie wholly before a moment; gives the names of what went."""
    before = day_of(before_us).date().isoformat()
    return [
        name for place in await control.places() for name in await _drop(control, place, before)
    ]


async def _make(control: ControlDatabase, day: date) -> None:
    for place in await control.places():
        for table in TABLES:
            await control.make_partition(place, table, day.isoformat())


async def _drop(control: ControlDatabase, place: Place, before: str) -> list[str]:
    dropped: list[str] = []
    for table in TABLES:
        async with control.everything(place) as transaction:
            rows = await transaction.fetch(_sql("drop_days"), table, before)
        dropped += [row["drop_days"] for row in rows]
    return dropped


def _sql(name: str) -> str:
    return load_queries("kilocam.insight")[name]
