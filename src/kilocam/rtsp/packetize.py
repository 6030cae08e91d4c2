"""From access units to RTP payloads, for our server: H.264 (RFC 6184), AAC-hbr (RFC 3640)."""

from collections.abc import Iterable

MAX_PAYLOAD = 1400
"""Fits an Ethernet frame with room for tunnels."""
_STAP_A, _FU_A = 24, 28
_AGGREGATED = frozenset({6, 7, 8, 9})
"""SEI, parameter sets and delimiters: small, and sent together."""


def packetize_h264(nals: Iterable[bytes], max_payload: int = MAX_PAYLOAD) -> list[bytes]:
    """The payloads of one access unit; its last one takes the marker bit.

    NAL units that do not fit are cut into FU-A; runs of small ones that precede a picture share a
    STAP-A; others travel alone.
    """
    payloads: list[bytes] = []
    run: list[bytes] = []
    for nal in nals:
        if nal[0] & 31 in _AGGREGATED and len(nal) + 3 <= max_payload:
            if 1 + sum(len(n) + 2 for n in (*run, nal)) > max_payload:
                payloads.append(_aggregate(run))
                run = []
            run.append(nal)
            continue
        if run:
            payloads.append(_aggregate(run))
            run = []
        payloads += [nal] if len(nal) <= max_payload else _fragments(nal, max_payload)
    if run:
        payloads.append(_aggregate(run))
    return payloads


def _aggregate(nals: list[bytes]) -> bytes:
    """One NAL unit as it is, several as a STAP-A with the highest importance among them."""
    if len(nals) == 1:
        return nals[0]
    parts = [bytes((max(nal[0] & 0x60 for nal in nals) | _STAP_A,))]
    for nal in nals:
        parts += (len(nal).to_bytes(2, "big"), nal)
    return b"".join(parts)


def _fragments(nal: bytes, max_payload: int) -> list[bytes]:
    """FU-A payloads (section 5.8); the NAL unit's header is spread over both of theirs."""
    indicator, kind = nal[0] & 0xE0 | _FU_A, nal[0] & 31
    room = max_payload - 2
    starts = range(1, len(nal), room)
    return [
        bytes((indicator, kind | (0x80 if at == 1 else 0) | (0x40 if at == starts[-1] else 0)))
        + nal[at : at + room]
        for at in starts
    ]


def packetize_aac(frame: bytes, max_payload: int = MAX_PAYLOAD) -> list[bytes]:
    """The payloads of one AAC frame of under 8 KiB, in mode AAC-hbr; the last takes the marker."""
    header = b"\x00\x10" + (len(frame) << 3).to_bytes(2, "big")
    room = max_payload - len(header)
    return [header + frame[at : at + room] for at in range(0, len(frame), room)]
