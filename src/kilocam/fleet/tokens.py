"""API tokens: made, listed, revoked, and recognised when somebody brings one.

A token is `kct.<tenant>.<id>.<secret>`. It names its tenant, so that it is looked up in that
tenant's rows alone. The secret has 256 random bits; SHA-256 of it is kept, and nothing slow is
needed where nothing can be guessed.

Recognised tokens are remembered in memory: for 30 s the database is not asked again (so a token
revoked elsewhere lives that much longer), and while the database is away they are believed for up
to an hour. At most 10,000 are remembered; the longest unused one is forgotten first.
"""

import hashlib
import hmac
import secrets
from collections import OrderedDict
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass

from kilocam.core import Clock, ConfigError, check_id
from kilocam.database import SYSTEM, Database, Row, Transaction
from kilocam.fleet.errors import (
    Conflict,
    Invalid,
    NotFound,
    Unauthenticated,
    Unavailable,
    fleet_errors,
)
from kilocam.fleet.events import TOKEN_CREATED, TOKEN_REVOKED, append, sql
from kilocam.fleet.paging import check_limit, page
from kilocam.fleet.values import NewToken, Page, Principal, Role, Token

_PREFIX = "kct"
_FRESH_US = 30_000_000
_BELIEVED_US = 3_600_000_000
_REMEMBERED = 10_000
_NAME_MOST = 200
_EXPIRES_MOST_US = 36_525 * 86_400_000_000


@dataclass(frozen=True, slots=True)
class _Known:
    token: Token
    checked_us: int


