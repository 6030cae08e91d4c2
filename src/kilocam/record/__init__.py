"""The log: what cameras send, kept as it came, given back by (camera, from, to).

Owns: the format of `.kcw` files, writing, index, recovery, retention, reading, verification, and
where GOPs begin. docs/design/log.md numbers its invariants (I) and procedures (P).
Never does: protocols of cameras, the queue, the database, HTTP, decoding; nor asyncio.
Start reading at: `writer.py` for writing, `archive.py` for reading, `format.py` for the bytes.
"""

from kilocam.record.archive import Archive, PieceMark
from kilocam.record.errors import FormatError, LogError
from kilocam.record.gops import GopSink, Position
from kilocam.record.index import Entry
from kilocam.record.live import DiskStatus, LiveAnswer, LiveFile, LiveView, LogStatus
from kilocam.record.names import list_names, log_files, prepare_paths
from kilocam.record.options import LogOptions
from kilocam.record.replay import replay
from kilocam.record.verify import Damage, FileOk, RecordLine, list_records, verify_files
from kilocam.record.writer import LogWriter

__all__ = [
    "Archive",
    "Damage",
    "DiskStatus",
    "Entry",
    "FileOk",
    "FormatError",
    "GopSink",
    "LiveAnswer",
    "LiveFile",
    "LiveView",
    "LogError",
    "LogOptions",
    "LogStatus",
    "LogWriter",
    "PieceMark",
    "Position",
    "RecordLine",
    "list_names",
    "list_records",
    "log_files",
    "prepare_paths",
    "replay",
    "verify_files",
]
