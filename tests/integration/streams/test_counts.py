"""A Kafka consumer and DuckDB count the same insights as the API."""

import asyncio
import json
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

import duckdb
import pytest
from tests.fakes.kafka import Brokers, brokers
from tests.integration.streams.conftest import House, caught_up, running

from kilocam.api.operations.events import event_out
from kilocam.core.settings import StreamSettings
from kilocam.insight import EventFilter
from kilocam.streams import Outgoing
from kilocam.streams.kafka import KafkaReceiver
from kilocam.streams.parquet import ParquetReceiver

pytestmark = pytest.mark.asyncio
DEDUPLICATED = """
    select * exclude (newest) from (
      select *, row_number() over (partition by tenant, id order by changed desc) as newest
      from read_parquet('{path}/*/*/*.parquet', hive_partitioning = true)
    ) where newest = 1 and not withdrawn
"""


async def api_events(house: House) -> dict[str, dict[str, object]]:
    """All of them by id, through the pages of the API's own query and shape."""
    found: dict[str, dict[str, object]] = {}
    cursor = None
    while True:
        page = await house.insight.events("default", EventFilter(), cursor=cursor, limit=50)
        found |= {event.id: event_out(event).model_dump(by_alias=True) for event in page.items}
        if (cursor := page.next_cursor) is None:
            return found


def kafka(cluster: Brokers) -> StreamSettings:
    return StreamSettings(name="out", kind="kafka", url=f"kafka://{cluster.bootstrap}/insights")


def parquet(path: Path) -> StreamSettings:
    return StreamSettings(name="files", kind="parquet", path=str(path))


async def test_kafka_and_duckdb_count_what_the_api_counts(house: House, tmp_path: Path) -> None:
    with brokers() as cluster:
        out = house.delivery(KafkaReceiver(kafka(cluster)))
        files = house.delivery(ParquetReceiver(parquet(tmp_path)), name="files")
        async with running(out), running(files):
            await house.happens(0, 30)
            await house.happens(0, 20, "yard", label="car")
            await house.withdraw(20)  # told of, most likely, and gone
            await house.happens(40, 10)
            await house.withdraw(41)
            await caught_up(house, out)
            await caught_up(house, files, "files")
        messages = await asyncio.to_thread(cluster.consume, "insights", out.delivered)
    truth = await api_events(house)
    assert len(truth) > 50

    newest: dict[str, dict[str, object]] = {}
    for message in messages:
        value = json.loads(message.value() or b"")
        assert message.key() == f"default/{value['camera']}".encode()
        assert dict(message.headers() or [])["schema"] == b"kilocam.insight"
        if value["changed"] >= newest.get(value["id"], value)["changed"]:
            newest[value["id"]] = value
    living = {id_: v for id_, v in newest.items() if not v["withdrawn"]}
    assert len(living) < len(newest)  # what was withdrawn came out, too
    told = ("tenant", "changed", "withdrawn")
    assert {i: {k: v for k, v in e.items() if k not in told} for i, e in living.items()} == truth

    query = DEDUPLICATED.format(path=tmp_path)
    with duckdb.connect() as duck:
        counted = duck.sql(f"select class, count(*) from ({query}) group by class").fetchall()
        ids = duck.sql(f"select id from ({query})").fetchall()
        [(score, box)] = duck.sql(f"select score, box from ({query}) limit 1").fetchall()
    assert dict(counted) == Counter(event["class"] for event in truth.values())
    assert sorted(id_ for (id_,) in ids) == sorted(truth)
    assert (score, len(box)) == (0.75, 4)


async def test_a_file_written_twice_is_the_same_file(house: House, tmp_path: Path) -> None:
    await house.happens(0, 10)
    receiver = ParquetReceiver(parquet(tmp_path))

    class Dies(BaseException):
        pass

    class DiesBehind(ParquetReceiver):
        async def deliver(self, items: Sequence[Outgoing], after: str) -> None:
            await super().deliver(items, after)
            raise Dies

    first = house.delivery(DiesBehind(parquet(tmp_path)), name="files")
    await first.turn()
    with pytest.raises(Dies):
        await first.turn()
    files = sorted(tmp_path.rglob("*.parquet"))
    assert [file.name for file in files] == ["files-first.parquet"] * len(files)
    await house.happens(30, 3)
    async with running(second := house.delivery(receiver, name="files")):
        await caught_up(house, second, "files")
    assert sorted(tmp_path.rglob("*.parquet")) == files
    assert not list(tmp_path.rglob("*.new"))
    with duckdb.connect() as duck:
        counts = duck.sql(
            f"select count(*), count(distinct id) from read_parquet('{tmp_path}/*/*/*.parquet')"
        ).fetchall()
    assert counts == [(len(await api_events(house)),) * 2]


async def test_a_stream_of_some_classes_leaves_out_others(house: House, tmp_path: Path) -> None:
    await house.happens(1, 1, label="person")
    await house.happens(1, 1, "yard", label="car")
    delivery = house.delivery(ParquetReceiver(parquet(tmp_path)), name="files", classes=["vehicle"])
    async with running(delivery):
        await caught_up(house, delivery, "files")
    with duckdb.connect() as duck:
        found = duck.sql(f"select class from read_parquet('{tmp_path}/*/*/*.parquet')").fetchall()
    assert found == [("car",)]
