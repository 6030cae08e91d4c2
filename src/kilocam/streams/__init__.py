"""Streams out: what was seen, handed on to Kafka, webhooks, MQTT and Parquet files.

Owns: a durable place for each stream, delivery in order and at least once, backoff, dead letters,
and one receiver for each kind, the only modules that know its client library.
Never does: hold up anybody else: a receiver that is away delays its own stream alone; know what an
event means beyond what `seams.py` says.
Start reading at: `delivery.py`. Receivers are imported by their own names (`target.py` does it), as
each loads a client library.
"""

from kilocam.streams.delivery import Delivery
from kilocam.streams.errors import Away, Moved, NotFound, Refused, StreamError, Unavailable
from kilocam.streams.places import Ledger, Letter, Place, Places, Standing
from kilocam.streams.seams import BEGINNING, SCHEMA, VERSION, Batch, Outgoing, Receiver, Source
from kilocam.streams.target import check_streams, make_receiver

__all__ = [
    "BEGINNING",
    "SCHEMA",
    "VERSION",
    "Away",
    "Batch",
    "Delivery",
    "Ledger",
    "Letter",
    "Moved",
    "NotFound",
    "Outgoing",
    "Place",
    "Places",
    "Receiver",
    "Refused",
    "Source",
    "Standing",
    "StreamError",
    "Unavailable",
    "check_streams",
    "make_receiver",
]
