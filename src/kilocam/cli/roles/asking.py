"""Who answers questions: the built-in planner, and a language model if one is configured."""

import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from kilocam.cli.roles.describer import endpoint_of
from kilocam.core.settings import LlmSettings
from kilocam.insight.ask import Asking, Model

_log = logging.getLogger(__name__)
_TURN_S = 30.0
"""What one turn of a model may take; all of them together have less than a minute."""


@asynccontextmanager
async def asking(settings: LlmSettings) -> AsyncIterator[Asking]:
    """For the settings, its connections closed afterwards."""
    if not settings.answers:
        yield Asking()
        return
    from kilocam.llm.model import LanguageModel  # it loads an HTTP client

    endpoint = endpoint_of(settings)
    _log.info("questions are put to %s", endpoint.shown)
    if endpoint.exposed:
        _log.warning("questions and what was read and heard travel to %s unencrypted; use https",
                     endpoint.shown)  # fmt: skip
    async with LanguageModel(endpoint, limit_s=_TURN_S) as chat:
        yield Asking(
            Model(chat=chat, name=settings.model, most_tokens=settings.tokens_per_question)
        )
