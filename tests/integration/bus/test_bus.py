"""The bus against a real server that dies and freezes."""

import asyncio
import signal
from contextlib import aclosing
from pathlib import Path

import pytest
from nats.aio.client import Client
from nats.js.api import StreamConfig
from tests.fakes.nats import Server

from kilocam.bus import (
    GOPS,
    INSIGHTS,
    Bus,
    BusBusy,
    BusConflict,
    BusTarget,
    BusUnavailable,
    Change,
    NotEncodable,
    Position,
    RevisionConflict,
    Synced,
)
from kilocam.cli.engines.nats import find_server
from kilocam.core.metrics import MetricsPage

from .conftest import MEMOS, Memo, Note, connected, until

pytestmark = pytest.mark.asyncio


async def read_numbers(bus: Bus, partition: int) -> list[int]:
    """All notes of a partition there are now."""
    numbers = []
    async with aclosing(bus.read_partition(partition)) as notes:
        async for delivered in notes:
            assert isinstance(delivered.value, Note)
            numbers.append(delivered.value.number)
            if delivered.pending == 0:
                return numbers
    raise AssertionError


async def publish_all(bus: Bus, count: int, stored: set[int]) -> None:
    """As a recorder does it: again under the same id until it is acknowledged."""

    async def one(number: int) -> None:
        await bus.send("gops.7.t.cam", Note(number=number), id=f"note-{number}", deadline_s=60)
        stored.add(number)

    waiting = iter(range(count))

    async def worker() -> None:
        for number in waiting:
            await one(number)
            await asyncio.sleep(0.005)

    async with asyncio.TaskGroup() as tasks:
        for _ in range(16):
            tasks.create_task(worker())


async def test_killed_server_loses_and_doubles_nothing_that_was_acknowledged(
    server: Server,
) -> None:
    stored: set[int] = set()
    async with connected(server.target) as bus:
        publishing = asyncio.create_task(publish_all(bus, 2000, stored))
        for goal in (300, 800, 1300):
            while len(stored) < goal:
                await asyncio.sleep(0.01)
            server.kill()
            await until(lambda: not bus.connected)
            with pytest.raises(BusUnavailable):
                bus.publish("gops.7.t.cam", Note(number=0), id="x")
            server.again()
        await publishing
        numbers = await read_numbers(bus, 7)
    assert sorted(numbers) == list(range(2000))


async def test_frozen_server_costs_a_typed_error_and_afterwards_nothing_is_lost_or_doubled(
    server: Server,
) -> None:
    stored: set[int] = set()
    async with connected(server.target) as bus:
        publishing = asyncio.create_task(publish_all(bus, 1000, stored))
        await until(lambda: len(stored) >= 300)
        server.signal(signal.SIGSTOP)
        with pytest.raises(BusUnavailable):
            await bus.publish("gops.8.t.cam", Note(number=0), id="while frozen")
        await until(lambda: not bus.connected)
        with pytest.raises(BusUnavailable):
            await bus.dead.list()
        server.signal(signal.SIGCONT)
        await publishing
        numbers = await read_numbers(bus, 7)
    assert sorted(numbers) == list(range(1000))


async def test_server_that_is_dead_at_first_is_found_when_it_comes(stopped_server: Server) -> None:
    async with Bus(stopped_server.target, [], name="test") as bus:
        with pytest.raises(BusUnavailable):
            await bus.wait_connected(0.3)
        assert bus.problem == (
            f"the bus {stopped_server.target.url} refuses connections; is the server running?"
        )
        await asyncio.to_thread(stopped_server.start)
        await bus.wait_connected(20)
        assert bus.problem == ""


async def test_server_that_is_frozen_at_first_is_found_when_it_thaws(server: Server) -> None:
    async with connected(server.target):
        pass
    server.signal(signal.SIGSTOP)
    async with Bus(server.target, [], name="test") as bus:
        await until(lambda: bus.problem.endswith("does not answer"))
        server.signal(signal.SIGCONT)
        await bus.wait_connected(20)


async def test_same_id_is_stored_once(server: Server) -> None:
    async with connected(server.target) as bus:
        first = await bus.publish("gops.1.t.c", Note(number=1), id="a")
        second = await bus.publish("gops.1.t.c", Note(number=1), id="a")
        assert first == second
        assert await read_numbers(bus, 1) == [1]


async def test_full_window_refuses_at_once_and_send_waits_for_room(server: Server) -> None:
    async with Bus(server.target, [*MEMOS], name="test", window=4) as bus:
        await bus.wait_connected(20)
        waiting = [bus.publish("gops.1.t.c", Note(number=n), id=str(n)) for n in range(4)]
        with pytest.raises(BusBusy):
            bus.publish("gops.1.t.c", Note(number=4), id="4")
        await bus.send("gops.1.t.c", Note(number=4), id="4")
        await asyncio.gather(*waiting)
        assert await read_numbers(bus, 1) == [0, 1, 2, 3, 4]


