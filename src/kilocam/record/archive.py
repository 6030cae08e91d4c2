"""Reading footage of any age from the files (P6): what exists, what is missing, the bytes.

Owns: `Archive`. It is synchronous and may be used from several threads and processes; nothing in it
needs a recorder to be alive.
"""

import contextlib
import heapq
import os
from bisect import bisect_right
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

from kilocam.core import CameraKey, Gap, GapCause, Piece, PieceFlag, Session, Span
from kilocam.record.coverage import merge, tile
from kilocam.record.errors import FormatError
from kilocam.record.format import Header, Kind, gap_of, leaf_matches, piece_of, session_of
from kilocam.record.gops import GOP_LIMIT_US
from kilocam.record.index import TOLERANCE_US, Entry
from kilocam.record.listing import Identity, Listed
from kilocam.record.live import LiveView
from kilocam.record.scan import read_whole
from kilocam.record.shelf import Holding, Shelf


class PieceMark(NamedTuple):
    """A stored piece without its bytes; `moment` orders (never goes back within an epoch)."""

    moment: int
    epoch: int
    sequence: int
    holding: Holding
    entry: Entry


class Archive:
    """Footage by (camera, from, to), over every file of some data paths."""

    def __init__(self, paths: Sequence[Path], live: LiveView | None = None) -> None:
        """`live` spares scanning the files being written; without it they are scanned."""
        self._shelf = Shelf(paths, live)

    def keys(self) -> list[CameraKey]:
        """Cameras of which something is stored."""
        found: set[CameraKey] = set()
        for listed in self._newest():
            record = self._shelf.record(listed)
            if record is not None:
                found.update(record.last)
            found.update(self._shelf.keys_of(listed))
        return sorted(found)

    def spans(self, key: CameraKey, from_us: int, to_us: int) -> list[Span]:
        """Footage that exists; neighbours are one span (log.md, "Coverage")."""
        return self.coverage(key, from_us, to_us)[0]

    def gaps(self, key: CameraKey, from_us: int, to_us: int) -> list[Gap]:
        """What is missing between the first and the last known moment, and why."""
        return self.coverage(key, from_us, to_us)[1]

    def coverage(self, key: CameraKey, from_us: int, to_us: int) -> tuple[list[Span], list[Gap]]:
        """Spans and gaps in one reading; they do not overlap and leave nothing out."""
        low, high = from_us - 2 * TOLERANCE_US, to_us + 2 * TOLERANCE_US
        footage: list[Span] = []
        gaps: list[Gap] = []
        with _Reader(self._shelf) as reader:
            for holding in self._shelf.holdings(key, low, high, outline=True):
                for entry in holding.entries:
                    if entry.kind == Kind.PIECE and entry.touches(low, high):
                        footage.append(Span(start_us=entry.wall_us, end_us=entry.end_us))
                    elif entry.kind == Kind.GAP and entry.touches(low, high):
                        gaps.append(reader.gap(holding, entry))
        lower, upper = self._bounds(key, low, high, [*footage, *gaps])
        if lower >= upper:
            return [], []
        spans, holes = tile(footage, gaps, lower, upper)
        return _clip_spans(spans, from_us, to_us), _clip_gaps(holes, from_us, to_us)

    def sessions(self, key: CameraKey, from_us: int, to_us: int) -> list[Session]:
        """Sessions with footage in [from_us, to_us), by the time they started."""
        found: dict[tuple[int, int], Session] = {}
        for holding in self._shelf.holdings(key, from_us, to_us):
            wanted = {
                entry.session
                for entry in holding.entries
                if entry.kind == Kind.PIECE and entry.touches(from_us, to_us)
            }
            with _Reader(self._shelf) as reader:
                for number in wanted:
                    session = reader.session(holding, number)
                    if session is not None:
                        found[session.epoch, session.session] = session
        return sorted(found.values(), key=lambda session: (session.started_us, session.session))

    def pieces(
        self, key: CameraKey, from_us: int, to_us: int, *, exact: bool = False
    ) -> Iterator[tuple[Session, Piece]]:
        """Pieces of [from_us, to_us) by wall time, each with its session.

        Begins at the last key frame at or before `from_us` that footage connects to it, or with
        `exact` at the piece that covers `from_us`. Where recorders overlap the higher epoch is
        given. Altered payloads are given with the flag DAMAGED; records deleted meanwhile are
        passed over.
        """
        yield from self.read(self._from(key, from_us, to_us, exact=exact))

    def marks(self, key: CameraKey, from_us: int, to_us: int) -> list[PieceMark]:
        """The pieces of [from_us, to_us) in the order of `pieces`, found without reading them."""
        return self._parts(key, from_us, to_us)

    def read(self, marks: Iterable[PieceMark]) -> Iterator[tuple[Session, Piece]]:
        """The pieces behind some marks, in their order; those deleted meanwhile are passed over."""
        with _Reader(self._shelf) as reader:
            for mark in marks:
                read = reader.piece(mark.holding, mark.entry)
                if read is not None:
                    yield read

    def records(
        self, key: CameraKey, from_us: int, to_us: int, *, exact: bool = False
    ) -> Iterator[bytes]:
        """The same as `pieces`, as records byte for byte as stored; each session's record first."""
        parts = self._from(key, from_us, to_us, exact=exact)
        sent: tuple[int, int] | None = None
        with _Reader(self._shelf) as reader:
            for part in parts:
                opening = reader.opening(part.holding, part.entry.session)
                record = reader.raw(part.holding, part.entry)
                if opening is None or record is None:
                    continue
                if (part.epoch, part.entry.session) != sent:
                    sent = part.epoch, part.entry.session
                    yield opening[1]
                yield record

    def _from(self, key: CameraKey, from_us: int, to_us: int, *, exact: bool) -> list[PieceMark]:
        """The parts to give; mostly a key frame was asked for, and nothing before it matters."""
        parts = self._parts(key, from_us, to_us)
        reached = _reached(parts, from_us)
        if exact or (reached < len(parts) and 0 < parts[reached].entry.key_us <= from_us):
            return parts[reached:]
        parts = self._parts(key, from_us - GOP_LIMIT_US, to_us)
        return parts[_run_up(parts, from_us) :]

    def _parts(self, key: CameraKey, from_us: int, to_us: int) -> list[PieceMark]:
        epochs: dict[int, list[tuple[int, Holding, Entry]]] = {}
        for holding in self._shelf.holdings(key, from_us, to_us):
            for entry in holding.entries:
                if entry.kind == Kind.PIECE and entry.touches(from_us, to_us):
                    epochs.setdefault(holding.epoch, []).append((entry.sequence, holding, entry))
        above: list[Span] = []
        streams: list[list[PieceMark]] = []
        for epoch in sorted(epochs, reverse=True):
            stream = _in_order(epoch, epochs[epoch])
            streams.append([part for part in stream if not _covered(above, part.entry.wall_us)])
            if len(streams) < len(epochs):
                above = merge([*above, *_stretches(stream)])
        return list(heapq.merge(*streams, key=lambda part: part[:3]))

    def _newest(self) -> list[Listed]:
        """The newest file of each recorder and class, and every one being written."""
        files = self._shelf.files()
        newest = {(f.name.recorder, f.name.keep_s): f for f in files if f.name.sealed}
        return [*newest.values(), *(f for f in files if not f.name.sealed)]

    def _bounds(
        self, key: CameraKey, low: int, high: int, parts: Sequence[Span | Gap]
    ) -> tuple[int, int]:
        """The known part of [low, high): from the first moment ever stored to the last."""
        lower = min((part.start_us for part in parts), default=high)
        if lower > low and self._known_before(key, low):
            lower = low
        upper = max((part.end_us for part in parts), default=low)
        if upper < high and self._known_after(key, high):
            upper = high
        return max(low, lower), min(high, upper)

    def _known_before(self, key: CameraKey, moment: int) -> bool:
        """Whether anything of the camera was stored before `moment`.

        A file's first record tells what its recorder had stored before it, so the last file begun
        before `moment` and the first one after it are enough, for each recorder and class.
        """
        before: dict[tuple[str, int], Listed] = {}
        after: dict[tuple[str, int], Listed] = {}
        for listed in self._shelf.files():
            group = listed.name.recorder, listed.name.keep_s
            if listed.name.created_us <= moment:
                before[group] = listed
            else:
                after.setdefault(group, listed)
        for listed in (*before.values(), *after.values()):
            record = self._shelf.record(listed)
            if record is not None and record.last.get(key, moment) < moment:
                return True
            if self._spans_of(listed, key)[0] < moment:
                return True
        return False

    def _known_after(self, key: CameraKey, moment: int) -> bool:
        """Whether anything of the camera is stored at or after `moment`."""
        for listed in self._newest():
            record = self._shelf.record(listed)
            if record is not None and record.last.get(key, 0) >= moment:
                return True
            if self._spans_of(listed, key)[1] >= moment:
                return True
        return False

    def _spans_of(self, listed: Listed, key: CameraKey) -> tuple[int, int]:
        """First and last moment of a camera in a file; an empty stretch without any."""
        _, entries = self._shelf.contents(listed, key)
        timed = [entry for entry in entries if entry.kind != Kind.SESSION]
        return (
            min((entry.wall_us for entry in timed), default=_FOREVER),
            max((entry.end_us for entry in timed), default=0),
        )


