"""The embedded server: its files, its way in, what is left over from an earlier life."""

import asyncio
import os
import pwd
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import asyncpg
import pytest
from tests.fakes.postgres import SECRETS, PostgresServer, open_directory

from kilocam.cli.engines.postgres import EmbeddedPostgres
from kilocam.core import ConfigError
from kilocam.database import ADMIN, DatabaseUnavailable, socket_url

ROOT = os.geteuid() == 0


@pytest.fixture
def directory() -> Iterator[Path]:
    with open_directory() as path:
        yield path


def engine(directory: Path) -> EmbeddedPostgres:
    return EmbeddedPostgres(directory / "postgres", SECRETS.password(ADMIN))


def user_of(directory: Path) -> str:
    return pwd.getpwuid((directory / "postgres").stat().st_uid).pw_name


async def ask(server: PostgresServer, question: str) -> str:
    connection = await asyncpg.connect(server.url(ADMIN, "postgres"))
    try:
        return str(await connection.fetchval(question))
    finally:
        await connection.close()


async def started(server: PostgresServer) -> None:
    await asyncio.to_thread(server.start)
    await server.serves()


@pytest.mark.asyncio
async def test_it_serves_on_its_socket_alone_as_an_ordinary_user(directory: Path) -> None:
    server = PostgresServer(directory)
    await started(server)
    try:
        assert await ask(server, "show listen_addresses") == ""
        assert await ask(server, "show data_checksums") == "on"
        assert await ask(server, "show fsync") == "on"
        assert (
            await ask(server, "select datlocale from pg_database where datname = 'template1'")
            == "C.UTF-8"
        )
        owner = Path(f"/proc/{server.pid}").stat().st_uid
        assert owner != 0
        assert server.engine.socket_directory.stat().st_mode & 0o777 == 0o700
        for path in (directory / "postgres").rglob("*"):
            assert path.lstat().st_uid == owner
            assert path.lstat().st_mode & 0o077 == 0 or path.is_socket()
        wrong = socket_url(str(server.engine.socket_directory), ADMIN, "wrong", "postgres")
        with pytest.raises(asyncpg.InvalidPasswordError):
            await asyncpg.connect(wrong)
    finally:
        await asyncio.to_thread(server.stop)


@pytest.mark.asyncio
async def test_it_comes_back_after_kill_with_a_process_id_file_that_names_another(
    directory: Path,
) -> None:
    server = PostgresServer(directory)
    await started(server)
    await ask(server, "select 1")
    await asyncio.to_thread(server.kill)
    # The id now belongs to a living process of the same user, as happens in containers.
    account = server.engine.prepare(server.log).user
    other = subprocess.Popen(["/bin/sleep", "60"], user=account or None)
    try:
        stale = server.engine.cluster / "postmaster.pid"
        stale.write_text(f"{other.pid}\n{server.engine.cluster}\n0\n5432\n\n\n\n")
        await started(server)
        assert await ask(server, "select 2") == "2"
        assert other.poll() is None
    finally:
        other.kill()
        other.wait()
        await asyncio.to_thread(server.stop)


@pytest.mark.asyncio
async def test_a_server_left_behind_is_ended_even_when_it_is_frozen(directory: Path) -> None:
    left = PostgresServer(directory)
    await started(left)
    assert await ask(left, "select 1") == "1"
    held = await asyncpg.connect(left.url(ADMIN, "postgres"))
    left.freeze()
    await asyncio.to_thread(left.kill)  # its frozen parts stay
    server = PostgresServer(directory)
    await started(server)
    try:
        assert await ask(server, "select 2") == "2"
    finally:
        held.terminate()
        await asyncio.to_thread(server.stop)


@pytest.mark.asyncio
async def test_a_living_server_left_behind_is_stopped_cleanly(directory: Path) -> None:
    left = PostgresServer(directory)
    await started(left)
    server = PostgresServer(directory)
    await started(server)
    try:
        assert await ask(server, "select 2") == "2"
        left.stop()  # has ended already
    finally:
        await asyncio.to_thread(server.stop)


@pytest.mark.asyncio
async def test_a_path_too_long_for_a_socket_gets_a_short_private_one(directory: Path) -> None:
    deep = directory / ("d" * 90)
    deep.mkdir()
    deep.chmod(0o755)
    server = PostgresServer(deep)
    socket = server.engine.socket_directory
    assert not socket.is_relative_to(deep)
    await started(server)
    try:
        assert await ask(server, "select 1") == "1"
        assert socket.stat().st_mode & 0o777 == 0o700
    finally:
        await asyncio.to_thread(server.stop)
        shutil.rmtree(socket)