async def test_what_cannot_be_sent_is_said_at_once(server: Server) -> None:
    async with connected(server.target) as bus:
        with pytest.raises(NotEncodable, match="no schema is registered for str"):
            bus.publish("gops.1.t.c", "text", id="a")
        with pytest.raises(NotEncodable, match="is too large"):
            bus.publish("gops.1.t.c", Note(number=1, text="x" * 2_000_000), id="a")
        with pytest.raises(BusUnavailable, match=r"no stream takes nowhere\.x"):
            await bus.publish("nowhere.x", Note(number=1), id="a")


async def test_reader_goes_on_where_it_was_in_order_over_restarts(server: Server) -> None:
    async with connected(server.target) as bus:
        for number in range(10):
            await bus.send("gops.3.t.c", Note(number=number), id=str(number))
            await bus.send("gops.4.t.c", Note(number=100 + number), id=f"other-{number}")
        seen: list[int] = []
        position: Position | None = None
        async with aclosing(bus.read_partition(3)) as notes:
            async for delivered in notes:
                assert isinstance(delivered.value, Note)
                seen.append(delivered.value.number)
                position = delivered.position
                if len(seen) == 6:
                    break
        assert position is not None
        async with aclosing(bus.read_partition(3, after=Position.parse(str(position)))) as notes:
            async for delivered in notes:
                assert isinstance(delivered.value, Note)
                seen.append(delivered.value.number)
                if len(seen) == 8:
                    server.kill()
                    server.again()
                    await bus.send("gops.3.t.c", Note(number=10), id="10", deadline_s=30)
                if len(seen) == 11:
                    break
    assert seen == list(range(11))


async def test_what_lies_behind_a_position_is_told_with_its_age(server: Server) -> None:
    async with connected(server.target) as bus:
        assert await bus.unread_of_partition(3) is None
        await bus.send("gops.4.t.c", Note(number=0), id="another partition's")
        assert await bus.unread_of_partition(3) is None
        for number in range(3):
            await bus.send("gops.3.t.c", Note(number=number), id=str(number))
        async with aclosing(bus.read_partition(3)) as notes:
            first, second, third = [await anext(notes) for _ in range(3)]
        unread = await bus.unread_of_partition(3)
        assert unread is not None
        assert unread.since_us == pytest.approx(first.published_us, abs=2)  # of nanoseconds
        assert unread.upto == third.position
        rest = await bus.unread_of_partition(3, after=first.position)
        assert rest is not None
        assert rest.since_us == pytest.approx(second.published_us, abs=2)
        assert rest.upto == third.position
        assert await bus.unread_of_partition(3, after=third.position) is None
        # Of a stream that was made anew all lies behind.
        assert await bus.unread_of_partition(3, after=Position(12345, 99)) == unread


async def test_position_of_a_stream_made_anew_starts_at_its_start(server: Server) -> None:
    async with connected(server.target) as bus:
        await bus.send("gops.3.t.c", Note(number=1), id="1")
        stale = Position(12345, 1)
        async with aclosing(bus.read_partition(3, after=stale)) as notes:
            delivered = await anext(notes)
        assert delivered.position.epoch != 12345
        assert delivered.value == Note(number=1)


async def test_new_only_reader_skips_what_was_there(server: Server) -> None:
    async with connected(server.target) as bus:
        await bus.send("insights.a", Note(number=1), id="1")
        async with aclosing(bus.read(INSIGHTS, "insights.>", new_only=True)) as notes:
            first = asyncio.create_task(anext(notes))
            number = 2
            while not first.done():
                await bus.send("insights.a", Note(number=number), id=str(number))
                await asyncio.wait([first], timeout=0.2)
                number += 1
        value = first.result().value
        assert isinstance(value, Note)
        assert value.number >= 2


async def test_unreadable_message_is_buried_whole_and_can_be_sent_again(server: Server) -> None:
    async with connected(server.target, MEMOS) as newer, connected(server.target) as older:
        await newer.send("gops.5.t.c", Memo(text="hello"), id="memo")
        await newer.send("gops.5.t.c", Note(number=2), id="note")
        assert await read_numbers(older, 5) == [2]
        assert await read_numbers(older, 5) == [2]
        letters = await older.dead.list()
        assert [(x.subject, x.reason, x.body) for x in letters] == [
            ("gops.5.t.c", "schema memo/1 is not known here", b'{"text":"hello"}')
        ]
        assert letters[0].headers["Kilocam-Schema"] == "memo/1"
        await older.dead.redrive(letters[0].sequence)
        assert await older.dead.list() == []
        async with aclosing(newer.read_partition(5)) as values:
            found = [(await anext(values)).value for _ in range(3)]
        assert found == [Memo(text="hello"), Note(number=2), Memo(text="hello")]


