"""Describing beside the analyst's looks, where an endpoint is configured."""

import logging
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from datetime import date

from kilocam import insight
from kilocam.analyse import (
    CutPool,
    Describing,
    DescribingOptions,
    FootageSource,
    NotYet,
    Permit,
    PoolOptions,
    Refused,
    models_directory,
    worker_command,
)
from kilocam.core import CameraKey, Clock
from kilocam.core.settings import LlmSettings
from kilocam.insight import Grant, Told
from kilocam.llm import Endpoint
from kilocam.llm.model import LanguageModel

_log = logging.getLogger(__name__)
_OPTIONS = PoolOptions(workers=1)
_PERMITS = {
    Grant.GIVEN: Permit.GIVEN,
    Grant.NEEDLESS: Permit.NEEDLESS,
    Grant.SPENT: Permit.SPENT,
}


class DescribedSink:
    """What is said of events, as analysis hands it in."""

    def __init__(self, told: Told) -> None:
        self._told = told

    async def may_describe(self, key: CameraKey, event_id: str, day: date, budget: int) -> Permit:
        """Count one more description, if there may be one."""
        with refusals():
            return _PERMITS[await self._told.may_describe(key, event_id, day, budget)]

    async def give_back(self, tenant: str, day: date) -> None:
        """It was asked of nobody."""
        with refusals():
            await self._told.give_back(tenant, day)

    async def describe(self, key: CameraKey, event_id: str, said: str, by: str) -> bool:
        """This is what a model says of an event."""
        with refusals():
            return await self._told.describe(key, event_id, said, by)


@contextmanager
def refusals() -> Iterator[None]:
    """Neither room knows the other's errors."""
    try:
        yield
    except insight.Refused as error:
        raise Refused(str(error)) from error
    except insight.NotYet as error:
        raise NotYet(str(error)) from error


def endpoint_of(settings: LlmSettings) -> Endpoint:
    """The one that is configured."""
    return Endpoint(base_url=settings.base_url, model=settings.model, api_key=settings.api_key)


@asynccontextmanager
async def describer(
    settings: LlmSettings, footage: FootageSource, told: Told, clock: Clock
) -> AsyncIterator[Describing | None]:
    """Whoever describes, its worker ended afterwards; None: nothing is to be described."""
    if not settings.describes:
        yield None
        return
    endpoint = endpoint_of(settings)
    _log.info("new events are described by %s", endpoint.shown)
    if endpoint.exposed:
        _log.warning("pictures travel to %s unencrypted; use https", endpoint.shown)
    cutters = CutPool(worker_command(models_directory(), "cut"), _OPTIONS)
    async with LanguageModel(endpoint) as model:
        try:
            yield Describing(
                footage=footage,
                cutters=cutters,
                teller=model,
                sink=DescribedSink(told),
                clock=clock,
                options=DescribingOptions(
                    budget=settings.descriptions_per_day, model=settings.model
                ),
            )
        finally:
            await cutters.__aexit__()  # it starts when there is something for it
