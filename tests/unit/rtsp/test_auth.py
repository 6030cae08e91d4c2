"""Basic and Digest, with the examples of their specifications."""

import pytest

from kilocam.rtsp import Credentials
from kilocam.rtsp.auth import (
    Authenticator,
    Challenge,
    Verdict,
    digest,
    parse_challenges,
    strongest,
    verify,
)

MUFASA = Credentials(user="Mufasa", password="Circle of Life")
RFC_7616 = (
    'Digest realm="http-auth@example.org", qop="auth, auth-int", algorithm={}, '
    'nonce="7ypf/xlj9XXwfDPEoM4URrv/xwf94BcCAzFZH4GiTo0v", '
    'opaque="FQhe/qaU925kfnzjCev0ciny7QMkPqMAFRtzCUYo5tdS"'
)
CNONCE = "f2/wE4q74E6zIJEtWaHKaf5wv/H5QzzpXusqGemxURZJ"


@pytest.mark.parametrize(
    ("algorithm", "expected"),
    [
        ("MD5", "8ca523f5e9506fed4657c9700eebdbec"),
        ("SHA-256", "753927fa0e85d155564e2e272a28d1802ca10daf4496794697cf8db5856cb6c1"),
    ],
)
def test_digest_is_that_of_the_example_in_rfc_7616(algorithm: str, expected: str) -> None:
    (challenge,) = parse_challenges([RFC_7616.format(algorithm)])
    found = digest(challenge, MUFASA, "GET", "/dir/index.html", count="00000001", cnonce=CNONCE)
    assert found == expected


def test_header_answers_with_everything_the_challenge_gave() -> None:
    signer = Authenticator(MUFASA, cnonce=CNONCE)
    assert signer.header("GET", "/dir/index.html") is None
    assert signer.challenged([RFC_7616.format("MD5")])
    header = signer.header("GET", "/dir/index.html") or ""
    assert 'response="8ca523f5e9506fed4657c9700eebdbec"' in header
    assert 'opaque="FQhe/qaU925kfnzjCev0ciny7QMkPqMAFRtzCUYo5tdS"' in header
    assert "qop=auth, nc=00000001" in header
    assert "algorithm=MD5" in header
    assert "nc=00000002" in (signer.header("GET", "/dir/index.html") or "")


def test_digest_without_qop_is_that_of_rfc_2069() -> None:
    challenge = Challenge(algorithm="MD5", realm="testrealm@host.com", nonce="dcd98b7102dd2f0e8b11")
    login = Credentials(user="Mufasa", password="CircleOfLife")
    signer = Authenticator(login, cnonce="x")
    assert signer.challenged(['Digest realm="testrealm@host.com", nonce="dcd98b7102dd2f0e8b11"'])
    expected = digest(challenge, login, "GET", "/a", count="", cnonce="")
    header = signer.header("GET", "/a") or ""
    assert f'response="{expected}"' in header
    assert "qop" not in header
    assert "algorithm" not in header


def test_quirk_1_strongest_of_several_challenges_is_taken() -> None:
    values = ['Basic realm="a"', 'Digest realm="b", nonce="1"', RFC_7616.format("SHA-256")]
    chosen = strongest(parse_challenges(values))
    assert chosen is not None
    assert chosen.algorithm == "SHA-256"
    chosen = strongest(parse_challenges(['Digest realm="b", nonce="1", Basic realm="a"']))
    assert chosen is not None
    assert (chosen.algorithm, chosen.realm) == ("MD5", "b")


def test_quirk_3_spaces_between_keys_vary() -> None:
    (challenge,) = parse_challenges(['digest  realm = "a b",nonce="1",   stale= TRUE ,opaque=x'])
    assert (challenge.realm, challenge.nonce, challenge.stale) == ("a b", "1", True)
    assert challenge.opaque == "x"


def test_challenges_that_cannot_be_answered_are_passed_over() -> None:
    unknown = 'Digest realm="a", nonce="1", algorithm=SHA-512-256'
    only_int = 'Digest realm="a", nonce="1", qop="auth-int"'
    assert parse_challenges([unknown, only_int, "Negotiate", ""]) == ()
    assert not Authenticator(MUFASA, cnonce="x").challenged([unknown])


def test_basic_is_never_answered_to_a_peer_that_is_not_trusted() -> None:
    signer = Authenticator(MUFASA, cnonce="x", basic=False)
    assert not signer.challenged(['Basic realm="a"'])
    assert signer.header("GET", "/") is None


def test_the_same_challenge_again_is_no_reason_to_try_again() -> None:
    signer = Authenticator(MUFASA, cnonce="x")
    assert signer.challenged(['Digest realm="a", nonce="1"'])
    assert not signer.challenged(['Digest realm="a", nonce="1"'])
    assert signer.challenged(['Digest realm="a", nonce="1", stale=true'])
    assert signer.challenged(['Digest realm="a", nonce="2"'])


@pytest.mark.parametrize("algorithm", ["BASIC", "MD5", "SHA-256"])
@pytest.mark.parametrize("password", ["plain", 'quote"back\\slash', "pä:ss@%", ""])
def test_server_verifies_what_the_client_signs(algorithm: str, password: str) -> None:
    login = Credentials(user='us"er', password=password)
    asked = Challenge(algorithm=algorithm, realm="r", nonce="n1")
    signer = Authenticator(login, cnonce="x")
    scheme = "Basic" if algorithm == "BASIC" else "Digest"
    signer.challenged([f'{scheme} realm="r", nonce="n1", algorithm={algorithm}'])
    header = signer.header("PLAY", "rtsp://h/a")
    assert verify(header, "PLAY", login, [asked], nonce="n1") is Verdict.RIGHT
    other = Credentials(user='us"er', password=password + "x")
    assert verify(header, "PLAY", other, [asked], nonce="n1") is Verdict.WRONG
    if algorithm != "BASIC":
        assert verify(header, "SETUP", login, [asked], nonce="n1") is Verdict.WRONG
        assert verify(header, "PLAY", login, [asked], nonce="n2") is Verdict.STALE


@pytest.mark.parametrize(
    "header", [None, "", "Basic", "Basic ***", "Digest", "Bearer x", "Basic é"]
)
def test_server_finds_nonsense_wrong(header: str | None) -> None:
    challenges = [Challenge(algorithm="BASIC"), Challenge(algorithm="MD5")]
    assert verify(header, "PLAY", MUFASA, challenges, nonce="n") is Verdict.WRONG


def test_basic_is_wrong_where_only_digest_was_asked_for() -> None:
    signer = Authenticator(MUFASA, cnonce="x")
    signer.challenged(['Basic realm="a"'])
    header = signer.header("PLAY", "rtsp://h/a")
    asked = [Challenge(algorithm="MD5", realm="a", nonce="n")]
    assert verify(header, "PLAY", MUFASA, asked, nonce="n") is Verdict.WRONG


def test_passwords_are_in_no_repr() -> None:
    assert "Circle" not in repr(MUFASA)
    assert "Circle" not in repr(Authenticator(MUFASA, cnonce="x"))