async def test_garbage_on_a_subject_is_buried_and_reading_goes_on(server: Server) -> None:
    client = Client()
    target = server.target
    async with connected(target) as bus:
        await client.connect(target.url, user=target.user, password=target.password)
        for headers, body in [
            (None, b"\x00\xff"),
            ({"Kilocam-Schema": "note/1"}, b"{"),
            ({"Kilocam-Schema": "note/1"}, b'{"number": true}'),
            ({"Kilocam-Schema": "note/1"}, b'{"number": 1, "more": 2}'),
            ({"Kilocam-Schema": "note/1"}, b""),
        ]:
            await client.jetstream().publish("gops.6.t.c", body, headers=headers)
        await client.close()
        await bus.send("gops.6.t.c", Note(number=7), id="7")
        assert await read_numbers(bus, 6) == [7]
        reasons = [letter.reason for letter in await bus.dead.list(limit=2)]
        reasons += [x.reason for x in await bus.dead.list(after=2)]
        assert len(reasons) == 5
        assert reasons[0] == "no Kilocam-Schema header"
        assert reasons[2] == "Note.number: int expected, true found"
        assert reasons[3] == "Note has no more"


async def test_work_is_retried_then_buried(server: Server) -> None:
    async with connected(server.target) as bus:
        for number in range(3):
            await bus.send("insights.t", Note(number=number), id=str(number))
        attempts: list[tuple[int, int]] = []
        async with aclosing(
            bus.work(INSIGHTS, "alerts", subject="insights.>", max_attempts=3)
        ) as jobs:
            async for job in jobs:
                assert isinstance(job.value, Note)
                attempts.append((job.value.number, job.attempt))
                if job.value.number == 1:
                    await job.retry(0.05)
                    if job.attempt == 3:
                        break
                else:
                    await job.done()
        assert sorted(attempts) == [(0, 1), (1, 1), (1, 2), (1, 3), (2, 1)]
        (letter,) = await bus.dead.list()
        assert letter.reason == "alerts: failed 3 times"
        assert letter.body == b'{"number":1,"text":""}'


async def test_work_whose_worker_dies_each_time_is_buried_by_the_next(server: Server) -> None:
    async with connected(server.target) as bus:
        await bus.send("insights.t", Note(number=1), id="1")
        for attempt in (1, 2):
            async with aclosing(
                bus.work(INSIGHTS, "fatal", subject="insights.>", max_attempts=2, ack_s=0.3)
            ) as jobs:
                job = await anext(jobs)
                assert job.attempt == attempt
        async with aclosing(
            bus.work(INSIGHTS, "fatal", subject="insights.>", max_attempts=2, ack_s=0.3)
        ) as jobs:
            nobody = asyncio.ensure_future(anext(jobs))
            while not (letters := await bus.dead.list()):
                await asyncio.sleep(0.05)
            assert not nobody.done()
            nobody.cancel()
            await asyncio.wait([nobody])
        assert letters[0].reason == "fatal: no answer after 2 attempts"


async def test_bucket_compares_and_sets(server: Server) -> None:
    bus = Bus(server.target, [], name="test")
    bucket = bus.bucket("notes", Note)
    async with bus:
        await bus.wait_connected(20)
        assert await bucket.get("a") is None
        revision = await bucket.create("a", Note(number=1))
        with pytest.raises(RevisionConflict):
            await bucket.create("a", Note(number=2))
        newer = await bucket.update("a", Note(number=2), revision)
        with pytest.raises(RevisionConflict):
            await bucket.update("a", Note(number=3), revision)
        with pytest.raises(RevisionConflict):
            await bucket.delete("a", revision)
        entry = await bucket.get("a")
        assert entry is not None
        assert (entry.value, entry.revision) == (Note(number=2), newer)
        await bucket.delete("a", newer)
        assert await bucket.get("a") is None
        await bucket.create("a", Note(number=4))
        await bucket.put("a", Note(number=5))


