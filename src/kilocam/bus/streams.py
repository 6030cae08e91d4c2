"""The streams Kilocam needs, made where missing and checked where they exist."""

import logging
from dataclasses import dataclass

from nats.aio.client import Client
from nats.js.api import DiscardPolicy, RetentionPolicy, StorageType, StreamConfig, StreamInfo
from nats.js.errors import NotFoundError
from nats.js.manager import JetStreamManager

from kilocam.bus.errors import BusConflict

GOPS = "GOPS"
INSIGHTS = "INSIGHTS"
DEAD = "DEAD"

DUPLICATES_S = 120.0
_DAY_S = 86_400.0
_MIB = 1 << 20

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class StreamSpec:
    """One stream: full means that the oldest go."""

    name: str
    subjects: tuple[str, ...]
    max_age_s: float
    max_per_subject: int
    max_bytes: int
    key_value: bool = False

    def config(self) -> StreamConfig:
        """As the server wants it."""
        return StreamConfig(
            name=self.name,
            subjects=list(self.subjects),
            retention=RetentionPolicy.LIMITS,
            storage=StorageType.FILE,
            discard=DiscardPolicy.NEW if self.key_value else DiscardPolicy.OLD,
            max_age=self.max_age_s,
            max_msgs_per_subject=self.max_per_subject,
            max_bytes=self.max_bytes,
            duplicate_window=DUPLICATES_S,
            allow_direct=True,
            allow_rollup_hdrs=self.key_value,
        )


# A reference is some 250 bytes, one each 2 s for each camera: an hour of 1000 cameras is 0.4 GiB.
# An older window would not be looked at any more (design: analyse): nothing is lost by its going.
STREAMS = (
    StreamSpec(
        name=GOPS,
        subjects=("gops.>",),
        max_age_s=3600.0,
        max_per_subject=-1,
        max_bytes=1024 * _MIB,
    ),
    StreamSpec(
        name=INSIGHTS,
        subjects=("insights.>",),
        max_age_s=7 * _DAY_S,
        max_per_subject=-1,
        max_bytes=256 * _MIB,
    ),
    StreamSpec(
        name=DEAD,
        subjects=("dead.>",),
        max_age_s=30 * _DAY_S,
        max_per_subject=-1,
        max_bytes=64 * _MIB,
    ),
)


def bucket_stream(bucket: str) -> StreamSpec:
    """The stream below a key-value bucket, as every NATS client names it (ADR-8)."""
    return StreamSpec(
        name=f"KV_{bucket}",
        subjects=(f"$KV.{bucket}.>",),
        max_age_s=0.0,
        max_per_subject=1,
        max_bytes=64 * _MIB,
        key_value=True,
    )


async def ensure_stream(client: Client, spec: StreamSpec, *, ours: bool, server: str) -> None:
    """Make the stream, or check that the one there keeps what we promise.

    On a server of our own its limits are brought up to date. On a foreign one limits are the
    operator's affair; what would break a promise is refused.

    Raises:
        BusConflict: which stream, what differs, how to mend it.
    """
    manager = JetStreamManager(client)
    try:
        there = await manager.stream_info(spec.name)
    except NotFoundError:
        await manager.add_stream(spec.config())
        return
    if difference := _difference(there, spec):
        raise BusConflict(
            f"stream {spec.name} on {server} has {difference}; rename or remove that stream, or "
            "give Kilocam an account of its own in bus.url"
        )
    if ours and _limits(there.config) != _limits(spec.config()):
        _log.info("stream %s gets new limits", spec.name)
        await manager.update_stream(spec.config())


def _difference(there: StreamInfo, spec: StreamSpec) -> str:
    wanted, found = spec.config(), there.config
    if sorted(found.subjects or []) != sorted(spec.subjects):
        return f"subjects {found.subjects} instead of {list(spec.subjects)}"
    for name in ("retention", "storage", "discard", "allow_direct"):
        if getattr(found, name) != getattr(wanted, name):
            return f"{name} {getattr(found, name)} instead of {getattr(wanted, name)}"
    if spec.key_value and found.max_msgs_per_subject != 1:
        return f"history {found.max_msgs_per_subject} instead of 1"
    if found.duplicate_window < DUPLICATES_S:
        return f"duplicate window {found.duplicate_window:g} s instead of {DUPLICATES_S:g} s"
    return ""


def _limits(config: StreamConfig) -> tuple[object, ...]:
    return config.max_age, config.max_msgs_per_subject, config.max_bytes