_FOREVER = 1 << 62


class _Reader:
    """Reads records, keeping the last few files open and the sessions it met."""

    _OPEN = 8

    def __init__(self, shelf: Shelf) -> None:
        self._shelf = shelf
        self._fds: dict[Identity, int] = {}
        self._sessions: dict[tuple[Identity, int], tuple[Session, bytes] | None] = {}

    def __enter__(self) -> "_Reader":
        return self

    def __exit__(self, *_: object) -> None:
        for fd in self._fds.values():
            os.close(fd)
        self._fds.clear()

    def piece(self, holding: Holding, entry: Entry) -> tuple[Session, Piece] | None:
        """A piece with its session; None when it is gone or its header is damaged."""
        opening = self.opening(holding, entry.session)
        read = self._record(holding, entry)
        if opening is None or read is None:
            return None
        header, payload = read
        whole = leaf_matches(header, payload)
        extra = PieceFlag.NONE if whole else PieceFlag.DAMAGED | PieceFlag.LOST
        return opening[0], piece_of(header, payload, extra)

    def gap(self, holding: Holding, entry: Entry) -> Gap:
        """A gap; of unknown cause when its record is damaged, for its times stand elsewhere too."""
        read = self._record(holding, entry)
        if read is not None and leaf_matches(*read):
            with contextlib.suppress(FormatError):
                return gap_of(read[1])
        return Gap(
            start_us=entry.wall_us,
            end_us=entry.end_us,
            cause=GapCause.UNKNOWN,
            detail="its cause cannot be read any more",
        )

    def session(self, holding: Holding, number: int) -> Session | None:
        """A session; None when it is gone or damaged."""
        opening = self.opening(holding, number)
        return None if opening is None else opening[0]

    def opening(self, holding: Holding, number: int) -> tuple[Session, bytes] | None:
        """A session and its record: of this file (I5), or of one beside it if that is damaged."""
        name = holding.identity, number
        if name not in self._sessions:
            self._sessions[name] = self._read_session(holding, number) or next(
                (
                    read
                    for near in self._shelf.neighbours(holding)
                    if near.epoch == holding.epoch
                    and (read := self._read_session(near, number)) is not None
                ),
                None,
            )
            if len(self._sessions) > 256:
                self._sessions.pop(next(iter(self._sessions)))
        return self._sessions[name]

    def _read_session(self, holding: Holding, number: int) -> tuple[Session, bytes] | None:
        for entry in holding.entries:
            if entry.kind == Kind.SESSION and entry.session == number:
                read = self._whole(holding, entry)
                if read is None:
                    continue
                header, record = read
                payload = record[header.header_length :]
                if leaf_matches(header, payload):
                    with contextlib.suppress(FormatError):
                        return session_of(payload), record
        return None

    def raw(self, holding: Holding, entry: Entry) -> bytes | None:
        """A record's bytes as stored; None when it is gone or its header is damaged."""
        read = self._whole(holding, entry)
        return None if read is None else read[1]

    def _record(self, holding: Holding, entry: Entry) -> tuple[Header, bytes] | None:
        """Header and payload of a record; None when it is gone or its header is damaged."""
        read = self._whole(holding, entry)
        return None if read is None else (read[0], read[1][read[0].header_length :])

    def _whole(self, holding: Holding, entry: Entry) -> tuple[Header, bytes] | None:
        with contextlib.suppress(FileNotFoundError, FormatError):
            return read_whole(self._fd(holding), entry.offset, entry.length, holding.path)
        return None

    def _fd(self, holding: Holding) -> int:
        fd = self._fds.get(holding.identity)
        if fd is None:
            try:
                fd = os.open(holding.path, os.O_RDONLY | os.O_CLOEXEC)
            except FileNotFoundError:
                renamed = self._shelf.find(holding.identity)
                if renamed is None:
                    raise
                fd = os.open(renamed, os.O_RDONLY | os.O_CLOEXEC)
            if len(self._fds) >= self._OPEN:
                os.close(self._fds.pop(next(iter(self._fds))))
            self._fds[holding.identity] = fd
        return fd


