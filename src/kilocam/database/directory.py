"""Where each tenant lives: region, shard, mode, epoch.

    rows      rows among other tenants' in the shard's schema `kilocam`, held apart by policies
    schema    the same tables in a schema of its own
    database  the tenant is alone in a database; that database is a shard

The policies hold in every mode. The directory itself lies in the home shard.
"""

from dataclasses import dataclass
from enum import StrEnum

from blake3 import blake3

from kilocam.core import ConfigError, check_id
from kilocam.database.transaction import Row

HOME = "home"
"""The shard that holds the directory (`database.url`)."""
SYSTEM = "_system"
"""The installation itself as a tenant: the list of tenants, tokens that reach all of them.

No real tenant can be called so (`check_id` refuses the underscore).
"""
MAIN_SCHEMA = "kilocam"


class Mode(StrEnum):
    """How a tenant is held apart from others."""

    ROWS = "rows"
    SCHEMA = "schema"
    DATABASE = "database"


@dataclass(frozen=True, slots=True, kw_only=True)
class Placement:
    """Where one tenant lives; `epoch` grows with every move."""

    region: str
    shard: str = HOME
    mode: Mode = Mode.ROWS
    epoch: int = 1


def read_placement(row: Row) -> Placement:
    """A placement from its row in the directory."""
    return Placement(
        region=row["region"], shard=row["shard"], mode=Mode(row["mode"]), epoch=row["epoch"]
    )


@dataclass(frozen=True, slots=True, kw_only=True, order=True)
class Place:
    """One set of tables: all tenants in it are read together by control."""

    shard: str = HOME
    schema: str = MAIN_SCHEMA


@dataclass(frozen=True, slots=True, kw_only=True)
class Shard:
    """One database of the installation; the login in `url` is replaced by that of a role."""

    url: str
    name: str = HOME
    region: str = "home"


def place_of(tenant: str, placement: Placement) -> Place:
    """The tables that hold `tenant`."""
    if placement.mode is Mode.SCHEMA:
        # A name of Postgres has 63 bytes; an id alone may have as many.
        own = f"{MAIN_SCHEMA}_{blake3(tenant.encode()).hexdigest(8)}"
        return Place(shard=placement.shard, schema=own)
    return Place(shard=placement.shard)


def search_path(place: Place) -> str:
    """The search path of a transaction in `place`; extensions lie in `public`."""
    if place.schema == MAIN_SCHEMA:
        return f"{MAIN_SCHEMA}, public"
    return f"{place.schema}, {MAIN_SCHEMA}, public"


def check_tenant(tenant: str) -> str:
    """Return `tenant` if it may have rows."""
    return tenant if tenant == SYSTEM else check_id("tenant", tenant)


def check_shards(shards: tuple[Shard, ...]) -> dict[str, Shard]:
    """The shards by name.

    Raises:
        ConfigError: two have one name, or none is the home shard.
    """
    by_name = {shard.name: shard for shard in shards}
    if len(by_name) != len(shards):
        raise ConfigError("two database shards have the same name: rename one")
    if HOME not in by_name:
        raise ConfigError(f"no database shard is called {HOME!r}: database.url is that one")
    return by_name
