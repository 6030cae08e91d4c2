"""One connection per camera: packets in, pieces out.

Owns: sockets, turns, reconnection, the stream clock, the gate, probing.
Never does: files, the queue, decoding; it does not know where pieces go.
Start reading at: `recorder.py`, then `stream.py` and `scanner.py`, the hot path.
"""

from kilocam.ingest.connect import Connected, Dialler, TcpDialler, connect
from kilocam.ingest.errors import ConnectFailed, IngestError
from kilocam.ingest.probe import ProbeReport, TrackReport, probe
from kilocam.ingest.recorder import Ingest
from kilocam.ingest.sink import PieceSink
from kilocam.ingest.spec import CameraSpec, CameraState, CameraStatus

__all__ = [
    "CameraSpec",
    "CameraState",
    "CameraStatus",
    "ConnectFailed",
    "Connected",
    "Dialler",
    "Ingest",
    "IngestError",
    "PieceSink",
    "ProbeReport",
    "TcpDialler",
    "TrackReport",
    "connect",
    "probe",
]
