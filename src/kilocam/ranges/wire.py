r"""What goes over a recorder's socket: a JSON line each way, then records as in the log.

    → {"op": "range", "tenant": "t", "camera": "c", "from_us": 1, "to_us": 2, "exact": false}\n
    ← {"ok": true}\n  SESSION  PIECE  PIECE ...  END
    ← {"ok": false, "error": "..."}\n

`where` and `status` may be asked again and again over one connection; `range` and `follow` end it,
and so does an error. HTTP would add a parser and a framing of its own to bytes that already
carry their length, their kind and their checksum.
"""

import json
from dataclasses import asdict
from pathlib import Path
from typing import Any

from kilocam.core import CameraKey, ConfigError, check_id
from kilocam.ranges.errors import LocalProtocolError, RemoteProtocolError
from kilocam.record import DiskStatus, Entry, LiveAnswer, LiveFile, LogStatus
from kilocam.record.format import Kind, Origin, pack_record

LINE_LIMIT = 64 << 10
PAYLOAD_LIMIT = 64 << 20
Json = dict[str, Any]  # Any: decoded JSON, checked field by field below
_ENCODER = json.JSONEncoder(separators=(",", ":"))


def encode_line(values: Json) -> bytes:
    """One JSON line."""
    return _ENCODER.encode(values).encode() + b"\n"


def decode_line(line: bytes | bytearray) -> Json:
    """One JSON line.

    Raises:
        RemoteProtocolError: it is none.
    """
    try:
        values = json.loads(line.decode())
    except ValueError:
        values = None
    if not isinstance(values, dict):
        raise RemoteProtocolError(f"not a JSON object: {line[:80]!r}")
    return values


def key_of(request: Json) -> CameraKey:
    """The camera of a request.

    Raises:
        LocalProtocolError: it names none.
    """
    try:
        tenant = check_id("tenant", str(request.get("tenant")))
        camera = check_id("camera", str(request.get("camera")))
    except ConfigError as error:
        raise LocalProtocolError(str(error)) from None
    return CameraKey(tenant, camera)


def time_of(request: Json, name: str) -> int:
    """A time of a request.

    Raises:
        LocalProtocolError: it is missing or no integer.
    """
    value = request.get(name)
    if not isinstance(value, int):
        raise LocalProtocolError(f"{name} is {value!r}; give microseconds since 1970 UTC")
    return value


def end_record() -> bytes:
    """Says that a stream of records is complete."""
    return pack_record(Origin(None, 0, 0), Kind.END, 0, b"")


def answer_to_json(answer: LiveAnswer) -> Json:
    """`where`'s answer."""
    files = [
        {"path": str(file.path), "epoch": file.epoch, "entries": [list(e) for e in file.entries]}
        for file in answer.files
    ]
    return {"ok": True, "files": files}


def answer_from_json(values: Json) -> LiveAnswer:
    """`where`'s answer.

    Raises:
        RemoteProtocolError: it is none.
    """
    try:
        return LiveAnswer(
            files=tuple(
                LiveFile(
                    path=Path(file["path"]),
                    epoch=int(file["epoch"]),
                    entries=tuple(Entry(*map(int, entry)) for entry in file["entries"]),
                )
                for file in values["files"]
            )
        )
    except (KeyError, TypeError, ValueError) as error:
        raise RemoteProtocolError(f"the recorder's answer cannot be read: {error!r}") from None


def status_to_json(status: LogStatus) -> Json:
    """`status`'s answer."""
    return {"ok": True, **asdict(status)}


def status_from_json(values: Json) -> LogStatus:
    """`status`'s answer.

    Raises:
        RemoteProtocolError: it is none.
    """
    try:
        return LogStatus(
            recorder=values["recorder"],
            epoch=values["epoch"],
            cameras=values["cameras"],
            accepted=values["accepted"],
            durable=values["durable"],
            disks=tuple(DiskStatus(**disk) for disk in values["disks"]),
        )
    except (KeyError, TypeError) as error:
        raise RemoteProtocolError(f"the recorder's answer cannot be read: {error!r}") from None


def checked(values: Json) -> Json:
    """An answer's first line if the recorder agreed.

    Raises:
        LocalProtocolError: it refused.
    """
    if values.get("ok") is not True:
        raise LocalProtocolError(f"the recorder refused: {values.get('error')}")
    return values
