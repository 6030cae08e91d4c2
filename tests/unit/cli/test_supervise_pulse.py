import asyncio
import os

import pytest

from kilocam.cli.supervise_pulse import Heartbeats, Pulse, probe_forever


def test_silence_is_counted_in_the_supervisor_s_waking_time() -> None:
    pulse = Pulse()
    pulse.pass_time(3600.0, at_most=1.0)
    assert pulse.silent_s == 1.0
    pulse.pass_time(0.5, at_most=1.0)
    assert pulse.silent_s == 1.5
    pulse.beat(ready=True)
    assert pulse.silent_s == 0.0


@pytest.mark.asyncio
async def test_beats_may_come_in_pieces_and_garbage_is_no_sign_of_life() -> None:
    pulse = Pulse()
    beats = Heartbeats(pulse)
    os.write(beats.child_end, b'nonsense\n[]\n{"figures": 3}\n\xff\n{"state": "rec')
    await asyncio.sleep(0)
    beats._on_readable()
    assert not pulse.alive
    os.write(beats.child_end, b'ording", "ready": true, "figures": {"cameras": 4}}\n')
    beats.close()
    beats.started()
    assert (pulse.alive, pulse.ready) == (True, True)
    assert pulse.says == "recording"
    assert pulse.figures == {"cameras": 4.0}


@pytest.mark.asyncio
async def test_line_without_end_is_dropped_and_later_beats_are_heard() -> None:
    pulse = Pulse()
    beats = Heartbeats(pulse)
    for _ in range(3):
        os.write(beats.child_end, b"x" * 60_000)
        beats._on_readable()
    os.write(beats.child_end, b'\n{"state": "well", "ready": true}\n')
    beats._on_readable()
    beats.started()
    beats.close()
    assert pulse.says == "well"


@pytest.mark.asyncio
async def test_an_engine_that_served_and_then_froze_has_served() -> None:
    answers, pulse = [True, False], Pulse()

    async def probe() -> bool:
        if not answers:
            raise OSError("frozen")
        return answers.pop(0)

    probing = asyncio.create_task(probe_forever(pulse, probe, 1.0))
    async with asyncio.timeout(20):
        while not pulse.says.startswith("no answer"):
            await asyncio.sleep(0.01)
    probing.cancel()
    assert (pulse.ready, pulse.served) == (False, True)
    assert not Pulse().served


@pytest.mark.asyncio
async def test_an_engine_that_does_not_answer_in_time_is_said_to_be_late() -> None:
    pulse = Pulse()
    probing = asyncio.create_task(probe_forever(pulse, asyncio.Event().wait, 0.001))
    async with asyncio.timeout(20):
        while not pulse.says:
            await asyncio.sleep(0.01)
    probing.cancel()
    assert pulse.says == "no answer: TimeoutError"
