"""Sign-ins, recognised with a key alone."""

from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kilocam.fleet import Keyring, Principal, Role, Sessions, Spent, Unauthenticated

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
    text = sessions.issue(ALICE, until_us=hands.now_us + 10)
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
    assert sessions.verify(sessions.redeem(link)).principal == ALICE
    with pytest.raises(Unauthenticated, match="was used already"):
        sessions.redeem(link)
    with pytest.raises(Unauthenticated):
        sessions.redeem(sessions.issue(ALICE))


def test_a_session_that_is_ended_opens_nothing_and_its_neighbour_goes_on(
    sessions: Sessions,
) -> None:
    ended, other = sessions.issue(ALICE), sessions.issue(ALICE)
    sessions.end(sessions.verify(ended))
    with pytest.raises(Unauthenticated, match="was ended: sign in again"):
        sessions.verify(ended)
    assert sessions.verify(other).principal == ALICE


def test_all_sessions_of_a_subject_end_together_and_nobody_elses(sessions: Sessions) -> None:
    bob = Principal(tenant="shop", role=Role.OPERATOR, subject="user/bob")
    hers, his = [sessions.issue(ALICE) for _ in range(2)], sessions.issue(bob)
    sessions.end_all(ALICE.tenant, ALICE.subject)
    for session in hers:
        with pytest.raises(Unauthenticated):
            sessions.verify(session)
    assert sessions.verify(his).principal == bob


def test_what_is_over_stays_over_after_a_restart(tmp_path: Path, hands: Hands) -> None:
    def started() -> Sessions:
        keyring = Keyring.open(tmp_path / "keys.json")
        return Sessions(keyring, hands, Spent(tmp_path / "signed-out.json", hands))

    before = started()
    session, link = before.issue(ALICE), before.issue_link(ALICE)
    before.end(before.verify(session))
    before.redeem(link)
    after = started()
    with pytest.raises(Unauthenticated, match="was ended"):
        after.verify(session)
    with pytest.raises(Unauthenticated, match="used already"):
        after.redeem(link)
    assert (tmp_path / "signed-out.json").stat().st_mode & 0o077 == 0


def test_what_has_expired_is_not_kept(tmp_path: Path, hands: Hands) -> None:
    spent = Spent(tmp_path / "signed-out.json", hands)
    for number in range(5):
        assert spent.add(str(number), hands.now_us + 10)
        hands.now_us += 10
    assert (tmp_path / "signed-out.json").read_text().count(":") == 3  # version, names, the last


@pytest.mark.parametrize("content", ["", "{", "[]", '{"until_us": 5}', '{"until_us": {"a": "x"}}'])
def test_a_damaged_file_is_told_and_stops_nobody(
    content: str, tmp_path: Path, hands: Hands, caplog: pytest.LogCaptureFixture
) -> None:
    file = tmp_path / "signed-out.json"
    file.write_text(content)
    spent = Spent(file, hands)
    assert "cannot be read" in caplog.text
    assert spent.add("a", hands.now_us + 10)
    assert "a" in Spent(file, hands)


def test_signing_out_holds_where_the_file_cannot_be_written(
    tmp_path: Path, hands: Hands, caplog: pytest.LogCaptureFixture
) -> None:
    spent = Spent(tmp_path / "nowhere" / "signed-out.json", hands)
    assert spent.add("a", hands.now_us + 10)
    assert "a" in spent
    assert "until the next start" in caplog.text


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
