"""One catalogue of typed operations; every way in (REST, MCP) is a face of it.

An operation says what it takes, what it gives and who may call it. Faces turn their protocol into a
call and the answer back, with equal limits and errors; no face has logic of its own.
"""

from collections.abc import (
    AsyncGenerator,
    AsyncIterable,
    AsyncIterator,
    Awaitable,
    Callable,
    Iterator,
)
from dataclasses import dataclass, field
from typing import Generic, TypeVar

from pydantic import BaseModel, ConfigDict

from kilocam.api.problems import Problem
from kilocam.fleet import SYSTEM, Principal, Role

RANK = {Role.VIEWER: 1, Role.OPERATOR: 2, Role.SERVICE: 2, Role.ADMIN: 3}
"""Each role may do all that the ones with a lower rank may."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Caller:
    """Who calls and the tenant to act in, as authentication established them."""

    tenant: str
    principal: Principal
    until_us: int | None = None
    """When its session or token expires; None: never."""

    @property
    def actor(self) -> str:
        """What is written into the audit log: `token/3f…`."""
        return self.principal.subject

    def need(self, role: Role, operation: str, *, in_system: bool = False) -> None:
        """Raise 403 unless the caller's role reaches `role`, 422 in a tenant that it is not for."""
        if self.tenant == SYSTEM and not in_system:
            raise Problem(
                422,
                "invalid",
                f"{operation} does not work in tenant {SYSTEM!r}, which has tokens only: "
                "name another with ?tenant=",
            )
        if RANK[self.principal.role] < RANK[role]:
            raise Problem(
                403,
                "forbidden",
                f"{operation} needs the role {role}, {self.actor} has {self.principal.role}",
            )


class Model(BaseModel):
    """Base of what comes in and goes out: unknown fields are refused, not ignored."""

    model_config = ConfigDict(
        extra="forbid", frozen=True, validate_by_name=True, validate_by_alias=True
    )


class Nothing(Model):
    """No input, or no output."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Binary:
    """An answer that is no JSON: pictures, playlists, media."""

    content_type: str
    body: bytes | AsyncIterator[bytes]
    headers: dict[str, str] = field(default_factory=dict)


async def release(body: AsyncIterable[object]) -> None:
    """Let go of what a body is made from, though nobody read it to its end."""
    close = getattr(body, "aclose", None)
    if close is not None:
        await close()


In = TypeVar("In", bound=BaseModel)
Out = TypeVar("Out")


@dataclass(frozen=True, slots=True, kw_only=True)
class Operation(Generic[In, Out]):
    """One thing the product can do.

    Attributes:
        name: `list_cameras`; the operation id in every face.
        summary: One line for people and language models.
        method, path: Its REST face; `{id}` in the path is a field of the input.
        needs: The least role that may call it.
        takes, gives: Types of input and output; `Binary` for what is no JSON.
        call: Does it.
        status: HTTP status of success.
        media_type: Of a `Binary` answer.
        in_system: Whether it works in the tenant of the installation's own people too.
        tool: Whether language models are offered it (MCP); only for what changes nothing.
        told: The same, step by step: names of what happens with their JSON, the answer last. Of
            operations that take long; a client that goes away ends them.
    """

    name: str
    summary: str
    method: str
    path: str
    needs: Role
    takes: type[In]
    gives: type[Out]
    call: Callable[[Caller, In], Awaitable[Out]]
    status: int = 200
    media_type: str = "application/json"
    in_system: bool = False
    tool: bool = False
    told: Callable[[Caller, In], AsyncGenerator[tuple[str, str], None]] | None = None


class Catalogue:
    """All operations, by name."""

    def __init__(self) -> None:
        self._operations: dict[str, Operation[BaseModel, object]] = {}

    def add(self, operation: Operation[In, Out]) -> None:
        """Put in one operation; a name that is taken is a programming error."""
        if operation.name in self._operations:
            raise ValueError(f"operation {operation.name} is in the catalogue already")
        self._operations[operation.name] = operation  # type: ignore[assignment]  # erased

    def __iter__(self) -> Iterator[Operation[BaseModel, object]]:
        return iter(self._operations.values())
