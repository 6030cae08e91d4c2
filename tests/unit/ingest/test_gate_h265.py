"""What the gate of H.265 sees in packets, whatever a camera puts into them."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kilocam.core import Track
from kilocam.ingest.gate import BEGIN, KEY, OTHER, UNDECIDED, Gate
from kilocam.ingest.gate_h265 import H265Gate
from kilocam.ingest.stream import gate_for

VPS, SPS, PPS, SEI = b"\x40\1vps", b"\x42\1sps", b"\x44\1pps", b"\x4e\1sei"
IDR, CRA, BLA, P = b"\x26\1\x80i", b"\x2a\1\x80c", b"\x20\1\x80b", b"\2\1\x80p"


def aggregated(*nals: bytes) -> bytes:
    return b"\x60\1" + b"".join(len(nal).to_bytes(2, "big") + nal for nal in nals)


def fragment(kind: int, mark: int) -> bytes:
    return bytes((0x62, 1, mark | kind)) + b"part"


@pytest.mark.parametrize(
    ("payload", "verdict"),
    [
        (IDR, KEY),
        (CRA, KEY),
        (BLA, KEY),
        (P, OTHER),
        (b"\0\1\x80", OTHER),
        (VPS, BEGIN),
        (SPS, BEGIN),
        (PPS, UNDECIDED),
        (SEI, UNDECIDED),
        (b"\x2c\1\x80", OTHER),
        (fragment(19, 0x80), KEY),
        (fragment(19, 0xC0), KEY),
        (fragment(1, 0x80), OTHER),
        (fragment(19, 0), OTHER),
        (fragment(1, 0x40), OTHER),
        (fragment(33, 0x80), BEGIN),
        (fragment(33, 0), UNDECIDED),
        (aggregated(VPS, SPS, PPS), BEGIN),
        (aggregated(VPS, SPS, PPS, IDR), KEY),
        (aggregated(SEI, P), OTHER),
        (aggregated(SPS, P), OTHER),
        (aggregated(SEI) + bytes(6) + SPS, UNDECIDED),
        (aggregated(aggregated(IDR)), UNDECIDED),
        (b"\0\0\0\1" + IDR, KEY),
        (b"\0\0\1" + SPS + b"\0\0\1" + P, OTHER),
        (SEI + b"\0\0\0\1" + IDR, KEY),
        (b"\x64\1" + IDR, UNDECIDED),
        (b"\2\x09\x80", UNDECIDED),
        (b"\x26\1", UNDECIDED),
        (b"\0" * 100, UNDECIDED),
        (b"", UNDECIDED),
    ],
)
def test_a_payload_says_what_it_begins(payload: bytes, verdict: int) -> None:
    assert H265Gate().look(b"head" + payload + b"\x26\1", 4, 4 + len(payload)) == verdict


@settings(max_examples=300, deadline=None)
@given(
    st.lists(
        st.sampled_from([b"\0\0\1", b"\0\0", b"\x60\1", b"\x62\1", b"\x26\1", b"\2\1", b"\5", VPS])
    )
)
def test_no_payload_of_start_codes_and_units_is_too_much(parts: list[bytes]) -> None:
    payload = b"".join(parts)
    assert H265Gate().look(payload, 0, len(payload)) in range(4)


@pytest.mark.parametrize(
    ("codec", "fmtp", "kind"),
    [
        ("h264", "", Gate),
        ("h265", "", H265Gate),
        ("h265", "sprop-max-don-diff=1", type(None)),
        ("jpeg", "", type(None)),
    ],
)
def test_each_codec_has_its_gate(codec: str, fmtp: str, kind: type) -> None:
    track = Track(index=0, media="video", codec=codec, payload_type=96, clock_rate=90_000,
                  channels=0, rtp_channel=0, rtcp_channel=1, fmtp=fmtp)  # fmt: skip
    assert type(gate_for(track)) is kind