def _soft_end(entry: Entry) -> int:
    """Where the next piece may still begin without a hole."""
    return entry.end_us + TOLERANCE_US


def _stretches(stream: list[PieceMark]) -> list[Span]:
    """What a run covers, holes up to the tolerance included."""
    soft = [Span(start_us=p.entry.wall_us, end_us=_soft_end(p.entry)) for p in stream]
    return [Span(start_us=span.start_us, end_us=span.end_us - TOLERANCE_US) for span in merge(soft)]


def _covered(spans: list[Span], moment: int) -> bool:
    at = bisect_right(spans, moment, key=lambda span: span.start_us) - 1
    return at >= 0 and moment < spans[at].end_us


def _in_order(epoch: int, found: list[tuple[int, Holding, Entry]]) -> list[PieceMark]:
    """Pieces of one recorder's run in the order they came, each once (I9, I12)."""
    parts: list[PieceMark] = []
    moment = before = -1
    for sequence, holding, entry in sorted(found, key=lambda item: item[0]):
        if sequence == before:
            continue
        before = sequence
        moment = max(moment, entry.wall_us)
        parts.append(PieceMark(moment, epoch, sequence, holding, entry))
    return parts


def _reached(parts: list[PieceMark], from_us: int) -> int:
    return next((i for i, p in enumerate(parts) if p.entry.end_us > from_us), len(parts))


def _run_up(parts: list[PieceMark], from_us: int) -> int:
    """The part with the last key frame at or before a moment that footage connects to it."""
    reached = _reached(parts, from_us)
    if reached == len(parts):
        return reached
    for at in range(reached, -1, -1):
        entry = parts[at].entry
        if at < reached and parts[at + 1].moment > _soft_end(entry):
            break
        if entry.key_us and entry.key_us <= from_us:
            return at
    return reached


def _clip_spans(spans: list[Span], from_us: int, to_us: int) -> list[Span]:
    clipped = [
        Span(start_us=max(span.start_us, from_us), end_us=min(span.end_us, to_us)) for span in spans
    ]
    return [span for span in clipped if span.start_us < span.end_us]


def _clip_gaps(gaps: list[Gap], from_us: int, to_us: int) -> list[Gap]:
    clipped = [
        Gap(
            start_us=max(gap.start_us, from_us),
            end_us=min(gap.end_us, to_us),
            cause=gap.cause,
            detail=gap.detail,
        )
        for gap in gaps
    ]
    return [gap for gap in clipped if gap.start_us < gap.end_us]
