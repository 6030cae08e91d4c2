import struct

from kilocam.simulate.reports import sender_report


def test_a_report_says_which_moment_a_timestamp_means() -> None:
    data = sender_report(
        ssrc=0xA1B2C3D4,
        wall_us=1_700_000_000_500_000,
        timestamp=90_000,
        packets=3,
        octets=400,
        cname=b"camera-7",
    )
    version, kind, words, ssrc, ntp, timestamp, packets, octets = struct.unpack(
        ">BBHIQIII", data[:28]
    )
    assert (version, kind, words, ssrc) == (0x80, 200, 6, 0xA1B2C3D4)
    assert ntp >> 32 == 1_700_000_000 + 2_208_988_800
    assert ntp & 0xFFFFFFFF == 1 << 31  # half a second
    assert (timestamp, packets, octets) == (90_000, 3, 400)


def test_a_report_is_followed_by_the_canonical_name() -> None:
    for length in range(1, 12):
        data = sender_report(
            ssrc=1, wall_us=0, timestamp=0, packets=0, octets=0, cname=b"n" * length
        )[28:]
        assert data[:2] == b"\x81\xca"
        assert len(data) == 4 * (int.from_bytes(data[2:4], "big") + 1)
        assert data[8:10] == bytes((1, length))
        assert data[10:].rstrip(b"\0") == b"n" * length
        assert data.endswith(b"\0")
