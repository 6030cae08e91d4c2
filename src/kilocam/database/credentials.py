"""The logins of our roles and the key that proves a tenant, all derived from one secret.

One seed, shared by the machines of an installation, gives every role its password, so none is
stored or sent, and gives the key that signs a tenant's context (see `context.py`).
"""

import base64
import hashlib
import hmac
import os
from urllib.parse import parse_qsl, quote, unquote, urlencode, urlsplit

from kilocam.core import ConfigError

OWNER = "kilocam_owner"
"""Owns schemas and tables; nobody can log in as it."""
MIGRATE = "kilocam_migrate"
"""Login of control: changes the schema, sees every tenant through policies of its own."""
APP = "kilocam_app"
"""Login of everything else: sees the one tenant it proves."""
ADMIN = "postgres"
"""The embedded server's superuser, used only to make the roles."""

_SCRAM_ROUNDS = 4096


class DatabaseSecrets:
    """What is derived from the installation's database secret."""

    def __init__(self, seed: bytes) -> None:
        if len(seed) < 32:
            raise ConfigError("the database secret is shorter than 32 bytes: make a new key file")
        self._seed = seed

    def password(self, role: str) -> str:
        """The password of `role`, always the same for the same seed."""
        return base64.urlsafe_b64encode(self._derive(f"password/{role}")).decode().rstrip("=")

    def context_key(self) -> bytes:
        """The 32-byte key that signs tenant contexts."""
        return self._derive("tenant context")

    def _derive(self, purpose: str) -> bytes:
        return hmac.digest(self._seed, purpose.encode(), "sha256")


def scram_verifier(password: str, salt: bytes | None = None) -> str:
    """What the server stores for `password` (RFC 5803), so that no statement carries the password.

    Our passwords are ASCII, which SASLprep leaves as they are.
    """
    salt = os.urandom(16) if salt is None else salt
    salted = hashlib.pbkdf2_hmac("sha256", password.encode(), salt, _SCRAM_ROUNDS)
    client = hashlib.sha256(hmac.digest(salted, b"Client Key", "sha256")).digest()
    server = hmac.digest(salted, b"Server Key", "sha256")
    b64 = [base64.b64encode(part).decode() for part in (salt, client, server)]
    return f"SCRAM-SHA-256${_SCRAM_ROUNDS}:{b64[0]}${b64[1]}:{b64[2]}"


def check_url(url: str) -> str:
    """Return `url` if it is a PostgreSQL address.

    Raises:
        ConfigError: it is not.
    """
    parts = urlsplit(url)
    if parts.scheme not in ("postgresql", "postgres"):
        raise ConfigError(
            f"database address {display_url(url)!r} is not valid: write it as "
            "postgresql://user:password@host:5432/name"
        )
    return url


def with_login(url: str, role: str, password: str) -> str:
    """The same database for another role."""
    parts = urlsplit(check_url(url))
    login = f"{quote(role, safe='')}:{quote(password, safe='')}@"
    return parts._replace(netloc=login + parts.netloc.rpartition("@")[2]).geturl()


def with_database(url: str, name: str) -> str:
    """Another database of the same server, with the same login."""
    return urlsplit(check_url(url))._replace(path=f"/{quote(name, safe='')}").geturl()


def socket_url(directory: str, role: str, password: str, database: str) -> str:
    """The address of a server that listens on a Unix socket in `directory` only."""
    query = urlencode({"host": directory})
    return with_login(f"postgresql:///{quote(database, safe='')}?{query}", role, password)


def database_name(url: str) -> str:
    """The database that `url` names."""
    return unquote(urlsplit(url).path.lstrip("/"))


def display_url(url: str) -> str:
    """`url` as it may be shown: without login."""
    parts = urlsplit(url)
    host = parts.netloc.rpartition("@")[2] or dict(parse_qsl(parts.query)).get("host", "")
    return f"{parts.scheme}://{host}{parts.path}"
