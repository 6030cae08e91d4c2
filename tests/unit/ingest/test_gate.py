"""What the gate sees in packets, whatever a camera puts into them."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.unit.ingest.wire import IDR, P

from kilocam.ingest.gate import Gate
from kilocam.ingest.sampling import KEY, OTHER, UNDECIDED


def aggregated(*nals: bytes) -> bytes:
    return b"\x18" + b"".join(len(nal).to_bytes(2, "big") + nal for nal in nals)


@pytest.mark.parametrize(
    ("payload", "verdict"),
    [
        (IDR, KEY),
        (P, OTHER),
        (aggregated(b"\x06sei", IDR), KEY),
        (b"\0\0\0\1" + IDR, KEY),
        (b"\0\0\1" + P, OTHER),
        (b"\0\0\0\5", UNDECIDED),
        (b"\0" * 100, UNDECIDED),
        (b"", UNDECIDED),
        (aggregated(aggregated(IDR)), UNDECIDED),
    ],
)
def test_a_payload_says_what_it_begins(payload: bytes, verdict: int) -> None:
    assert Gate().look(payload, 0, len(payload)) == verdict


def test_packets_nested_in_packets_do_not_nest_our_calls() -> None:
    payload = P
    while len(payload) < 60_000:
        payload = b"\0\0\1" + aggregated(payload)
    assert Gate().look(payload, 0, len(payload)) in (UNDECIDED, OTHER)


@settings(max_examples=300, deadline=None)
@given(st.lists(st.sampled_from([b"\0\0\1", b"\0\0\0", b"\x18", b"\x65", b"\x41", b"\5"])))
def test_no_payload_of_start_codes_and_units_is_too_much(parts: list[bytes]) -> None:
    payload = b"".join(parts)
    assert Gate().look(payload, 0, len(payload)) in range(4)


@given(st.integers(0, 255), st.sampled_from([b"", b"\x85" * 60, b"\0\0\1" + IDR, aggregated(IDR)]))
def test_silent_packets_say_nothing_whatever_follows(first: int, rest: bytes) -> None:
    gate, payload = Gate(), bytes((first,)) + rest
    if first in gate.passing.silent:
        assert gate.look(payload, 0, len(payload)) == UNDECIDED
        assert gate.skip == Gate().skip
    else:
        assert first & 31 in (0, 1, 5, 7, 8, 24, 28)
