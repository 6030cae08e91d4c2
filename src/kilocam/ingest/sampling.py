"""Which frames of a track are weighed, whatever its codec: four of each GOP."""

from typing import NamedTuple, Protocol

UNDECIDED, OTHER, KEY, BEGIN = range(4)
"""What a packet says of its access unit."""
SAMPLES_PER_GOP = 4

_WEIGHT: list[float] = [2.0 ** (qp / 6) for qp in range(88)]  # 51, more at deep bit depths


class Passing(NamedTuple):
    """How packets begin that hold a slice of no key frame, for whoever passes over such frames."""

    slices: frozenset[int]
    """First bytes of those that hold a whole one."""
    fragments: frozenset[int]
    """First bytes of those that hold a part ..."""
    header: int
    """... how far behind it the fragment's header stands ..."""
    parts: frozenset[int]
    """... and what that is then."""
    silent: frozenset[int]
    """First bytes of those that say nothing of their access unit, whatever follows."""


class PacketGate(Protocol):
    """What the scanner asks about the packets of one track, whatever its codec."""

    pending: bool
    """A sampled frame waits for its size."""
    skip: int
    """So many frames are passed over before the next is sampled; the scanner counts down."""
    passing: Passing
    """How it knows them."""

    def weigh(self, size: int) -> float:
        """Complexity of the sampled frame, which turned out to have `size` bytes."""
        ...

    def look(self, data: bytes, body: int, end: int) -> int:
        """What the RTP payload `data[body:end]` says of its access unit.

        Returns:
            KEY or OTHER when its first slice is there; BEGIN when parameter sets announce a key
            frame whose slices are yet to come; else UNDECIDED.
        """
        ...


class QuantiserReader(Protocol):
    """`bitstream.QpReader` or `bitstream.H265QpReader`."""

    def qp(self, head: bytes) -> int | None:
        """The quantiser of a slice by its first bytes, or None."""
        ...


class Sampler:
    """Counts a track's frames and weighs some of those between key frames."""

    __slots__ = ("_qp", "_reader", "_sampled", "_stride", "pending", "skip")

    def __init__(self) -> None:
        self._reader: QuantiserReader | None = None
        """None until parameter sets are known."""
        self._sampled = 0
        self._stride = 4
        self._qp = 0
        self.pending = False
        self.skip = self._stride - 1

    def weigh(self, size: int) -> float:
        """Size x 2^(QP/6) of the sampled frame, which turned out to have `size` bytes."""
        self.pending = False
        return size * _WEIGHT[self._qp]

    def _key(self) -> int:
        frames = self._sampled * self._stride + self._stride - 1 - self.skip
        if frames:
            self._stride = max(1, frames // SAMPLES_PER_GOP)
            self._sampled, self.skip = 0, self._stride - 1
        return KEY

    def _slice(self, head: bytes) -> int:
        if self.skip:
            self.skip -= 1
            return OTHER
        self._sampled += 1
        self.skip = self._stride - 1
        if self._reader is not None:
            qp = self._reader.qp(head)
            if qp is not None and 0 <= qp < len(_WEIGHT):
                self._qp = qp
                self.pending = True
        return OTHER
