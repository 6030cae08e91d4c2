"""Opus: how long a packet sounds, from its first bytes (RFC 6716 section 3.1)."""

from kilocam.bitstream.errors import BitstreamError

_SILK, _HYBRID, _CELT = (480, 960, 1920, 2880), (480, 960), (120, 240, 480, 960)
_FRAME = (*_SILK * 3, *_HYBRID * 2, *_CELT * 4)
"""Samples of a frame at 48 kHz, by the configuration number."""
_FRAMES = (1, 2, 2)
_LONGEST = 5760
"""120 ms, rule R5 of section 3.4."""


def opus_samples(packet: bytes) -> int:
    """Samples at 48 kHz that a packet sounds.

    Raises:
        BitstreamError: no Opus packet begins like that.
    """
    if not packet:
        raise BitstreamError("Opus packet is empty")
    code = packet[0] & 3
    if code == 3 and len(packet) < 2:
        raise BitstreamError("Opus packet ends before its count of frames")
    if code == 1 and len(packet) % 2 == 0:
        raise BitstreamError("Opus packet of two equal frames has an odd byte")
    frames = packet[1] & 63 if code == 3 else _FRAMES[code]
    samples = frames * _FRAME[packet[0] >> 3]
    if not 0 < samples <= _LONGEST:
        raise BitstreamError(f"Opus packet of {samples / 48:g} ms; 120 ms is the most")
    return samples
