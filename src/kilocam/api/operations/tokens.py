"""API tokens: make, list, revoke."""

import asyncio
from typing import Annotated, Literal

from pydantic import Field

from kilocam.api.catalogue import Caller, Catalogue, Model, Nothing, Operation
from kilocam.core import format_time, now_us, parse_duration
from kilocam.fleet import Conflict, Fleet, Role, Sessions, Token, token_subject


class CreateToken(Model):
    """A new token."""

    role: Literal["admin", "operator", "viewer", "service"]
    name: Annotated[str, Field(description="What it is for.")] = ""
    expires_in: Annotated[
        str | None, Field(max_length=30, description="Such as 30d; never if not given.")
    ] = None


class TokenOut(Model):
    """A token without its secret."""

    id: str
    tenant: str
    role: str
    name: str
    created: str
    expires: str | None
    revoked: str | None


class NewTokenOut(TokenOut):
    """A token just made; `token` is shown once."""

    token: str


class TokenList(Model):
    """A page of tokens."""

    items: list[TokenOut]
    next_cursor: str | None


class ListTokens(Model):
    """Which page."""

    cursor: str | None = None
    limit: Annotated[int, Field(ge=1, le=500)] = 100


class OneToken(Model):
    """Which token."""

    id: str


class TokenOperations:
    """The operations on tokens."""

    def __init__(self, fleet: Fleet, sessions: Sessions) -> None:
        self._tokens = fleet.tokens
        self._sessions = sessions

    def enter(self, catalogue: Catalogue) -> None:
        """Put them into the catalogue."""
        catalogue.add(Operation(
            name="create_token", summary="Make an API token; its secret is shown once.",
            method="POST", path="/v1/tokens", needs=Role.ADMIN, status=201,
            takes=CreateToken, gives=NewTokenOut, call=self.create, in_system=True,
        ))  # fmt: skip
        catalogue.add(Operation(
            name="list_tokens", summary="API tokens of the tenant, revoked ones too.",
            method="GET", path="/v1/tokens", needs=Role.ADMIN,
            takes=ListTokens, gives=TokenList, call=self.list, in_system=True,
        ))  # fmt: skip
        catalogue.add(Operation(
            name="revoke_token", summary="End an API token.",
            method="DELETE", path="/v1/tokens/{id}", needs=Role.ADMIN, status=204,
            takes=OneToken, gives=Nothing, call=self.revoke, in_system=True,
        ))  # fmt: skip

    async def create(self, caller: Caller, given: CreateToken) -> NewTokenOut:
        """A new token with its secret."""
        expires = now_us() + parse_duration(given.expires_in) if given.expires_in else None
        made = await self._tokens.create(
            caller.tenant, Role(given.role), actor=caller.actor, name=given.name,
            expires_us=expires,
        )  # fmt: skip
        return NewTokenOut(**_shown(made.token).model_dump(), token=made.secret)

    async def list(self, caller: Caller, given: ListTokens) -> TokenList:
        """A page of the tenant's tokens."""
        page = await self._tokens.list(caller.tenant, cursor=given.cursor, limit=given.limit)
        return TokenList(items=[_shown(t) for t in page.items], next_cursor=page.next_cursor)

    async def revoke(self, caller: Caller, given: OneToken) -> Nothing:
        """The token opens nothing any more, nor does a session that began with it."""
        try:
            await self._tokens.revoke(caller.tenant, given.id, actor=caller.actor)
        except Conflict:  # whoever revoked it may have died before the sessions: this ends them
            await self._end_sessions(caller.tenant, given.id)
            raise
        await self._end_sessions(caller.tenant, given.id)
        return Nothing()

    async def _end_sessions(self, tenant: str, token: str) -> None:
        await asyncio.to_thread(self._sessions.end_all, tenant, token_subject(token))


def _shown(token: Token) -> TokenOut:
    return TokenOut(
        id=token.id,
        tenant=token.tenant,
        role=token.role,
        name=token.name,
        created=format_time(token.created_us),
        expires=None if token.expires_us is None else format_time(token.expires_us),
        revoked=None if token.revoked_us is None else format_time(token.revoked_us),
    )
