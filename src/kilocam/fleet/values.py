"""What the fleet consists of; all frozen, times in microseconds since 1970 UTC."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import Enum, StrEnum
from typing import Any, Generic, Literal, TypeVar

from kilocam.core import CameraKey
from kilocam.database import SYSTEM
from kilocam.fleet.errors import Forbidden

Item = TypeVar("Item")
DEFAULT_TENANT = "default"


class Unset(Enum):
    """Says that a field is to stay as it is, where None is a value of its own."""

    UNSET = "unset"


UNSET = Unset.UNSET


@dataclass(frozen=True, slots=True, kw_only=True)
class Page(Generic[Item]):
    """Some items of a list, and where the rest begins."""

    items: tuple[Item, ...]
    next_cursor: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Tenant:
    """One customer, site or household."""

    id: str
    name: str
    created_us: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Camera:
    """One camera as anybody of its tenant may see it: addresses are without credentials."""

    tenant: str
    id: str
    url: str
    detect_url: str
    transport: str
    keep_us: int | None
    """None: the installation's default."""
    enabled: bool
    weight: float
    """Where time is short it is as overdue as others not looked at for so many times longer."""
    declared: bool
    """It stands in the configuration file and is changed there."""
    version: int
    created_us: int
    updated_us: int

    @property
    def key(self) -> CameraKey:
        """The camera's full name."""
        return CameraKey(self.tenant, self.id)


@dataclass(frozen=True, slots=True, kw_only=True)
class CameraInput:
    """What somebody says of a camera; addresses hold their credentials."""

    id: str
    url: str = field(repr=False)
    detect_url: str = field(default="", repr=False)
    transport: Literal["tcp"] = "tcp"
    keep_us: int | None = None
    enabled: bool = True
    weight: float = 1.0


@dataclass(frozen=True, slots=True, kw_only=True)
class CameraChange:
    """What is to change; the rest stays."""

    url: str | Unset = field(default=UNSET, repr=False)
    detect_url: str | Unset = field(default=UNSET, repr=False)
    transport: Literal["tcp"] | Unset = UNSET
    keep_us: int | Unset | None = UNSET
    enabled: bool | Unset = UNSET
    weight: float | Unset = UNSET


@dataclass(frozen=True, slots=True, kw_only=True)
class Assignment:
    """All that is needed to record and analyse one camera; never shown."""

    tenant: str
    camera: str
    url: str = field(repr=False)
    detect_url: str = field(repr=False)
    transport: str
    keep_us: int | None
    version: int

    @property
    def key(self) -> CameraKey:
        """The camera's full name."""
        return CameraKey(self.tenant, self.camera)


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredRule:
    """One rule of a camera, as it was written."""

    camera: str
    name: str
    definition: Mapping[str, Any]
    """JSON, as `kilocam.core.rules` reads it."""
    version: int
    updated_us: int


class Role(StrEnum):
    """What somebody may do; what each operation asks for stands in the API's catalogue."""

    ADMIN = "admin"
    OPERATOR = "operator"
    VIEWER = "viewer"
    SERVICE = "service"


def token_subject(token: str) -> str:
    """Whom a token stands for, in the audit log and in sessions that began with it."""
    return f"token/{token}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Token:
    """One API token, without its secret, which nobody keeps."""

    tenant: str
    id: str
    role: Role
    name: str
    created_us: int
    expires_us: int | None
    revoked_us: int | None

    @property
    def principal(self) -> "Principal":
        """Who acts with it."""
        return Principal(tenant=self.tenant, role=self.role, subject=token_subject(self.id))


@dataclass(frozen=True, slots=True, kw_only=True)
class NewToken:
    """A token just made; `secret` is told once."""

    token: Token
    secret: str = field(repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class Principal:
    """Who acts: the subject (`token/<id>`, `user/<id>`), in which tenant, with which role."""

    tenant: str
    """`SYSTEM`: the installation's own people, who may act in every tenant."""
    role: Role
    subject: str

    def tenant_for(self, requested: str | None) -> str:
        """The tenant to act in: the one asked for, or the principal's own.

        Raises:
            Forbidden: the principal belongs to another.
        """
        if self.tenant == SYSTEM:
            return requested or DEFAULT_TENANT
        if requested not in (None, self.tenant):
            raise Forbidden(
                f"{self.subject} of tenant {self.tenant!r} may not act in {requested!r}"
            )
        return self.tenant


@dataclass(frozen=True, slots=True, kw_only=True)
class FleetEvent:
    """One thing that happened: event store, audit log and outbox are made of these."""

    id: int
    tenant: str
    aggregate: str
    """`camera/<id>`, `rule/<camera>/<name>`, `token/<id>`, `tenant/<id>`."""
    version: int
    kind: str
    data: Mapping[str, Any] = field(repr=False)
    """JSON: the state afterwards; addresses are sealed, tokens hashed."""
    actor: str
    at_us: int
