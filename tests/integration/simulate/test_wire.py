"""The kernel's word on what has arrived, over real TCP."""

import asyncio
import socket

import pytest

from kilocam.simulate.wire import Wire

pytestmark = pytest.mark.asyncio


def pair() -> tuple[socket.socket, socket.socket]:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        near = socket.create_connection(listener.getsockname())
        far, _ = listener.accept()
    near.setblocking(False)
    far.setblocking(False)
    return near, far


async def eventually_acknowledged(wire: Wire, count: int) -> None:
    async with asyncio.timeout(10):
        while wire.acknowledged() != count:
            await asyncio.sleep(0.005)


async def test_what_the_peers_kernel_took_is_acknowledged_though_nobody_read_it() -> None:
    near, far = pair()
    wire = Wire(near, asyncio.get_running_loop(), backlog=1000)
    assert wire.offer(b"x" * 500)
    assert (wire.queued, wire.written()) == (500, 500)
    await eventually_acknowledged(wire, 500)
    wire.close()
    far.close()


async def test_a_full_backlog_refuses_whole_blocks_and_drains_in_order() -> None:
    near, far = pair()
    wire = Wire(near, asyncio.get_running_loop(), backlog=100_000)
    sent = bytearray()
    number = 0
    while wire.offer(block := bytes((number % 251,)) * 50_000):
        sent += block
        number += 1
    assert wire.queued == len(sent)
    assert wire.acknowledged() <= wire.written() < wire.queued
    assert not wire.is_overfull
    assert wire.answered == 0
    wire.write(b"an answer is never refused")
    assert wire.answered == len(b"an answer is never refused")
    sent += b"an answer is never refused"
    taken = bytearray()
    loop = asyncio.get_running_loop()
    async with asyncio.timeout(20):
        while len(taken) < len(sent):
            taken += await loop.sock_recv(far, 1 << 20)
    assert taken == sent
    await eventually_acknowledged(wire, len(sent))
    wire.close()
    far.close()


async def test_a_peer_that_resets_breaks_the_wire() -> None:
    near, far = pair()
    wire = Wire(near, asyncio.get_running_loop(), backlog=1000)
    wire.offer(b"never read")
    await eventually_acknowledged(wire, 10)
    far.close()  # with unread bytes: a reset
    async with asyncio.timeout(10):
        while not wire.broken:
            wire.offer(b"more")
            await asyncio.sleep(0.005)
    assert wire.read() == b""
    assert wire.acknowledged() >= 10
    wire.close()


async def test_a_reset_reaches_the_peer_as_a_reset() -> None:
    near, far = pair()
    wire = Wire(near, asyncio.get_running_loop(), backlog=1000)
    assert wire.read() is None
    wire.close(reset=True)
    with pytest.raises(ConnectionResetError):
        await asyncio.get_running_loop().sock_recv(far, 10)
    far.close()
