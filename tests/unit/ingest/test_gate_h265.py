"""What the gate of H.265 sees in packets, whatever a camera puts into them."""

from base64 import b64encode
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kilocam.core import Track
from kilocam.ingest.gate import Gate
from kilocam.ingest.gate_h265 import H265Gate
from kilocam.ingest.sampling import BEGIN, KEY, OTHER, UNDECIDED
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
    assert type(gate_for(track(codec, fmtp))) is kind


def track(codec: str, fmtp: str) -> Track:
    return Track(index=0, media="video", codec=codec, payload_type=96, clock_rate=90_000,
                 channels=0, rtp_channel=0, rtcp_channel=1, fmtp=fmtp)  # fmt: skip


@pytest.mark.parametrize(
    ("codec", "names", "sets", "slice_"),
    [
        ("h264", ["sprop-parameter-sets"], ["baseline.sps", "baseline.pps"], "baseline-1.slice"),
        (
            "h265",
            ["sprop-vps", "sprop-sps", "sprop-pps"],
            ["", "h265-slices.sps", "h265-slices.pps"],
            "h265-slices-p.slice",
        ),
    ],
)
def test_parameter_sets_that_stand_in_the_sdp_alone_are_known(
    codec: str, names: list[str], sets: list[str], slice_: str
) -> None:
    said = [b64encode(corpus(name) if name else VPS).decode() for name in sets]
    values = said if len(names) == len(said) else [",".join(said)]
    fmtp = "; ".join(f"{name}={value}" for name, value in zip(names, values, strict=True))
    for known in ("", fmtp):
        gate = gate_for(track(codec, known))
        assert gate is not None
        gate.skip = 0
        gate.look(corpus(slice_), 0, len(corpus(slice_)))
        assert gate.pending == bool(known)


def corpus(name: str) -> bytes:
    return (Path(__file__).parents[2] / "fuzz" / "bitstream" / "corpus" / name).read_bytes()


def seed(name: str) -> bytes:
    return corpus(f"h265-slices{name}")


@pytest.mark.parametrize(
    "packed",
    [
        lambda nal: nal,
        lambda nal: fragment(1, 0x80)[:3] + nal[2:],
        lambda nal: aggregated(SEI, nal),
        lambda nal: b"\0\0\0\1" + nal,
    ],
    ids=["alone", "in parts", "together", "behind start codes"],
)
def test_every_fourth_frame_is_weighed_however_it_is_packed(
    packed: Callable[[bytes], bytes],
) -> None:
    gate, weighed = H265Gate(), []
    for payload in (aggregated(VPS, seed(".sps"), seed(".pps")), *[packed(seed("-p.slice"))] * 8):
        gate.look(payload, 0, len(payload))
        weighed.append(gate.weigh(100) if gate.pending else 0)
    assert weighed[1:] == [0, 0, 0, pytest.approx(100 * 2 ** (33 / 6))] * 2


def test_frames_passed_over_are_known_by_their_first_bytes() -> None:
    slices, fragments, header, parts, _ = H265Gate.passing
    for kind in range(64):
        assert (kind << 1 in slices) == (0 < kind < 10)
        assert (fragment(kind, 0x80)[header] in parts) == (kind < 10)
    assert fragments == {fragment(1, 0)[0]}


def test_new_parameter_sets_count_and_old_ones_do_not() -> None:
    gate = H265Gate()
    sets, p = (seed(".sps"), seed(".pps")), seed("-p.slice")
    gate.skip = 0
    for payload in (*sets, p):
        gate.look(payload, 0, len(payload))
    assert gate.pending
    gate.weigh(1)
    changes = ((sets[0][:20], False), (sets[0], True), (sets[1][:3], False), (sets[1], True))
    for payload, known in changes:
        gate.look(payload, 0, len(payload))
        gate.skip = 0
        gate.look(p, 0, len(p))
        assert gate.pending == known
        gate.pending = False


def test_reserved_kinds_of_slices_are_no_samples() -> None:
    gate = H265Gate()
    assert gate.look(b"\x1c\1\x80reserved", 0, 11) == OTHER
    assert gate.skip == 3
