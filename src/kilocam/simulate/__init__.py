"""Simulated cameras that keep a ledger of what they really sent: the judge of the recorder.

Owns: an RTSP server that plays files and test patterns as any number of cameras, their faults and
    quirks, and the exact truth of which packets reached the peer.
Never does: share code with the rooms it judges, but for the protocol, codecs and core values.
Start reading at: `content.py` (what all cameras share), then `record.py` (what is true of one
    connection); `docs/design/simulate.md` has the whole picture.
"""

from kilocam.simulate.content import Content
from kilocam.simulate.control import ControlSocket
from kilocam.simulate.errors import LedgerError, ListenError, SimulateError
from kilocam.simulate.faults import Away, Every, Faults
from kilocam.simulate.fleet import Group, SimulatedFleet, Source
from kilocam.simulate.ledger import Difference, Ledger, Missing, OnAir, SentSpan
from kilocam.simulate.record import ConnectionRecord, Mark, SentPacket, SentTrack
from kilocam.simulate.serve import PASSWORD_VARIABLE, files_fleet, serve, simulate, until_signal
from kilocam.simulate.server import Simulator

__all__ = [
    "PASSWORD_VARIABLE",
    "Away",
    "ConnectionRecord",
    "Content",
    "ControlSocket",
    "Difference",
    "Every",
    "Faults",
    "Group",
    "Ledger",
    "LedgerError",
    "ListenError",
    "Mark",
    "Missing",
    "OnAir",
    "SentPacket",
    "SentSpan",
    "SentTrack",
    "SimulateError",
    "SimulatedFleet",
    "Simulator",
    "Source",
    "files_fleet",
    "serve",
    "simulate",
    "until_signal",
]
