"""How a log is kept; the numbers are argued in docs/design/log.md."""

from dataclasses import dataclass

_SECOND = 1_000_000


@dataclass(frozen=True, slots=True, kw_only=True)
class LogOptions:
    """Settings of one writer."""

    keep_us: int = 7 * 86_400 * _SECOND
    """Retention of cameras without their own."""
    max_size: int = 500_000_000_000
    """Bytes over all files of all paths."""
    seal_size: int = 256 << 20
    seal_age_us: int = 600 * _SECOND
    ring_bytes: int = 64 << 20
    """Accepted and not yet written, per disk."""
    gather_us: int = 50_000
    """How long the writer gathers before it writes."""
    sync_us: int = _SECOND
    """Group commit."""
    hang_us: int = 10 * _SECOND
    """A write or sync that takes longer: the disk is abandoned."""
    reserve: int | None = None
    """Bytes kept free on each disk; None: 2 % of it, at most 1 GiB."""
