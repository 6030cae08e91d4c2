import asyncio

import pytest
from tests.fakes.pieces import START_US, piece, session

from kilocam.core import Piece, PieceFlag
from kilocam.ranges.follower import Follower

pytestmark = pytest.mark.asyncio
OPENED = session()


def made(number: int, *, keyed: bool = False) -> Piece:
    return piece(wall_us=START_US + number * 500_000, keyed=keyed, payload=bytes(1000))


async def test_pieces_are_given_in_order() -> None:
    follower = Follower()
    pieces = [made(0), made(1)]
    for one in pieces:
        follower.take_in(OPENED, one)
    assert await follower.next() == [(OPENED, one) for one in pieces]
    waiting = asyncio.create_task(follower.next())
    await asyncio.sleep(0)
    follower.take_in(OPENED, made(2))
    assert await waiting == [(OPENED, made(2))]


async def test_a_follower_too_slow_goes_on_at_the_next_key_frame_and_is_told() -> None:
    follower = Follower(limit=3000)
    for number in range(8):
        follower.take_in(OPENED, made(number, keyed=number == 6))
    got = [one for _, one in await follower.next()]
    assert [one.wall_us for one in got] == [made(6).wall_us, made(7).wall_us]
    assert got[0].flags == PieceFlag.KEY | PieceFlag.DISCONTINUITY
    assert got[1].flags == PieceFlag.NONE
    assert follower.dropped == 6


async def test_a_piece_over_the_limit_alone_is_still_given() -> None:
    follower = Follower(limit=10)
    follower.take_in(OPENED, made(0))
    assert len(await follower.next()) == 1
