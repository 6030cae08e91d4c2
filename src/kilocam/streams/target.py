"""Where a stream goes to, as the settings name it; and whoever brings it there."""

import re
from collections.abc import Callable, Iterable
from importlib.util import find_spec
from pathlib import Path
from urllib.parse import SplitResult, urlsplit

from kilocam.core import Clock, ConfigError
from kilocam.core.settings import StreamSettings
from kilocam.streams.seams import Receiver

_NEEDS = {
    "kafka": ("confluent_kafka", "confluent-kafka"),
    "webhook": ("httpx2", "httpx2"),
    "mqtt": ("aiomqtt", "aiomqtt"),
    "parquet": ("pyarrow", "pyarrow"),
}
"""Module and package; but for httpx2 they are extras."""
_TOPIC = re.compile(r"[A-Za-z0-9._-]{1,249}")
_BROKER = re.compile(r"([\w.-]+|\[[0-9A-Fa-f:.]+\]):\d{1,5}")
_HOST = re.compile(r"[\w-]+(\.[\w-]+)*\.?|[0-9a-f]*:[0-9a-f:.]+")


def check_streams(streams: Iterable[StreamSettings]) -> None:
    """Refuse streams that could never begin.

    Raises:
        ConfigError: names the stream and what is wrong; shows no address, which may be a secret.
    """
    for stream in streams:
        problem = _CHECKS[stream.kind](stream)
        if problem:
            raise ConfigError(f"stream {stream.name!r}: {problem}")
        module, package = _NEEDS[stream.kind]
        if find_spec(module) is None:
            raise ConfigError(
                f"stream {stream.name!r} needs the package {package}, an extra of "
                f"Kilocam's: .venv/bin/pip install {package}"
            )


def make_receiver(stream: StreamSettings, clock: Clock) -> Receiver:
    """Whoever brings a stream where it goes; `check_streams` has let it pass."""
    match stream.kind:
        case "kafka":
            from kilocam.streams.kafka import KafkaReceiver

            return KafkaReceiver(stream)
        case "webhook":
            from kilocam.streams.webhook import WebhookReceiver

            return WebhookReceiver(stream, clock)
        case "mqtt":
            from kilocam.streams.mqtt import MqttReceiver

            return MqttReceiver(stream, clock)
        case "parquet":
            from kilocam.streams.parquet import ParquetReceiver

            return ParquetReceiver(stream)


def _parts(url: str) -> SplitResult | None:
    try:
        parts = urlsplit(url)
    except ValueError:
        return None
    return None if parts.query or parts.fragment else parts


def _kafka(stream: StreamSettings) -> str:
    parts = _parts(stream.url)
    form = "write url as kafka://host:9092,host:9092/topic (kafkas:// for TLS)"
    if parts is None or parts.scheme not in ("kafka", "kafkas"):
        return form
    if "@" in parts.netloc:
        return "url holds a login: put it into user and secret"
    if not all(_BROKER.fullmatch(broker) for broker in parts.netloc.split(",")):
        return form
    if not _TOPIC.fullmatch(parts.path.removeprefix("/")):
        return form
    if stream.user and parts.scheme == "kafka":
        return "a password would travel readable: use kafkas://"
    return ""


def _webhook(stream: StreamSettings) -> str:
    try:
        parts = urlsplit(stream.url)
        good = bool(_HOST.fullmatch(parts.hostname or "")) and parts.port != 0
    except ValueError:
        good = False
    if not good or parts.scheme not in ("http", "https") or parts.fragment:
        return "write url as https://host/path"
    if "@" in parts.netloc:
        return "url holds a login: leave it out, requests are signed with secret"
    if len(stream.secret) < 16:
        return "secret is shorter than 16 characters: what signs must not be guessed"
    return ""


def _mqtt(stream: StreamSettings) -> str:
    form = "write url as mqtt://host:1883 or mqtts://host:8883"
    parts = _parts(stream.url)
    try:
        good = parts is not None and bool(_HOST.fullmatch(parts.hostname or "")) and parts.port != 0
    except ValueError:
        good = False
    if not good or parts is None or parts.scheme not in ("mqtt", "mqtts") or parts.path.strip("/"):
        return form
    if "@" in parts.netloc:
        return "url holds a login: put it into user and secret"
    return ""


def _parquet(stream: StreamSettings) -> str:
    if not Path(stream.path).is_absolute():
        return f"path {stream.path!r} is not absolute: begin it with /"
    return ""


_CHECKS: dict[str, Callable[[StreamSettings], str]] = {
    "kafka": _kafka,
    "webhook": _webhook,
    "mqtt": _mqtt,
    "parquet": _parquet,
}
"""What is wrong with one; empty: nothing."""
