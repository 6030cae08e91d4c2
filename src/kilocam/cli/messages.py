"""What travels on the queue, by schema; every role that joins the bus knows all of it."""

from collections.abc import Mapping, Sequence

from kilocam.bus import BusTarget, Schema
from kilocam.core import CameraKey, GopRef, GopRefs
from kilocam.insight import EventChange

# What was announced by a release before may still be on the queue.
SCHEMAS = (
    Schema("gop", 1, GopRef),
    Schema("gop", 2, GopRef),
    Schema("gops", 1, GopRefs),
    Schema("event", 1, EventChange),
    Schema("event", 2, EventChange),
)


def gop_subject(ref: GopRef) -> str:
    """`gops.<partition>.<tenant>`."""
    return f"gops.{CameraKey(ref.tenant, ref.camera).partition}.{ref.tenant}"


def gops_id(refs: Sequence[GopRef]) -> str:
    """The same for the same windows, so that the queue keeps them once if they are sent again."""
    first = refs[0]
    onset = "/onset" if first.onset else ""
    return f"{first.tenant}/{first.camera}/{first.epoch}/{first.start_us}{onset}+{len(refs)}"


def insight_subject(change: EventChange) -> str:
    """`insights.<tenant>.<camera>`."""
    return f"insights.{change.tenant}.{change.camera}"


def bus_target(config: Mapping[str, object]) -> BusTarget:
    """The queue as the supervisor named it in a child's configuration."""
    nats = config["nats"]
    if not isinstance(nats, Mapping):
        raise TypeError("config.nats is not an object")
    return BusTarget(
        url=str(nats["url"]),
        user=str(nats["user"]),
        password=str(nats["password"]),
        ours=bool(nats["ours"]),
    )
