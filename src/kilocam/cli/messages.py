"""What travels on the queue, by schema; every role that joins the bus knows all of it."""

from collections.abc import Mapping

from kilocam.bus import BusTarget, Schema
from kilocam.core import CameraKey, GopRef
from kilocam.insight import EventChange

# Of one class the last is written; windows of before there were onsets may still be on the queue.
SCHEMAS = (Schema("gop", 1, GopRef), Schema("gop", 2, GopRef), Schema("event", 1, EventChange))


def gop_subject(ref: GopRef) -> str:
    """`gops.<partition>.<tenant>.<camera>`."""
    key = CameraKey(ref.tenant, ref.camera)
    return f"gops.{key.partition}.{ref.tenant}.{ref.camera}"


def gop_id(ref: GopRef) -> str:
    """The same whenever a window's beginning is announced, so that the queue keeps one of them."""
    onset = "/onset" if ref.onset else ""
    return f"{ref.tenant}/{ref.camera}/{ref.epoch}/{ref.start_us}{onset}"


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
