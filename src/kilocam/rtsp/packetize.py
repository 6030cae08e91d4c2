"""From access units to RTP payloads, for our server.

H.264 (RFC 6184), H.265 (RFC 7798), AAC-hbr (RFC 3640).
"""

from collections.abc import Callable, Iterable

MAX_PAYLOAD = 1400
"""Fits an Ethernet frame with room for tunnels."""
_STAP_A, _FU_A = 24, 28
_SMALL = frozenset({6, 7, 8, 9})
"""SEI, parameter sets and delimiters: small, and sent together."""
_AP, _FU = 48, 49
_SMALL_H265 = frozenset({32, 33, 34, 35, 39})


def packetize_h264(nals: Iterable[bytes], max_payload: int = MAX_PAYLOAD) -> list[bytes]:
    """The payloads of one access unit; its last one takes the marker bit.

    NAL units that do not fit are cut into FU-A; runs of small ones that precede a picture share a
    STAP-A; others travel alone.
    """
    payloads: list[bytes] = []
    for run in _runs(nals, max_payload, lambda nal: nal[0] & 31 in _SMALL, 1):
        if len(run) > 1:
            importance = max(nal[0] & 0x60 for nal in run)
            payloads.append(_aggregate(bytes((importance | _STAP_A,)), run))
        elif len(run[0]) <= max_payload:
            payloads += run
        else:
            nal = run[0]
            indicator = bytes((nal[0] & 0xE0 | _FU_A,))
            payloads += _fragments(indicator, nal[0] & 31, nal[1:], max_payload)
    return payloads


def packetize_h265(nals: Iterable[bytes], max_payload: int = MAX_PAYLOAD) -> list[bytes]:
    """The same for H.265: fragmentation units and aggregation packets (RFC 7798 section 4.4)."""
    payloads: list[bytes] = []
    for run in _runs(nals, max_payload, lambda nal: nal[0] >> 1 & 63 in _SMALL_H265, 2):
        if len(run) > 1:
            lowest = min(nal[1] & 7 for nal in run)
            payloads.append(_aggregate(bytes((_AP << 1, lowest)), run))
        elif len(run[0]) <= max_payload:
            payloads += run
        else:
            nal = run[0]
            header = bytes((nal[0] & 0x81 | _FU << 1, nal[1]))
            payloads += _fragments(header, nal[0] >> 1 & 63, nal[2:], max_payload)
    return payloads


def _runs(
    nals: Iterable[bytes], max_payload: int, small: Callable[[bytes], bool], header: int
) -> Iterable[list[bytes]]:
    """NAL units that go into packets together: small ones as many as fit, others alone."""
    run: list[bytes] = []
    size = header
    for nal in nals:
        fits = small(nal) and header + len(nal) + 2 <= max_payload
        if run and (not fits or size + len(nal) + 2 > max_payload):
            yield run
            run, size = [], header
        if fits:
            run.append(nal)
            size += len(nal) + 2
        else:
            yield [nal]
    if run:
        yield run


def _aggregate(header: bytes, nals: list[bytes]) -> bytes:
    parts = [header]
    for nal in nals:
        parts += (len(nal).to_bytes(2, "big"), nal)
    return b"".join(parts)


def _fragments(header: bytes, kind: int, body: bytes, max_payload: int) -> list[bytes]:
    """The NAL unit's header is spread over the packet's and the fragment's, S and E mark ends."""
    room = max_payload - len(header) - 1
    starts = range(0, len(body), room)
    return [
        header
        + bytes((kind | (0x80 if at == 0 else 0) | (0x40 if at == starts[-1] else 0),))
        + body[at : at + room]
        for at in starts
    ]


def packetize_aac(frame: bytes, max_payload: int = MAX_PAYLOAD) -> list[bytes]:
    """The payloads of one AAC frame of under 8 KiB, in mode AAC-hbr; the last takes the marker."""
    header = b"\x00\x10" + (len(frame) << 3).to_bytes(2, "big")
    room = max_payload - len(header)
    return [header + frame[at : at + room] for at in range(0, len(frame), room)]
