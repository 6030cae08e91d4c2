"""Sound of which each packet stands alone: G.711 (RFC 3551 section 4.5.14), Opus (RFC 7587)."""

from kilocam.bitstream import BitstreamError, opus_samples
from kilocam.rtsp.depacketize import AccessUnit, UnitKind


class SoundDepacketizer:
    """One access unit for each packet: bytes of G.711, of any length, or one Opus packet.

    A loss hurts no unit, it shows in the timestamps. So does silence that was not sent, of either
    codec; there the marker begins speech again, and says nothing that timestamps do not.

    Args:
        track: index of the track.
        kind: PCMU, PCMA or OPUS.
    """

    __slots__ = ("_kind", "_track")

    def __init__(self, track: int, kind: UnitKind) -> None:
        self._track = track
        self._kind = kind

    def push(
        self,
        payload: bytes,
        ts: int,
        *,
        marker: bool,  # noqa: ARG002 - the protocol's signature
        lost: int,  # noqa: ARG002
    ) -> list[AccessUnit]:
        """See `Depacketizer`."""
        if not payload:
            return []
        damaged = self._kind is UnitKind.OPUS and not _is_opus(payload)
        unit = AccessUnit(
            track=self._track, kind=self._kind, ts=ts, units=(payload,), key=True, damaged=damaged
        )
        return [unit]

    def settle(self) -> list[AccessUnit]:
        """See `Depacketizer`."""
        return []

    def flush(self) -> list[AccessUnit]:
        """See `Depacketizer`."""
        return []


def _is_opus(packet: bytes) -> bool:
    try:
        opus_samples(packet)
    except BitstreamError:
        return False
    return True
