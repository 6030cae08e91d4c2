"""The queue: streams, partitions, key-value, leases and dead letters over NATS JetStream.

Owns: the connection and its endless renewal, the envelope, what is on the server.
Never does: media (messages refer to it); anything that depends on what a message means.
Start reading at: `bus.py`, then `connection.py`.
"""

from kilocam.bus.bucket import Bucket, Change, Entry, Synced
from kilocam.bus.bus import Bus
from kilocam.bus.codec import Schema
from kilocam.bus.connection import BusTarget
from kilocam.bus.dead import DeadLetter, DeadLetters
from kilocam.bus.errors import (
    BusBusy,
    BusConflict,
    BusError,
    BusUnavailable,
    NotEncodable,
    RevisionConflict,
    Unreadable,
)
from kilocam.bus.leases import Asked, Granted, LeaseChange, LeaseSet, Revoked
from kilocam.bus.reader import Delivered, Position, Unread
from kilocam.bus.streams import DEAD, GOPS, INSIGHTS
from kilocam.bus.work import Job

__all__ = [
    "DEAD",
    "GOPS",
    "INSIGHTS",
    "Asked",
    "Bucket",
    "Bus",
    "BusBusy",
    "BusConflict",
    "BusError",
    "BusTarget",
    "BusUnavailable",
    "Change",
    "DeadLetter",
    "DeadLetters",
    "Delivered",
    "Entry",
    "Granted",
    "Job",
    "LeaseChange",
    "LeaseSet",
    "NotEncodable",
    "Position",
    "RevisionConflict",
    "Revoked",
    "Schema",
    "Synced",
    "Unread",
    "Unreadable",
]
