"""Logins and addresses."""

import pytest

from kilocam.core import ConfigError
from kilocam.database import DatabaseSecrets, check_url, display_url, socket_url
from kilocam.database.context import ContextSigner
from kilocam.database.credentials import (
    APP,
    MIGRATE,
    database_name,
    scram_verifier,
    with_database,
    with_login,
)


def test_every_role_has_its_own_password_and_always_the_same() -> None:
    one, two = DatabaseSecrets(b"s" * 32), DatabaseSecrets(b"s" * 32)
    assert one.password(APP) == two.password(APP)
    assert (
        len({one.password(APP), one.password(MIGRATE), DatabaseSecrets(b"t" * 32).password(APP)})
        == 3
    )
    assert one.context_key() not in (one.password(APP), b"s" * 32)


def test_a_short_secret_is_refused() -> None:
    with pytest.raises(ConfigError, match="shorter than 32 bytes: make a new key file"):
        DatabaseSecrets(b"short")


def test_the_verifier_is_that_of_scram() -> None:
    # What PostgreSQL 18 stores for this password and salt.
    verifier = scram_verifier("pencil", b"0123456789abcdef")
    assert verifier.startswith("SCRAM-SHA-256$4096:MDEyMzQ1Njc4OWFiY2RlZg==$")
    assert verifier != scram_verifier("pencil")


def test_a_login_is_replaced_and_the_rest_kept() -> None:
    url = "postgresql://boss:p%40ss@db.example:5433/kilocam?sslmode=require"
    assert with_login(url, "a b", "c/d") == (
        "postgresql://a%20b:c%2Fd@db.example:5433/kilocam?sslmode=require"
    )
    assert database_name(with_database(url, "a b")) == "a b"
    assert display_url(url) == "postgresql://db.example:5433/kilocam"


def test_a_socket_address_survives_a_change_of_login() -> None:
    url = socket_url("/run/a b", "u", "p", "name")
    assert url == "postgresql://u:p@/name?host=%2Frun%2Fa+b"
    assert with_login(url, "x", "y") == "postgresql://x:y@/name?host=%2Frun%2Fa+b"
    assert display_url(url) == "postgresql:///run/a b/name"


def test_what_is_no_database_address_is_told_without_its_password() -> None:
    with pytest.raises(ConfigError) as caught:
        check_url("mysql://u:hunter2@host/x")
    assert str(caught.value) == (
        "database address 'mysql://host/x' is not valid: write it as "
        "postgresql://user:password@host:5432/name"
    )


def test_a_proof_is_of_one_tenant_one_time_and_one_key() -> None:
    signer = ContextSigner(b"k" * 32)
    proofs = {
        signer.proof("a", 0),
        signer.proof("b", 0),
        signer.proof("a", 1),
        ContextSigner(b"j" * 32).proof("a", 0),
    }
    assert len(proofs) == 4
