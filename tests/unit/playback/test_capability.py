import pytest

from kilocam.playback import CapabilityKeys, CapabilityRefused, sign, verify
from kilocam.playback.capability import PERIOD_US, bytes_of, text_of

OLD = CapabilityKeys(current="k1", keys={"k1": b"one"})
ROTATED = CapabilityKeys(current="k2", keys={"k1": b"one", "k2": b"two"})
RESOURCE = "default/gate/1-5-9-v.m4s"
NOW = 300_000 * PERIOD_US


def test_a_token_opens_its_resource_for_six_hours_at_least() -> None:
    for start in (NOW, NOW + PERIOD_US - 1):
        token = sign(OLD, RESOURCE, start)
        verify(OLD, token, RESOURCE, start + PERIOD_US)
        with pytest.raises(CapabilityRefused, match=r"expired at \d{4}-.*; reload the page"):
            verify(OLD, token, RESOURCE, start + 2 * PERIOD_US)


def test_tokens_are_equal_within_six_hours() -> None:
    assert sign(OLD, RESOURCE, NOW) == sign(OLD, RESOURCE, NOW + PERIOD_US - 1)


def test_an_old_key_still_verifies_after_rotation() -> None:
    verify(ROTATED, sign(OLD, RESOURCE, NOW), RESOURCE, NOW)
    assert sign(ROTATED, RESOURCE, NOW).startswith("k2.")


def test_a_key_taken_away_no_longer_verifies() -> None:
    token = sign(ROTATED, RESOURCE, NOW)
    with pytest.raises(CapabilityRefused, match="not valid"):
        verify(OLD, token, RESOURCE, NOW)


def test_keys_do_not_show_in_a_log() -> None:
    assert "one" not in repr(OLD)


def test_base64_is_read_in_one_form_only() -> None:
    assert bytes_of(text_of(b"\xff\xfe\xfd")) == b"\xff\xfe\xfd"
    for text in ("_", "AB", "A A=", "é", "AA=="):
        with pytest.raises(ValueError, match=r".+"):
            bytes_of(text)