async def test_bucket_watch_tells_all_then_changes_over_a_restart(server: Server) -> None:
    bus = Bus(server.target, [], name="test")
    bucket = bus.bucket("notes", Note)
    empty = bus.bucket("empty", Note)
    async with bus:
        await bus.wait_connected(20)
        async with aclosing(empty.watch()) as changes:
            assert await anext(changes) == Synced(anew=False)
        await bucket.put("a", Note(number=1))
        await bucket.put("b", Note(number=2))
        await bucket.put("a", Note(number=3))
        async with aclosing(bucket.watch()) as changes:
            assert await anext(changes) == Change("b", Note(number=2), 2)
            assert await anext(changes) == Change("a", Note(number=3), 3)
            assert await anext(changes) == Synced(anew=False)
            await bucket.delete("b")
            assert await anext(changes) == Change("b", None, 4)
            server.kill()
            await until(lambda: not bus.connected)
            server.again()
            await bus.wait_connected(20)
            await bucket.put("c", Note(number=4))
            told = [await anext(changes)]
            while told[-1] != Change("c", Note(number=4), 5):
                told.append(await anext(changes))
            assert set(told) <= {Synced(anew=False), Change("c", Note(number=4), 5)}


async def test_foreign_stream_that_would_break_a_promise_is_refused_with_one_line(
    server: Server,
) -> None:
    target = server.target
    client = Client()
    async with Bus(target, [], name="first") as bus:
        await bus.wait_connected(20)
    await client.connect(target.url, user=target.user, password=target.password)
    await client.jetstream().delete_stream(GOPS)
    await client.jetstream().add_stream(StreamConfig(name=GOPS, subjects=["gops.only"]))
    await client.close()
    async with Bus(target, [], name="second") as bus:
        await until(lambda: "GOPS" in bus.problem)
        with pytest.raises(BusConflict):
            await bus.dead.list()
        assert bus.problem == (
            f"stream GOPS on {target.url} has subjects ['gops.only'] instead of ['gops.>']; "
            "rename or remove that stream, or give Kilocam an account of its own in bus.url"
        )


async def test_limits_of_our_own_server_are_brought_up_to_date_and_of_a_foreign_one_left(
    server: Server,
) -> None:
    target = server.target
    async with connected(target):
        pass
    client = Client()
    await client.connect(target.url, user=target.user, password=target.password)
    stream = client.jetstream()
    config = (await stream.stream_info(INSIGHTS)).config
    await stream.update_stream(config.evolve(max_age=3600.0))
    foreign = BusTarget(url=target.url, user=target.user, password=target.password)
    async with connected(foreign) as bus:
        assert bus.sync == "unknown"
    assert (await stream.stream_info(INSIGHTS)).config.max_age == 3600.0
    async with connected(target) as bus:
        assert bus.sync == "always"
    assert (await stream.stream_info(INSIGHTS)).config.max_age == 7 * 86400.0
    await client.close()


async def test_wrong_login_is_said_in_one_line(server: Server) -> None:
    async with connected(server.target):
        pass
    wrong = BusTarget(url=server.target.url, user="kilocam", password="wrong")
    async with Bus(wrong, [], name="test") as bus:
        await until(lambda: "refuses our login" in bus.problem)
        assert bus.problem == (
            f"the bus {wrong.url} refuses our login; check user and password in bus.url"
        )


@pytest.mark.parametrize(("setting", "found"), [("always", "always"), ("10s", "late")])
async def test_sync_setting_is_found_out_where_the_server_tells(
    stopped_server: Server, tmp_path: Path, setting: str, found: str
) -> None:
    """A login of the system account may ask; JetStream itself works in other accounts only."""
    port = stopped_server.engine.access.port
    config = tmp_path / "foreign.conf"
    config.write_text(
        f'listen: "127.0.0.1:{port}"\n'
        f'jetstream {{ store_dir: "{tmp_path}/store", sync_interval: {setting} }}\n'
        "accounts {\n"
        '  SYS { users: [{user: "sys", password: "s"}]\n'
        '        exports: [{service: "$SYS.REQ.SERVER.PING.JSZ"}] }\n'
        '  APP { jetstream: enabled, users: [{user: "app", password: "a"}]\n'
        '        imports: [{service: {account: SYS, subject: "$SYS.REQ.SERVER.PING.JSZ"}}] }\n'
        "}\n"
        "system_account: SYS\n"
    )
    stopped_server.start_with((str(find_server()), "-c", str(config)))
    target = BusTarget(url=f"nats://app:a@127.0.0.1:{port}")
    assert target.shown == f"nats://127.0.0.1:{port}"
    async with connected(target) as bus:
        assert bus.sync == found


async def test_metrics_tell_what_was_sent(server: Server) -> None:
    page = MetricsPage(process="recorder-0", role="recorder")
    async with connected(server.target) as bus:
        bus.watch(page.metrics("bus"))
        await bus.send("gops.1.t.c", Note(number=1), id="a")
        await bus.send("gops.1.t.c", Note(number=1), id="a")
        labels = '{process="recorder-0",role="recorder"}'
        lines = page.text().splitlines()
    assert f"kilocam_bus_stored_total{labels} 2.0" in lines
    assert f"kilocam_bus_duplicates_total{labels} 1.0" in lines
    assert f"kilocam_bus_connected{labels} 1.0" in lines
