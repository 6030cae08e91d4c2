"""Owns: the truth about all cameras, its file, and the questions a judge asks of it.

The file is JSON lines; the packets themselves lie beside it, once per content. "Sent" means
acknowledged by the peer's kernel. What the sender's kernel took but nobody acknowledged may have
arrived or not, so a recorder's store must hold all that was acknowledged and nothing beyond what
was written.
"""

import json
from array import array
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, Self, TypeAlias

from blake3 import blake3

from kilocam.simulate.content import Content
from kilocam.simulate.errors import LedgerError
from kilocam.simulate.record import (
    CameraLife,
    ConnectionRecord,
    Mark,
    SentPacket,
    SentTrack,
    Skip,
    Skipped,
)

_VERSION = 1
Until: TypeAlias = Literal["acknowledged", "written"]


@dataclass(frozen=True, slots=True, kw_only=True)
class SentSpan:
    """Packets sent in a stretch of time: [from, to)."""

    packets: int
    octets: int
    first_us: int
    """When the first of them was sent; 0 without packets."""
    last_us: int
    media_us: int
    """From the first block sent to the last one, by the camera's clock."""
    hash: str
    """BLAKE3 over each packet's length (4 bytes, big-endian) and bytes, in the order sent."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Missing:
    """A stretch in which a camera sent nothing, and why."""

    start_us: int
    end_us: int
    cause: str


@dataclass(frozen=True, slots=True, kw_only=True)
class OnAir:
    """The picture a camera saw last at some moment."""

    loop: int
    picture: int
    taken_us: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Difference:
    """Where what is stored first departs from what was sent."""

    at: int
    """Packets before it that agree."""
    what: Literal["missing", "differs", "never sent"]
    expected: SentPacket | None
    stored: bytes | None

    def __str__(self) -> str:
        if self.expected is None:
            return f"after {self.at} packets: a packet is stored that was never sent"
        kind = "RTCP" if self.expected.rtcp else f"seq {int.from_bytes(self.expected.data[2:4])}"
        place = f"track {self.expected.track}, {kind}, block {self.expected.block}"
        return f"after {self.at} packets: {self.what} ({place})"


class Ledger:
    """Cameras, their contents and their connections."""

    def __init__(self) -> None:
        self.contents: dict[str, Content] = {}
        self.cameras: dict[int, CameraLife] = {}
        self._connections: dict[int, list[ConnectionRecord]] = {}

    def add_camera(self, life: CameraLife, content: Content) -> None:
        """Name a camera before it is played."""
        self.contents[content.digest] = content
        self.cameras[life.camera] = life
        self._connections[life.camera] = []

    def add(self, record: ConnectionRecord) -> None:
        """Keep a connection that begins; its number must be the next one of its camera."""
        assert record.connection == len(self._connections[record.life.camera])
        self._connections[record.life.camera].append(record)

    def content(self, camera: int) -> Content:
        """What a camera plays."""
        return self.contents[self.cameras[camera].content]

    def connections(self, camera: int) -> list[ConnectionRecord]:
        """The connections that played a camera, oldest first."""
        return self._connections[camera]

    # -- questions -----------------------------------------------------------------------------

    def sent(
        self, camera: int, connection: int, *, until: Until = "acknowledged"
    ) -> Iterator[SentPacket]:
        """Every packet of a connection, RTP and RTCP in the order sent."""
        record = self._connections[camera][connection]
        mark = record.acknowledged if until == "acknowledged" else record.written
        return record.sent(self.content(camera), mark)

    def expected_packets(
        self, camera: int, connection: int, *, rtcp: bool = True, until: Until = "acknowledged"
    ) -> Iterator[bytes]:
        """The same as plain packets, without the interleaved frame's header."""
        for packet in self.sent(camera, connection, until=until):
            if rtcp or not packet.rtcp:
                yield packet.data

    def sent_between(self, camera: int, from_us: int, to_us: int) -> Iterator[SentPacket]:
        """Every packet sent in [from, to) on any connection, connection after connection."""
        content = self.content(camera)
        for record in self._connections[camera]:
            if record.due_us(content, record.first) >= to_us:
                continue
            last = record.acknowledged
            first = min(max(record.first, self._block_before(camera, from_us)), last.block)
            for block in range(first, last.block + 1):
                if record.due_us(content, block) >= to_us:
                    break
                packets = record.packets(content, block)
                for place, packet in enumerate(packets):
                    if block == last.block and place >= last.packets:
                        break
                    if from_us <= packet.sent_us < to_us:
                        yield packet

    def _block_before(self, camera: int, wall_us: int) -> int:
        """A block sure to have been sent before `wall_us`, were it sent at most 10 s late."""
        life_us = self.cameras[camera].life_us(wall_us) - 10_000_000
        return self.content(camera).first_due(max(0, life_us))

    def span(self, camera: int, from_us: int, to_us: int) -> SentSpan:
        """Count, times and running hash of what was sent in [from, to)."""
        content = self.content(camera)
        running = blake3()
        packets = octets = first_us = last_us = 0
        blocks: list[int] = []
        for packet in self.sent_between(camera, from_us, to_us):
            running.update(len(packet.data).to_bytes(4, "big") + packet.data)
            first_us = first_us or packet.sent_us
            packets, octets, last_us = packets + 1, octets + len(packet.data), packet.sent_us
            blocks = [blocks[0] if blocks else packet.block, packet.block]
        return SentSpan(
            packets=packets,
            octets=octets,
            first_us=first_us,
            last_us=last_us,
            media_us=content.due_us(blocks[1]) - content.due_us(blocks[0]) if blocks else 0,
            hash=running.hexdigest(),
        )

    def missing(self, camera: int, from_us: int, to_us: int) -> list[Missing]:
        """Stretches of [from, to) in which no connection sent anything, with their causes."""
        gaps, at, cause = [], 0, "not connected"
        for start_us, end_us, ending in [*self._sending(camera), (to_us, to_us, "")]:
            first_us, last_us = max(at, from_us), min(start_us, to_us)
            if first_us < last_us:
                gaps.append(Missing(start_us=first_us, end_us=last_us, cause=cause))
            if end_us >= at:
                at, cause = end_us, ending
        return gaps

    def _sending(self, camera: int) -> list[tuple[int, int, str]]:
        """(start, end, cause of the end) of each stretch that was sent."""
        content = self.content(camera)
        stretches = []
        for record in self._connections[camera]:
            at, end = record.first, record.acknowledged.block
            for skip in record.skips:
                if at < skip.first <= end:
                    stretches.append(
                        (
                            record.sent_us(content, at),
                            record.due_us(content, skip.first),
                            str(skip.cause),
                        )
                    )
                at = max(at, skip.first + skip.count)
            if at < end:
                end_us = record.due_us(content, end)
                if record.closed_us:
                    end_us = min(end_us, record.closed_us)
                stretches.append(
                    (record.sent_us(content, at), end_us, record.reason or "not yet sent")
                )
        return sorted(stretches)

    def picture_at(self, camera: int, wall_us: int) -> OnAir | None:
        """The picture on air at a moment; `None` before the first, or without video."""
        life, content = self.cameras[camera], self.content(camera)
        found = content.picture_at(life.life_us(wall_us))
        if found is None:
            return None
        loop, picture = found
        return OnAir(
            loop=loop, picture=picture, taken_us=life.wall_us(content.picture_us(loop, picture))
        )

    def picture_us(self, camera: int, picture: int, *, near_us: int) -> int:
        """When picture `picture` was taken, in the loop in which that was nearest to `near_us`."""
        life, content = self.cameras[camera], self.content(camera)
        if not 0 <= picture < content.pictures:
            raise LedgerError(
                f"camera {camera}: has no picture {picture}; its loop has {content.pictures}"
            )
        loop = max(0, life.life_us(near_us)) // content.loop_us(1)
        moments = (
            life.wall_us(content.picture_us(near, picture))
            for near in range(max(0, loop - 1), loop + 2)
        )
        return min(moments, key=lambda moment: abs(moment - near_us))

    def compare(
        self, camera: int, connection: int, stored: Iterable[bytes], *, rtcp: bool = True
    ) -> Difference | None:
        """The first place where stored packets are not those sent; `None` if there is none.

        Stored packets may end anywhere between what was acknowledged and what was written.
        """
        record = self._connections[camera][connection]
        content = self.content(camera)
        remaining = iter(stored)
        at = 0
        sure = sum(1 for p in record.sent(content, record.acknowledged) if rtcp or not p.rtcp)
        for packet in record.sent(content, record.written):
            if packet.rtcp and not rtcp:
                continue
            data = next(remaining, None)
            if data is None:
                missing = Difference(at=at, what="missing", expected=packet, stored=None)
                return missing if at < sure else None
            if data != packet.data:
                return Difference(at=at, what="differs", expected=packet, stored=data)
            at += 1
        surplus = next(remaining, None)
        if surplus is None:
            return None
        return Difference(at=at, what="never sent", expected=None, stored=surplus)

    # -- file ----------------------------------------------------------------------------------

    def lines(self) -> Iterator[str]:
        """The file's lines; each is consistent when it is made."""
        yield _line("ledger", version=_VERSION)
        for life in self.cameras.values():
            yield _line("camera", **_values(life))
        for records in self._connections.values():
            for record in records:
                yield _line("connection", camera=record.life.camera, **_record(record))

    def save(self, path: Path) -> None:
        """Write the ledger and, beside it, its contents."""
        self.save_contents(path.parent)
        fresh = path.with_suffix(".fresh")
        with fresh.open("w") as file:
            file.writelines(self.lines())
        fresh.rename(path)

    def save_contents(self, folder: Path) -> None:
        """Write the contents that are not there yet."""
        folder.mkdir(parents=True, exist_ok=True)
        for content in self.contents.values():
            content.save(folder)

    @classmethod
    def load(cls, path: Path) -> Self:
        """What `save` wrote.

        Raises:
            LedgerError: a file is missing, damaged, or of another version.
        """
        ledger = cls()
        try:
            with path.open() as file:
                ledger._read_head(path, file.readline())
                for line in file:
                    ledger._read(path.parent, json.loads(line))
        except OSError as error:
            raise LedgerError(
                f"ledger {path.name}: cannot be read ({error.strerror}); check the path"
            ) from None
        except (ValueError, KeyError, TypeError) as error:
            raise LedgerError(f"ledger {path.name}: damaged ({error}); record again") from None
        return ledger

    @staticmethod
    def _read_head(path: Path, line: str) -> None:
        if json.loads(line) != {"kind": "ledger", "version": _VERSION}:
            raise LedgerError(
                f"ledger {path.name}: not of version {_VERSION}; read it with the simulator "
                "that wrote it"
            )

    # `Any`: what JSON holds. What is not as `lines` wrote it raises, and is reported as damage.
    def _read(self, folder: Path, line: dict[str, Any]) -> None:
        match line.pop("kind"):
            case "camera":
                life = CameraLife(**line)
                content = self.contents.get(life.content) or Content.load(
                    folder / f"{life.content}.content"
                )
                self.add_camera(life, content)
            case "connection":
                self.add(_parse_record(self.cameras, line))
            case other:
                raise ValueError(f"unknown kind {other!r}")


