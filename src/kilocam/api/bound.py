"""Operations for whoever acts in a caller's name: the same rights, the same checks.

What is bound goes through what a request goes through: the caller's rate, the role, the input's
schema, texts that nothing can keep. What is not named here cannot be called.
"""

from collections.abc import Collection, Mapping, Sequence
from functools import cached_property
from typing import Any

from pydantic import BaseModel

from kilocam.api.calling import call_as
from kilocam.api.catalogue import Caller, Catalogue, Operation
from kilocam.api.limits import RateLimit
from kilocam.api.problems import Problem, Translator
from kilocam.core import KilocamError
from kilocam.insight.ask import ToolRefused, ToolSpec


class BoundTools:
    """Some operations, as one caller.

    Args:
        catalogue: where they are.
        names: which of them.
        caller: as whom.
        translator: turns errors into problems.
        limit: each call counts as one of the caller's requests.
    """

    def __init__(
        self,
        catalogue: Catalogue,
        names: Collection[str],
        caller: Caller,
        translator: Translator,
        limit: RateLimit,
    ) -> None:
        self._operations = {each.name: each for each in catalogue if each.name in names}
        self._caller = caller
        self._translator = translator
        self._limit = limit

    @cached_property  # a model is told of them again with each thing it says
    def specs(self) -> Sequence[ToolSpec]:
        """As a language model is told of them."""
        return [
            ToolSpec(name=each.name, summary=each.summary, schema=each.takes.model_json_schema())
            for each in self._operations.values()
        ]

    async def call(self, name: str, given: Mapping[str, object]) -> Mapping[str, Any]:
        """The answer as the JSON object that REST gives.

        Raises:
            ToolRefused: with the status and kind of the problem that REST gives.
        """
        try:
            answer = await self._call(name, given)
        except ToolRefused:
            raise
        except KilocamError as error:
            problem = self._translator.problem(error)
            raise ToolRefused(problem.status, problem.kind, str(problem)) from error
        return answer.model_dump(mode="json", by_alias=True)

    async def _call(self, name: str, given: Mapping[str, object]) -> BaseModel:
        operation: Operation[BaseModel, object] | None = self._operations.get(name)
        if operation is None:
            raise Problem(
                404, "not-found", f"there is no operation {name[:80]!r} to be called here"
            )
        principal = self._caller.principal
        self._limit.take(f"{principal.tenant} {principal.subject}")
        answer = await call_as(self._caller, operation, given)
        assert isinstance(answer, BaseModel)  # binary operations are not named for this
        return answer
