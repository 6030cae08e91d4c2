"""G.711: a byte is a sample of one channel, so duration is a division (RFC 3551 section 4.5.14)."""


def g711_samples(size: int, channels: int = 1) -> int:
    """Sample periods in so many bytes of A-law or mu-law; also the RTP timestamp's step."""
    return size // channels