@pytest.mark.asyncio
@pytest.mark.parametrize("name", ["Überwachung ☃ 'a' $HOME", "a, comma", "back\\slash"])
async def test_a_path_of_any_letters_is_understood(directory: Path, name: str) -> None:
    strange = directory / name
    strange.mkdir()
    strange.chmod(0o755)
    server = PostgresServer(strange)
    await started(server)
    try:
        assert await ask(server, "show data_directory") == str(server.engine.cluster)
    finally:
        await asyncio.to_thread(server.stop)
        shutil.rmtree(server.engine.socket_directory)


@pytest.mark.asyncio
async def test_a_frozen_server_does_not_answer_the_probe(directory: Path) -> None:
    server = PostgresServer(directory)
    await started(server)
    try:
        assert await server.engine.probe()
        server.freeze()
        with pytest.raises(DatabaseUnavailable):
            await server.engine.probe()
        server.thaw()
        await server.serves()
    finally:
        await asyncio.to_thread(server.stop)


def test_half_made_files_are_made_again(directory: Path) -> None:
    made = engine(directory)
    (directory / "postgres" / "cluster.new").mkdir(parents=True)
    (directory / "postgres" / "cluster.new" / "PG_VERSION").write_text("18\n")
    made.prepare(directory / "log")
    assert (made.cluster / "PG_VERSION").read_text() == "18\n"
    assert not (directory / "postgres" / "cluster.new").exists()
    assert list((directory / "postgres").glob("password*")) == []


def test_files_of_another_major_version_are_refused_and_left_alone(directory: Path) -> None:
    made = engine(directory)
    made.prepare(directory / "log")
    (made.cluster / "PG_VERSION").write_text("17\n")
    (made.cluster / "postmaster.pid").write_text("1\n")
    with pytest.raises(ConfigError) as caught:
        made.prepare(directory / "log")
    assert str(caught.value) == (
        f"database directory {made.cluster} is of PostgreSQL 17, this Kilocam brings 18: move its "
        "content with pg_upgrade, or choose another with --data"
    )
    assert (made.cluster / "postmaster.pid").exists()


@pytest.mark.skipif(not ROOT, reason="only root runs the server as another user")
def test_a_parent_that_the_servers_user_cannot_enter_is_named(directory: Path) -> None:
    closed = directory / "closed"
    (closed / "inner").mkdir(parents=True)
    closed.chmod(0o700)
    with pytest.raises(ConfigError) as caught:
        engine(closed / "inner").prepare(directory / "log")
    user = user_of(closed / "inner")
    assert str(caught.value) == (
        f"Postgres refuses to run as root and its user {user!r} cannot enter {closed} (above "
        f"{closed / 'inner' / 'postgres'}): run `chmod o+x {closed}`, choose another place "
        "(--data), or start Kilocam as an ordinary user"
    )


@pytest.mark.skipif(not ROOT, reason="only root runs the server as another user")
def test_a_place_is_known_to_be_wrong_before_anything_is_made(directory: Path) -> None:
    closed = directory / "closed"
    closed.mkdir(mode=0o700)
    with pytest.raises(ConfigError, match=f"cannot enter {closed}: run `chmod o\\+x {closed}`"):
        engine(closed).check_place()
    assert list(closed.iterdir()) == []
    closed.chmod(0o701)
    engine(closed).check_place()


@pytest.mark.skipif(not ROOT, reason="only root can make a file that belongs to another")
def test_files_of_another_user_are_refused(directory: Path) -> None:
    made = engine(directory)
    made.prepare(directory / "log")
    os.chown(made.cluster, 0, 0)
    with pytest.raises(ConfigError, match="whom the database runs as: `chown -R"):
        made.prepare(directory / "log")


@pytest.mark.skipif(not ROOT, reason="only root can make a directory that belongs to another")
def test_a_socket_directory_of_somebody_else_is_refused(directory: Path) -> None:
    made = engine(directory)
    made.prepare(directory / "log")
    shutil.rmtree(made.socket_directory)
    made.socket_directory.mkdir()
    os.chown(made.socket_directory, 1, 1)
    with pytest.raises(ConfigError, match="is not a directory of user"):
        made.prepare(directory / "log")


def test_a_file_in_the_way_is_told_in_one_line(directory: Path) -> None:
    (directory / "postgres").write_text("")
    with pytest.raises(ConfigError, match="is not a directory of user"):
        engine(directory).prepare(directory / "log")