def _line(kind: str, **values: object) -> str:
    return json.dumps({"kind": kind} | values, separators=(",", ":")) + "\n"


def _values(one: CameraLife | ConnectionRecord | SentTrack) -> dict[str, object]:
    # `asdict` copies deep, and costs half of writing a ledger.
    return {name: getattr(one, name) for name in one.__slots__}


def _record(record: ConnectionRecord) -> dict[str, object]:
    values = _values(record)
    del values["life"]
    return values | {
        "tracks": [_values(track) for track in record.tracks],
        "written": [record.written.block, record.written.packets],
        "acknowledged": [record.acknowledged.block, record.acknowledged.packets],
        "skips": [[skip.first, skip.count, str(skip.cause)] for skip in record.skips],
        "checkpoints": list(record.checkpoints),
    }


def _parse_record(cameras: dict[int, CameraLife], line: dict[str, Any]) -> ConnectionRecord:
    return ConnectionRecord(
        **line
        | {
            "life": cameras[line.pop("camera")],
            "tracks": tuple(SentTrack(**track) for track in line["tracks"]),
            "written": Mark(*line["written"]),
            "acknowledged": Mark(*line["acknowledged"]),
            "skips": [
                Skip(first=first, count=count, cause=Skipped(cause))
                for first, count, cause in line["skips"]
            ],
            "lost": [(block, packet) for block, packet in line["lost"]],
            "jumps": [(block, added_us) for block, added_us in line["jumps"]],
            "checkpoints": array("q", line["checkpoints"]),
            "quirks": tuple(line["quirks"]),
        }
    )
