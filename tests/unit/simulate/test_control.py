import asyncio
import json
import random
import time
from pathlib import Path

import pytest

from kilocam.simulate.camera import Camera
from kilocam.simulate.content import Content
from kilocam.simulate.control import ControlSocket
from kilocam.simulate.errors import SimulateError
from kilocam.simulate.faults import Faults
from kilocam.simulate.fleet import CameraPlan

pytestmark = pytest.mark.asyncio


class Steered:
    """Two cameras without a server."""

    def __init__(self, content: Content) -> None:
        self.worst_late_s = 0.0032
        self.saved: list[Path] = []
        self.cameras = [
            Camera(
                CameraPlan(index=index, content=content, faults=Faults(), phase_s=0),
                asyncio.get_running_loop(),
                born=time.monotonic(),
                born_us=0,
                dice=random.Random(1),
            )
            for index in range(2)
        ]

    async def save(self, path: Path) -> None:
        self.saved.append(path)

    def close(self) -> None:
        for camera in self.cameras:
            camera.close()


class FakeClient:
    def __init__(self) -> None:
        self.ended: list[str] = []

    def end(self, reason: str, *, reset: bool = False) -> None:
        self.ended.append(reason)


async def obey(steered: Steered, order: object) -> dict[str, object]:
    control = ControlSocket(steered, None, Path("ledger.jsonl"))
    return await control.obey(json.dumps(order).encode())


async def test_orders_strike_the_camera_that_is_meant(content: Content) -> None:
    steered = Steered(content)
    first, second = steered.cameras
    client = FakeClient()
    first.clients.add(client)
    for order in (
        {"do": "flap", "camera": 0, "seconds": 30},
        {"do": "stall", "camera": 0, "seconds": 30},
        {"do": "jump", "camera": 0, "seconds": -2.5},
        {"do": "lose", "camera": 0, "share": 0.25},
    ):
        assert await obey(steered, order) == {"ok": True}
    assert client.ended == ["flap"]
    assert (first.is_away, first.temper.stalled) == (True, True)
    assert (first.temper.jump_us, first.temper.lose) == (-2_500_000, 0.25)
    assert (second.is_away, second.temper.stalled, second.temper.jump_us) == (False, False, 0)
    assert await obey(steered, {"do": "resume"}) == {"ok": True}
    assert not first.temper.stalled
    steered.close()


async def test_an_order_without_a_camera_strikes_all(content: Content) -> None:
    steered = Steered(content)
    await obey(steered, {"do": "jump"})
    await obey(steered, {"do": "jump", "camera": 1})
    assert [camera.temper.jump_us for camera in steered.cameras] == [10_000_000, 0]
    steered.close()


async def test_the_ledger_is_saved_on_request(content: Content) -> None:
    steered = Steered(content)
    assert await obey(steered, {"do": "save"}) == {"ok": True}
    assert steered.saved == [Path("ledger.jsonl")]
    answer = await ControlSocket(steered, None, None).obey(b'{"do": "save"}')
    assert answer == {
        "ok": False,
        "error": "control: there is no ledger file; start the simulator with one",
    }
    steered.close()


async def test_the_status_counts_who_plays(content: Content) -> None:
    steered = Steered(content)
    steered.cameras[1].clients.add(FakeClient())
    status = await obey(steered, {"do": "status"})
    assert status == {"ok": True, "playing": 1, "worst_late_ms": 3.2}
    steered.close()


@pytest.mark.parametrize(
    ("order", "error"),
    [
        ({"do": "explode", "camera": 0}, "cannot do 'explode'"),
        ({"do": "lose", "camera": 0}, "cannot do 'lose'"),
        ({"do": "flap", "camera": 9}, "there is no camera 9; choose from 0 to 1"),
        ({"do": "flap", "camera": "x"}, "there is no camera 'x'"),
        ({"do": "stall", "camera": 0, "seconds": "long"}, "could not convert"),
        ([1, 2], "not an order"),
    ],
)
async def test_a_wrong_order_is_explained(content: Content, order: object, error: str) -> None:
    steered = Steered(content)
    answer = await obey(steered, order)
    assert answer["ok"] is False
    assert error in str(answer["error"])
    steered.close()


async def test_a_socket_takes_one_order_a_line(content: Content, tmp_path: Path) -> None:
    steered, path = Steered(content), tmp_path / "control"
    async with ControlSocket(steered, path, None):
        reader, writer = await asyncio.open_unix_connection(str(path))
        writer.write(b'{"do": "jump", "camera": 0}\nno json\n')
        assert json.loads(await reader.readline()) == {"ok": True}
        assert json.loads(await reader.readline())["ok"] is False
        writer.close()
        await writer.wait_closed()
    assert not path.exists()
    assert steered.cameras[0].temper.jump_us == 10_000_000
    steered.close()


async def test_a_socket_that_cannot_be_made_is_named(content: Content, tmp_path: Path) -> None:
    steered, path = Steered(content), tmp_path / "missing" / "control"
    with pytest.raises(SimulateError, match=r"control socket .*missing/control cannot be made"):
        async with ControlSocket(steered, path, None):
            pass
    steered.close()
