"""Walking stored GOPs again from a position (P8), for a queue that was away."""

import contextlib
import heapq
import logging
import os
from collections.abc import Iterator, Sequence
from dataclasses import replace
from operator import itemgetter
from pathlib import Path

from kilocam.core import CameraKey, GopRef, Piece, Session
from kilocam.record.errors import FormatError
from kilocam.record.format import Kind, leaf_matches, piece_of, session_of
from kilocam.record.gops import GOP_LIMIT_US, GopTracker, Position
from kilocam.record.names import FileName, list_names
from kilocam.record.scan import Found, scan
from kilocam.record.stored import SealedFile

_log = logging.getLogger(__name__)
_Step = tuple[int, Session, Piece, int, bool]
"""Sequence, session, the piece without its payload, its size, whether its file is sealed."""


def replay(paths: Sequence[Path], position: Position) -> Iterator[tuple[GopRef, Position]]:
    """Windows of stored footage after a position; headers only are read.

    Starts a minute earlier than asked, so that every tracker stands where it stood when the piece
    was appended, and yields what lies after `position`. References from sealed files are durable.
    Each window comes once: of stored footage the next window tells more than an onset.

    Raises:
        OSError: no path can be listed.
    """
    warm = max(0, position.sequence - GOP_LIMIT_US)
    trackers: dict[CameraKey, GopTracker] = {}
    walks = [_walk(chain, warm) for chain in _chains(paths, position.recorder)]
    before = 0
    for sequence, session, piece, size, durable in heapq.merge(*walks, key=itemgetter(0)):
        if sequence == before:
            continue
        before = sequence
        key = CameraKey(piece.tenant, piece.camera)
        ref = trackers.setdefault(key, GopTracker()).feed(session, piece, size)
        if ref is not None and not ref.onset and sequence > position.sequence:
            place = Position(recorder=position.recorder, sequence=sequence)
            yield replace(ref, durable=durable), place


def _chains(paths: Sequence[Path], recorder: str) -> list[list[tuple[Path, FileName]]]:
    """Files of a recorder by path and class: in each chain the next begins where one ends."""
    chains: dict[tuple[Path, int], list[tuple[Path, FileName]]] = {}
    failed: list[OSError] = []
    for path in paths:
        try:
            names = list_names(path)
        except OSError as error:
            # One bad disk of several must not keep what is on the others from the queue.
            failed.append(error)
            if len(failed) == len(paths):
                raise
            _log.warning("storage path %s: its windows are passed over: %s", path, error)
            continue
        for name in names:
            if name.recorder == recorder:
                chains.setdefault((path, name.keep_s), []).append((path / str(name), name))
    return list(chains.values())


def _walk(chain: list[tuple[Path, FileName]], after: int) -> Iterator[_Step]:
    """Pieces of a chain from a sequence on, with sequences that never go back."""
    first = len(chain)
    while first and _reaches(*chain[first - 1], after):
        first -= 1
    highest = after
    for file, name in chain[first:]:
        for step in _pieces(file, name, after):
            highest = max(highest, step[0])
            yield (highest, *step[1:])


def _reaches(file: Path, name: FileName, after: int) -> bool:
    if not name.sealed:
        return True
    try:
        with file.open("rb") as opened:
            return SealedFile(opened.fileno(), file, check=False).footer.last_sequence >= after
    except FileNotFoundError:
        return False
    except FormatError:
        return True  # its records may still be readable


def _pieces(file: Path, name: FileName, after: int) -> Iterator[_Step]:
    fd = _open(file, name)
    if fd is None:
        return
    sessions: dict[CameraKey, Session] = {}
    try:
        for found in scan(fd, 0, os.fstat(fd).st_size, resync=name.sealed):
            if not isinstance(found, Found):
                continue
            header = found.header
            if header.kind == Kind.SESSION:
                payload = found.payload(fd)
                if leaf_matches(header, payload):
                    with contextlib.suppress(FormatError):
                        sessions[header.key] = session_of(payload)
            elif header.kind == Kind.PIECE and header.sequence >= after:
                session = sessions.get(header.key)
                if session is not None and session.session == header.session:
                    piece = piece_of(header, b"")
                    yield header.sequence, session, piece, header.payload_length, name.sealed
    finally:
        os.close(fd)


def _open(file: Path, name: FileName) -> int | None:
    """A file, also when it was sealed and so renamed since it was listed."""
    with contextlib.suppress(FileNotFoundError):
        return os.open(file, os.O_RDONLY | os.O_CLOEXEC)
    for found in list_names(file.parent):
        if found.identity == name.identity:
            with contextlib.suppress(FileNotFoundError):
                return os.open(file.parent / str(found), os.O_RDONLY | os.O_CLOEXEC)
    return None
