"""What senses add to events: replaced sense by sense, and folded into the events again.

An event is nothing but the fold of all contributions with its id, so whoever replaces what one
window added and folds what was touched gets the same rows in any order of any number of writes.
"""

from collections.abc import Sequence
from dataclasses import fields
from enum import StrEnum

from kilocam.core import Window
from kilocam.database import Row, Transaction, load_queries
from kilocam.insight.finding import plan_each_time
from kilocam.insight.seams import ObjectSeen
from kilocam.insight.values import ChangeKind, EventChange

TOPIC = "insights"
"""The outbox's topics are `insights.<camera>`."""


class Sense(StrEnum):
    """By what a contribution came to be; each replaces its own alone."""

    SEEN = "seen"
    READ = "read"
    HEARD = "heard"


async def replace_contributions(
    transaction: Transaction, window: Window, sense: Sense, objects: Sequence[ObjectSeen]
) -> None:
    """What `sense` adds by this window is `objects` and nothing else; events and outbox follow."""
    at = (window.tenant, window.camera, window.start_us)
    lost = await transaction.fetch(_sql("drop_contributions"), *at, sense)
    await add_contributions(transaction, window, sense, objects, lost)


async def add_contributions(
    transaction: Transaction,
    window: Window,
    sense: Sense,
    objects: Sequence[ObjectSeen],
    lost: Sequence[Row],
) -> Sequence[str]:
    """The same once what `sense` added before is taken away; `lost` are the events it was of.

    Gives the ids of the events that were made again, or are gone.
    """
    at = (window.tenant, window.camera, window.start_us)
    touched = sorted({row["id"] for row in lost} | {seen.event_id for seen in objects})
    if not touched:
        return touched
    if objects:
        rows = [(*at, sense, *_contribution(seen)) for seen in objects]
        await transaction.execute_many(_sql("put_contribution"), rows)
    before, after = await _fold(transaction, window.tenant, touched)
    await tell_changes(transaction, window.camera, changes_between(window.tenant, before, after))
    return touched


async def add_many(
    transaction: Transaction, tenant: str, sense: Sense, added: Sequence[tuple[Window, ObjectSeen]]
) -> None:
    """What many windows of one tenant add by one sense, of which nothing is known by it yet.

    An event is made again once, and told of once, however many of them add to it.
    """
    if not added:
        return
    await plan_each_time(transaction)
    ids = sorted({seen.event_id for _, seen in added})
    known = {row["id"] for row in await transaction.fetch(_sql("known"), tenant, ids)}
    rows = [(window.camera, window.start_us, *_contribution(seen)) for window, seen in added]
    columns = map(list, zip(*rows, strict=True))
    await transaction.execute(_sql("put_contributions"), tenant, sense, *columns)
    before, after = await _fold(transaction, tenant, sorted(known))
    if new := [id_ for id_ in ids if id_ not in known]:
        starts = [window.start_us for window, _ in added]
        between = (min(starts), max(starts))
        after += await transaction.fetch(_sql("fold_events"), tenant, new, [], [], [], *between)
    if bodies := _bodies(changes_between(tenant, before, after)):
        await transaction.execute(_sql("tell_of_cameras"), tenant, TOPIC, bodies)


async def _fold(
    transaction: Transaction, tenant: str, touched: Sequence[str]
) -> tuple[list[Row], list[Row]]:
    """Make events again from their contributions; gives them as they were and as they are."""
    if not touched:
        return [], []
    before = await transaction.fetch(_sql("drop_events"), tenant, touched)
    described = [row for row in before if row["description"]]
    kept = ([row[name] for row in described] for name in ("id", "description", "described_by"))
    after = await transaction.fetch(_sql("fold_events"), tenant, touched, *kept, None, None)
    left = {row["id"] for row in after}
    if gone := [row for row in before if row["id"] not in left]:
        await _withdraw(transaction, tenant, gone)
    return before, after


async def _withdraw(transaction: Transaction, tenant: str, gone: Sequence[Row]) -> None:
    ids = [row["id"] for row in gone]
    await transaction.execute(_sql("drop_likeness"), tenant, ids, None)
    await transaction.execute(
        _sql("withdraw"), tenant, ids,
        *([row[name] for row in gone] for name in ("start_us", "camera", "label")),
    )  # fmt: skip


async def tell_changes(
    transaction: Transaction, camera: str, changes: Sequence[EventChange]
) -> None:
    """Put what happened to a camera's events into the outbox."""
    if changes:
        tenant, topic = changes[0].tenant, f"{TOPIC}.{camera}"
        await transaction.execute(_sql("tell"), tenant, topic, _bodies(changes))


def _bodies(changes: Sequence[EventChange]) -> list[dict[str, object]]:
    # Not `asdict`, which copies each value deeply and takes a tenth of a window's writing.
    names = [field.name for field in fields(EventChange)]
    return [{name: getattr(change, name) for name in names} for change in changes]


def _contribution(seen: ObjectSeen) -> tuple[object, ...]:
    best = seen.best
    sights = [[each.at_us, each.score, each.box] for each in seen.boxes]
    first_us, last_us = seen.boxes[0].at_us, seen.boxes[-1].at_us
    return (
        seen.event_id, seen.label, seen.still, first_us, last_us, best.at_us, best.score, best.box,
        sights, " ".join(seen.colours), seen.text,
    )  # fmt: skip


def changes_between(tenant: str, before: Sequence[Row], after: Sequence[Row]) -> list[EventChange]:
    """What happened to events between two states of them, in a fixed order."""
    old = {row["id"]: row for row in before}
    new = {row["id"]: row for row in after}
    changes = []
    for id_ in sorted({*old, *new}):
        row = new.get(id_) or old[id_]
        if new.get(id_) == old.get(id_):
            continue  # A window written again: nothing is news.
        kind = ChangeKind.OPENED if id_ not in old else ChangeKind.EXTENDED
        changes.append(_change(tenant, row, kind if id_ in new else ChangeKind.WITHDRAWN))
    return changes


def _change(tenant: str, row: Row, kind: ChangeKind) -> EventChange:
    x, y, w, h = row["box"]
    return EventChange(
        tenant=tenant,
        camera=row["camera"],
        event_id=row["id"],
        kind=kind,
        label=row["label"],
        score=row["score"],
        start_us=row["start_us"],
        end_us=row["end_us"],
        best_us=row["best_us"],
        box=(x, y, w, h),
        text=row["text"],
        description=row["description"],
    )


def _sql(name: str) -> str:
    return load_queries("kilocam.insight")[name]
