"""The proof that a transaction may act for a tenant.

Any role can set any custom setting, so a tenant's name alone would protect nothing from a
statement that slips in beside ours. The policies therefore believe `kilocam.tenant` only together
with `kilocam.proof`: an HMAC-SHA256 over tenant and expiry with a key that the database checks
but no login can read (`kilocam.tenant()` in `migrations/0001_base.sql`). A statement injected
into a tenant's transaction finds a proof of that tenant and can make none for another.
"""

import hmac

from blake3 import blake3

_BLOCK = 64
_VALID_S = 900
"""A proof counts at the start of a transaction; 15 minutes allow for clocks that differ."""


class ContextSigner:
    """Signs tenant contexts with the installation's key."""

    def __init__(self, key: bytes) -> None:
        self._key = key
        self.key_id = blake3(key).hexdigest(6)

    def proof(self, tenant: str, now_s: int) -> str:
        """`key id . expiry . HMAC`, to stand in `kilocam.proof`."""
        expires = now_s + _VALID_S
        mac = hmac.digest(self._key, f"{tenant}.{expires}".encode(), "sha256").hex()
        return f"{self.key_id}.{expires}.{mac}"

    def pads(self) -> tuple[bytes, bytes]:
        """Inner and outer padded key (RFC 2104), all that the database needs to check proofs."""
        block = self._key.ljust(_BLOCK, b"\0")
        return bytes(b ^ 0x36 for b in block), bytes(b ^ 0x5C for b in block)
