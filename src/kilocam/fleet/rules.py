"""Rules of cameras: declared here, applied by whoever keeps what was seen.

A removed camera's rules stay, as its footage does, and hold again when its id comes back.
"""

import json
import logging
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from functools import lru_cache
from typing import Any

from kilocam.core import ConfigError
from kilocam.core.rules import Rule, check_references, parse_rule, users_of
from kilocam.database import Database, Transaction
from kilocam.fleet.errors import Conflict, Invalid, NotFound, fleet_errors
from kilocam.fleet.events import RULE_PUT, RULE_REMOVED, append, sql
from kilocam.fleet.values import StoredRule

_log = logging.getLogger(__name__)
MOST_RULES = 64
"""Of one camera; each is applied whenever one of its events changes."""


async def rules_of(transaction: Transaction, tenant: str, camera: str) -> Sequence[Rule]:
    """A camera's rules, as a transaction of the tenant sees them.

    One that this release cannot read (a newer one wrote it, or its time zone is not known on this
    machine) is left out and logged: the others hold all the same.
    """
    found = []
    for row in await transaction.fetch(sql("rules"), tenant, camera):
        try:
            definition = json.dumps(row["definition"], sort_keys=True)
            found.append(_parsed(row["name"], definition, row["version"]))
        except (ConfigError, ValueError, TypeError, KeyError) as error:
            _left_out(camera, str(error))
    return found


@lru_cache(maxsize=4096)
def _parsed(name: str, definition: str, version: int) -> Rule:
    """Checking a zone of many corners takes milliseconds, and a window may be written each 2 s."""
    return parse_rule(name, json.loads(definition), version)


@lru_cache(maxsize=4096)
def _left_out(camera: str, why: str) -> None:
    """Said once."""
    _log.warning("camera %s: a rule is left out: %s", camera, why)


class Rules:
    """Everything acts for one tenant, given first; `actor` is noted in the event store."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def rules(self, tenant: str, camera: str) -> tuple[StoredRule, ...]:
        """A camera's rules by name.

        Raises:
            NotFound: there is no such camera.
        """
        with fleet_errors():
            async with self._database.for_tenant(tenant) as transaction:
                if await transaction.fetchrow(sql("has_camera"), tenant, camera) is None:
                    raise _unknown(tenant, camera)
                return await _stored(transaction, tenant, camera)

    async def rule(self, tenant: str, camera: str, name: str) -> StoredRule:
        """One rule.

        Raises:
            NotFound: there is no such camera or rule.
        """
        return _named(await self.rules(tenant, camera), camera, name)

    async def put(
        self, tenant: str, camera: str, name: str, definition: Mapping[str, Any], *, actor: str
    ) -> StoredRule:
        """Makes a rule, or makes it another; the same again changes nothing.

        Raises:
            NotFound: there is no such camera.
            Invalid: the rule cannot be taken: which part, why, how to mend it.
            Conflict: somebody else changed it at the same moment.
        """
        async with self._of(tenant, camera) as transaction:
            stored = await _stored(transaction, tenant, camera)
            others = [r for r in await rules_of(transaction, tenant, camera) if r.name != name]
            check_references(parse_rule(name, definition), others)
            if len(stored) >= MOST_RULES and not any(s.name == name for s in stored):
                raise Invalid(f"camera {camera!r} has {MOST_RULES} rules: remove one first")
            if not any(s.name == name and s.definition == definition for s in stored):
                await _append(
                    transaction, tenant=tenant, camera=camera, name=name, kind=RULE_PUT,
                    data={"definition": definition}, actor=actor,
                )  # fmt: skip
            return _named(await _stored(transaction, tenant, camera), camera, name)

    async def remove(self, tenant: str, camera: str, name: str, *, actor: str) -> None:
        """Removes a rule; what it found stays.

        Raises:
            NotFound: there is no such camera or rule.
            Conflict: others look at it as their zone.
        """
        async with self._of(tenant, camera) as transaction:
            _named(await _stored(transaction, tenant, camera), camera, name)
            if users := users_of(name, await rules_of(transaction, tenant, camera)):
                raise Conflict(
                    f"rule {name!r} is the zone of {', '.join(users)}: remove them first, or have "
                    "them look at another"
                )
            await _append(
                transaction, tenant=tenant, camera=camera, name=name, kind=RULE_REMOVED, data={},
                actor=actor,
            )  # fmt: skip

    @asynccontextmanager
    async def _of(self, tenant: str, camera: str) -> AsyncIterator[Transaction]:
        """A transaction in which nobody else changes the camera or its rules."""
        with fleet_errors():
            async with self._database.for_tenant(tenant) as transaction:
                if await transaction.fetchrow(sql("camera"), tenant, camera) is None:
                    raise _unknown(tenant, camera)
                yield transaction


def _unknown(tenant: str, camera: str) -> NotFound:
    return NotFound(f"camera {camera!r} does not exist in tenant {tenant!r}")


async def _stored(transaction: Transaction, tenant: str, camera: str) -> tuple[StoredRule, ...]:
    rows = await transaction.fetch(sql("rules"), tenant, camera)
    return tuple(StoredRule(**row) for row in rows)


def _named(stored: Sequence[StoredRule], camera: str, name: str) -> StoredRule:
    found = next((rule for rule in stored if rule.name == name), None)
    if found is None:
        raise NotFound(f"camera {camera!r} has no rule {name!r}")
    return found


async def _append(
    transaction: Transaction,
    *,
    tenant: str,
    camera: str,
    name: str,
    kind: str,
    data: Mapping[str, Any],
    actor: str,
) -> None:
    aggregate = f"rule/{camera}/{name}"
    version = 1 + await transaction.fetchval(sql("last_version"), tenant, aggregate)
    await append(
        transaction, tenant=tenant, aggregate=aggregate, version=version, kind=kind, data=data,
        actor=actor,
    )  # fmt: skip
