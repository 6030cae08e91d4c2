"""Sign-ins, recognised with a key alone."""

from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kilocam.fleet import Keyring, Principal, Role, Sessions, Unauthenticated

ALICE = Principal(tenant="shop", role=Role.OPERATOR, subject="user/alice")


class Hands:
    """A clock whose hands the test moves."""

    now_us = 1_800_000_000_000_000

    def wall_us(self) -> int:
        return self.now_us

    def monotonic_us(self) -> int:
        return self.now_us


@pytest.fixture
def hands() -> Hands:
    return Hands()


@pytest.fixture
def sessions(tmp_path: Path, hands: Hands) -> Sessions:
    return Sessions(Keyring.open(tmp_path / "keys.json"), hands)


def test_a_session_says_who_signed_in_until_it_expires(sessions: Sessions, hands: Hands) -> None:
    text = sessions.issue(ALICE, ttl_us=10)
    session = sessions.verify(text)
    assert (session.principal, session.expires_us) == (ALICE, hands.now_us + 10)
    hands.now_us += 10
    with pytest.raises(Unauthenticated, match="the sign-in has expired: sign in again"):
        sessions.verify(text)


def test_a_session_is_recognised_by_another_process_with_the_same_keys(
    sessions: Sessions, hands: Hands, tmp_path: Path
) -> None:
    other = Sessions(Keyring.open(tmp_path / "keys.json"), hands)
    assert other.verify(sessions.issue(ALICE)).principal == ALICE


def test_a_session_made_with_other_keys_is_refused(
    sessions: Sessions, hands: Hands, tmp_path: Path
) -> None:
    other = Sessions(Keyring.open(tmp_path / "other.json"), hands)
    with pytest.raises(Unauthenticated, match="not valid here"):
        sessions.verify(other.issue(ALICE))


def test_any_altered_character_is_noticed(sessions: Sessions) -> None:
    text = sessions.issue(ALICE)
    for at in range(len(text)):
        other = "A" if text[at] != "A" else "B"
        with pytest.raises(Unauthenticated):
            sessions.verify(text[:at] + other + text[at + 1 :])


def test_a_link_works_once_and_is_no_session(sessions: Sessions) -> None:
    link = sessions.issue_link(ALICE)
    with pytest.raises(Unauthenticated):
        sessions.verify(link)
    assert sessions.redeem(link) == ALICE
    with pytest.raises(Unauthenticated, match="was used already"):
        sessions.redeem(link)
    with pytest.raises(Unauthenticated):
        sessions.redeem(sessions.issue(ALICE))


def test_used_links_are_forgotten_when_they_expire(sessions: Sessions, hands: Hands) -> None:
    for _ in range(5):
        link = sessions.issue_link(ALICE)
        sessions.redeem(link)
        hands.now_us += 600_000_000
    with pytest.raises(Unauthenticated, match="has expired"):
        sessions.redeem(link)


@settings(max_examples=100)
@given(text=st.text(max_size=50) | st.from_regex(r"kcs\.[0-9a-f]{8}\.[\w-]*\.[\w-]*"))
def test_garbage_is_refused(text: str) -> None:
    sessions = Sessions(Keyring([]), Hands())
    with pytest.raises(Unauthenticated):
        sessions.verify(text)
