"""An H.265 camera from the wire to what was seen: simulated, recorded, looked at."""

import asyncio
from fractions import Fraction
from pathlib import Path
from random import Random

import av
import pytest
from av.video.stream import VideoStream
from tests.fakes.sink import MemorySink
from tests.fakes.stored_footage import pictures_of

from kilocam.analyse.detector import Detector
from kilocam.analyse.look import Looker, LookTask, Memory
from kilocam.analyse.stored import StoredPictures
from kilocam.core import CameraKey, GopRef, Piece, Session, SystemClock, Window
from kilocam.ingest import CameraSpec, Ingest, TcpDialler, probe
from kilocam.record.gops import GopTracker
from kilocam.simulate import Group, SimulatedFleet, Simulator

KEY = CameraKey("default", "gate")


@pytest.fixture(scope="module")
def film(street: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """6 s of the street as H.265 in MP4, a key frame a second."""
    file = tmp_path_factory.mktemp("film") / "street.mp4"
    with av.open(str(file), "w") as out:
        params = "keyint=10:min-keyint=10:scenecut=0:bframes=0:pools=1:log-level=none"
        options = {"preset": "ultrafast", "crf": "26", "x265-params": params}
        stream = out.add_stream("libx265", rate=Fraction(10), options=options)
        assert isinstance(stream, VideoStream)
        stream.width, stream.height, stream.pix_fmt = 640, 360, "yuv420p"
        for number, picture in enumerate(pictures_of(street, 200, 60)):
            small = picture.reformat(640, 360, "yuv420p")
            small.pts, small.time_base = number, Fraction(1, 10)
            out.mux(stream.encode(small))
        out.mux(stream.encode(None))
    return file


async def _recorded(url: str, seconds: float) -> MemorySink:
    sink = MemorySink()
    ingest = Ingest(sink=sink, clock=SystemClock(), random=Random(1), dialler=TcpDialler(), epoch=1)
    ingest.apply([CameraSpec(tenant=KEY.tenant, camera=KEY.camera, url=url)])
    running = asyncio.create_task(ingest.run())
    await asyncio.sleep(seconds)
    running.cancel()
    await asyncio.gather(running, return_exceptions=True)
    assert ingest.crashes == 0
    return sink


def _windows(session: Session, pieces: list[Piece]) -> list[GopRef]:
    tracker = GopTracker()
    found = (tracker.feed(session, piece, len(piece.payload)) for piece in pieces)
    return [ref for ref in found if ref is not None]


@pytest.mark.asyncio
async def test_an_h265_camera_is_recorded_in_windows_of_key_frames_and_looked_at(
    film: Path, detector: Detector
) -> None:
    async with Simulator(SimulatedFleet(groups=[Group(source=film, count=1)])) as simulator:
        report = await probe(simulator.url(0), seconds=3)
        sink = await _recorded(simulator.url(0), 5)
    (track,) = report.tracks
    assert (track.codec, track.width, track.height) == ("h265", 640, 360)
    assert (round(track.fps), track.key_frame_s) == (10, 1.0)
    (session,) = sink.sessions
    windows = _windows(session, sink.pieces)
    keys = {piece.key_us for piece in sink.pieces if piece.key_us}
    assert len(windows) >= 3
    assert {ref.codec for ref in windows} == {"h265"}
    assert {ref.start_us for ref in windows} <= keys
    assert windows[0].complexity == 0.0  # of the window before it
    assert all(ref.complexity > 0 for ref in windows[1:])
    looker, memory = Looker(detector, StoredPictures()), Memory()
    for ref in windows[:3]:
        outcome = looker.look(_task(ref, session, sink.pieces, memory))
        memory = outcome.memory
        assert sum(found.label == "person" for found in outcome.findings.objects) >= 2


def _task(ref: GopRef, session: Session, pieces: list[Piece], memory: Memory) -> LookTask:
    return LookTask(
        key=KEY,
        window=Window(
            tenant=ref.tenant,
            camera=ref.camera,
            start_us=ref.start_us,
            end_us=ref.start_us + 1_000_000,
        ),
        before=None,
        whole=False,
        footage=tuple((session, piece) for piece in pieces if piece.wall_us >= ref.gop_us),
        memory=memory,
    )