class Tokens:
    """The tokens of all tenants; `SYSTEM`'s reach every tenant."""

    def __init__(self, database: Database, clock: Clock) -> None:
        self._database = database
        self._clock = clock
        self._known: OrderedDict[str, _Known] = OrderedDict()
        self._revoked: OrderedDict[tuple[str, str], None] = OrderedDict()
        """Revoked here: one that was being looked up meanwhile is not remembered after all."""

    async def create(
        self, tenant: str, role: Role, *, actor: str, name: str = "", expires_us: int | None = None
    ) -> NewToken:
        """Makes a token; its secret is told now and never again.

        Raises:
            Invalid: the name is too long, or the expiry has passed.
        """
        if len(name) > _NAME_MOST:
            raise Invalid(f"the token's name is longer than {_NAME_MOST} characters: shorten it")
        if expires_us is not None and expires_us <= self._clock.wall_us():
            raise Invalid("the token would have expired already: choose a later time")
        if expires_us is not None and expires_us > self._clock.wall_us() + _EXPIRES_MOST_US:
            raise Invalid("the token would expire in more than 100 years: choose an earlier time")
        token_id, secret = secrets.token_hex(5), secrets.token_urlsafe(32)
        data = {"role": role, "name": name, "hash": _hash(secret), "expires_us": expires_us}
        async with self._for(tenant) as transaction:
            event = await append(
                transaction, tenant=tenant, aggregate=f"token/{token_id}", version=1,
                kind=TOKEN_CREATED, data=data, actor=actor,
            )  # fmt: skip
        token = Token(
            tenant=tenant, id=token_id, role=role, name=name, created_us=event.at_us,
            expires_us=expires_us, revoked_us=None,
        )  # fmt: skip
        return NewToken(token=token, secret=f"{_PREFIX}.{tenant}.{token_id}.{secret}")

    async def list(
        self, tenant: str, *, cursor: str | None = None, limit: int = 100
    ) -> Page[Token]:
        """A page of the tenant's tokens by id, revoked ones too."""
        async with self._for(tenant) as transaction:
            rows = await transaction.fetch(
                sql("tokens"), tenant, cursor or "", check_limit(limit) + 1
            )
        return page([_token(row) for row in rows], limit, lambda token: token.id)

    async def revoke(self, tenant: str, token: str, *, actor: str) -> None:
        """Ends a token, here at once, in other processes within 30 s.

        Raises:
            NotFound: there is none with this id.
            Conflict: it is revoked already.
        """
        try:
            async with self._for(tenant) as transaction:
                row = await transaction.fetchrow(sql("token"), tenant, token)
                if row is None:
                    raise NotFound(f"token {token!r} does not exist in tenant {tenant!r}")
                if row["revoked_us"] is not None:
                    raise Conflict(f"token {token!r} is revoked already")
                await append(
                    transaction, tenant=tenant, aggregate=f"token/{token}", version=2,
                    kind=TOKEN_REVOKED, data={}, actor=actor,
                )  # fmt: skip
        finally:  # also where the commit's answer was lost, or somebody else was first
            self._forget(tenant, token)

    async def authenticate(self, bearer: str) -> Principal:
        """Who brings this token; raises as `recognise`."""
        return (await self.recognise(bearer)).principal

    async def recognise(self, bearer: str) -> Token:
        """The token that somebody brings.

        Raises:
            Unauthenticated: it is malformed, unknown, expired or revoked.
            Unavailable: the database is away and the token was not seen within the last hour.
        """
        text = _hash(bearer)
        now = self._clock.monotonic_us()
        known = self._known.get(text)
        if known is None or now - known.checked_us > _FRESH_US:
            try:
                known = _Known(await self._look_up(bearer), now)
                self._remember(text, known)
            except Unauthenticated:
                self._known.pop(text, None)
                raise
            except Unavailable:
                if known is None or now - known.checked_us > _BELIEVED_US:
                    raise
        token = known.token
        if token.expires_us is not None and token.expires_us <= self._clock.wall_us():
            raise Unauthenticated("the token has expired: make a new one")
        return token

    async def _look_up(self, bearer: str) -> Token:
        tenant, token_id, secret = _parts(bearer)
        try:
            async with self._for(tenant) as transaction:
                row = await transaction.fetchrow(sql("token"), tenant, token_id)
        except NotFound:
            row = None
        stored = row["hash"] if row else ""
        # Compared even where there is no row: the time tells nothing about which ids exist.
        if not hmac.compare_digest(stored, _hash(secret)) or row is None:
            raise Unauthenticated(
                "the token is not known here: make one with `kilocam token create`"
            )
        if row["revoked_us"] is not None:
            raise Unauthenticated("the token was revoked: make a new one")
        return _without_hash(row)

    def _remember(self, text: str, known: _Known) -> None:
        if (known.token.tenant, known.token.id) in self._revoked:
            return
        self._known[text] = known
        self._known.move_to_end(text)
        if len(self._known) > _REMEMBERED:
            self._known.popitem(last=False)

    def _forget(self, tenant: str, token: str) -> None:
        self._revoked[tenant, token] = None
        if len(self._revoked) > _REMEMBERED:
            self._revoked.popitem(last=False)
        for text, known in list(self._known.items()):
            if (known.token.tenant, known.token.id) == (tenant, token):
                del self._known[text]

    @asynccontextmanager
    async def _for(self, tenant: str) -> AsyncIterator[Transaction]:
        with fleet_errors():
            async with self._database.for_tenant(tenant) as transaction:
                yield transaction


def _token(row: Row) -> Token:
    return Token(**{**row, "role": Role(row["role"])})


def _without_hash(row: Row) -> Token:
    return _token({name: value for name, value in row.items() if name != "hash"})


def _hash(secret: str) -> str:
    return hashlib.sha256(secret.encode("utf-8", "surrogateescape")).hexdigest()


def _parts(bearer: str) -> tuple[str, str, str]:
    parts = bearer.split(".")
    if len(bearer) > 200 or len(parts) != 4 or parts[0] != _PREFIX:
        raise Unauthenticated("this is no token of Kilocam: it begins with 'kct.'")
    _, tenant, token_id, secret = parts
    try:
        check_id("token", token_id)
        if tenant != SYSTEM:
            check_id("tenant", tenant)
    except ConfigError:
        raise Unauthenticated("this is no token of Kilocam: its ids are not valid") from None
    return tenant, token_id, secret
