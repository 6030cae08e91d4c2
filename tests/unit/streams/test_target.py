"""Streams that could never begin are refused with one line, which shows no secret."""

import pytest

from kilocam.core import ConfigError
from kilocam.core.settings import StreamSettings
from kilocam.streams import check_streams
from kilocam.streams.target import _NEEDS

SECRET = "s3cret-of-sixteen"


def stream(kind: str, url: str = "", **more: object) -> StreamSettings:
    return StreamSettings.model_validate({"name": "out", "kind": kind, "url": url, **more})


@pytest.mark.parametrize(
    "good",
    [
        stream("kafka", "kafka://a:9092,b.example:9093/kilocam.insights"),
        stream("kafka", "kafkas://a:9092/t", user="u", secret=SECRET),
        stream("webhook", "https://h.example/hook/1?x=2", secret=SECRET),
        stream("webhook", "http://127.0.0.1:8080", secret=SECRET),
        stream("mqtt", "mqtt://h"),
        stream("mqtt", "mqtts://[::1]:8884", user="u", secret=SECRET),
        stream("parquet", path="/data/insights", every="1h"),
    ],
)
def test_a_good_one_passes(good: StreamSettings) -> None:
    check_streams([good])


@pytest.mark.parametrize(
    ("bad", "line"),
    [
        (stream("kafka", "a:9092/t"), "write url as kafka://host:9092"),
        (stream("kafka", "kafka://a/t"), "write url as kafka://host:9092"),
        (stream("kafka", "kafka://a:9092/"), "write url as kafka://host:9092"),
        (stream("kafka", f"kafka://u:{SECRET}@a:9092/t"), "put it into user and secret"),
        (stream("kafka", "kafka://a:1/t", user="u", secret=SECRET), "would travel readable"),
        (stream("webhook", "ftp://h/", secret=SECRET), "write url as https://host/path"),
        (stream("webhook", "https://a..b/", secret=SECRET), "write url as https://host/path"),
        (stream("webhook", f"https://u:{SECRET}@h/", secret=SECRET), "url holds a login"),
        (stream("webhook", "https://h/", secret="short"), "shorter than 16 characters"),
        (stream("mqtt", "mqtt://h/topic"), "write url as mqtt://host:1883"),
        (stream("mqtt", "tcp://h"), "write url as mqtt://host:1883"),
        (stream("mqtt", f"mqtt://u:{SECRET}@h"), "put it into user and secret"),
        (stream("parquet", path="data"), "path 'data' is not absolute"),
    ],
)
def test_a_bad_one_gets_a_line(bad: StreamSettings, line: str) -> None:
    with pytest.raises(ConfigError, match=r"^stream 'out': ") as caught:
        check_streams([bad])
    assert line in str(caught.value)
    assert SECRET not in str(caught.value)


def test_an_extra_that_is_not_installed_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(_NEEDS, "kafka", ("no_such_module", "confluent-kafka"))
    with pytest.raises(ConfigError, match=r"needs the package confluent-kafka.+pip install conf"):
        check_streams([stream("kafka", "kafka://a:9092/t")])
