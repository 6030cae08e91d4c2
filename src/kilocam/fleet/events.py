"""Appends to the event store and keeps the projections in step, in one transaction.

`project` is the one way from events to tables: it runs when something happens and again when the
tables are rebuilt, so both always agree.
"""

from collections.abc import Mapping
from typing import Any

from kilocam.database import Conflict as Taken
from kilocam.database import Transaction, load_queries
from kilocam.fleet.errors import Conflict
from kilocam.fleet.values import FleetEvent

CAMERA_ADDED = "camera_added"
CAMERA_CHANGED = "camera_changed"
CAMERA_REMOVED = "camera_removed"
RULE_PUT = "rule_put"
RULE_REMOVED = "rule_removed"
TENANT_ADDED = "tenant_added"
TOKEN_CREATED = "token_created"  # noqa: S105 - the name of an event
TOKEN_REVOKED = "token_revoked"  # noqa: S105


def sql(name: str) -> str:
    """A query of this room."""
    return load_queries("kilocam.fleet")[name]


async def append(
    transaction: Transaction,
    *,
    tenant: str,
    aggregate: str,
    version: int,
    kind: str,
    data: Mapping[str, Any],
    actor: str,
) -> FleetEvent:
    """Notes that something happened as `version` of `aggregate`, and projects it.

    Raises:
        Conflict: somebody else has made that version.
    """
    try:
        row = await transaction.fetchrow(
            sql("append_event"), tenant, aggregate, version, kind, dict(data), actor
        )
    except Taken as error:
        raise Conflict(
            f"{aggregate} of tenant {tenant!r} has changed since it was read: "
            "read it again and repeat"
        ) from error
    assert row is not None
    event = FleetEvent(
        **row, tenant=tenant, aggregate=aggregate, version=version, kind=kind, data=data,
        actor=actor,
    )  # fmt: skip
    await project(transaction, event)
    return event


async def project(transaction: Transaction, event: FleetEvent) -> None:
    """Brings the tables to the state after `event`."""
    thing = event.aggregate.partition("/")[2]
    data = event.data
    match event.kind:
        case "camera_added" | "camera_changed":
            await transaction.execute(
                sql("put_camera"), event.tenant, thing, data["url"], data["detect_url"],
                data["sealed_url"], data["sealed_detect_url"], data["transport"], data["keep_us"],
                data["enabled"], data["declared"], event.version, event.at_us,
                data.get("weight", 1.0),  # events of before 0003 have none
            )  # fmt: skip
        case "camera_removed":
            await transaction.execute(sql("drop_camera"), event.tenant, thing)
        case "rule_put":
            camera, _, name = thing.partition("/")
            await transaction.execute(
                sql("put_rule"), event.tenant, camera, name, data["definition"], event.version,
                event.at_us,
            )  # fmt: skip
        case "rule_removed":
            camera, _, name = thing.partition("/")
            await transaction.execute(sql("drop_rule"), event.tenant, camera, name)
        case "tenant_added":
            await transaction.execute(
                sql("put_tenant"), event.tenant, thing, data["name"], event.at_us
            )
        case "token_created":
            await transaction.execute(
                sql("put_token"), event.tenant, thing, data["role"], data["name"], data["hash"],
                event.at_us, data["expires_us"],
            )  # fmt: skip
        case "token_revoked":
            await transaction.execute(sql("revoke_token"), event.tenant, thing, event.at_us)
        case unknown:
            raise ValueError(f"event {event.id} has the unknown kind {unknown!r}")
