"""Models: which there are, which looks, and how the one on trial stands."""

from collections.abc import Awaitable, Callable
from typing import Annotated, Literal

from pydantic import Field

from kilocam.api.catalogue import Caller, Catalogue, Model, Nothing, Operation
from kilocam.fleet import Role


class AgreementOut(Model):
    """About objects of one kind, as far as two models agree; what is true neither knows."""

    known: Annotated[int, Field(description="Surely seen by the model in use.")]
    missed: Annotated[int, Field(description="Of those, not seen by the candidate.")]
    found: Annotated[int, Field(description="Surely seen by the candidate.")]
    extra: Annotated[int, Field(description="Of those, not seen by the model in use.")]


class TrialOut(Model):
    """A candidate's trial beside the model in use."""

    beside: Annotated[str, Field(description="The model in use: name@version.")]
    verdict: Literal["undecided", "promoted", "rolled back"]
    why: str
    begun: str
    decided: str | None
    looks: Annotated[int, Field(description="Pictures that both have seen.")]
    failed: Annotated[int, Field(description="Looks at which the candidate crashed or hung.")]
    kinds: dict[str, AgreementOut]
    cost_us: Annotated[int, Field(description="Processor time of the model in use.")]
    candidate_cost_us: int


class ModelOut(Model):
    """One version of one model."""

    name: str
    version: str
    sha256: str
    licence: str
    source: str
    runtime: str
    input: list[int]
    classes: list[str]
    role: Literal[
        "current", "canary", "rolled back", "promoted", "replaced", "reader", "listener",
        "likeness", "idle",
    ]  # fmt: skip
    trial: TrialOut | None


class ModelList(Model):
    """All models of the machine that analyses."""

    items: list[ModelOut]
    next_cursor: str | None = None
    problem: Annotated[
        str,
        Field(
            description="Why nothing is looked at, or a model cannot be used; empty: all is well."
        ),
    ] = ""
    likeness_problem: Annotated[
        str, Field(description="Why how objects look is not kept; empty: it is, or is not wanted.")
    ] = ""


class ModelOperations:
    """The operation on models.

    Args:
        read: gives the analyst's account as JSON of a `ModelList`; None before there is one.
    """

    def __init__(self, read: Callable[[], Awaitable[str | None]]) -> None:
        self._read = read

    def enter(self, catalogue: Catalogue) -> None:
        """Put it into the catalogue."""
        catalogue.add(Operation(
            name="list_models", summary="Models that look, read and listen; the one on trial.",
            method="GET", path="/v1/models", needs=Role.VIEWER,
            takes=Nothing, gives=ModelList, call=self.list, in_system=True,
        ))  # fmt: skip

    async def likeness_problem(self) -> str:
        """Why how objects look is not kept; empty: it is, or nothing was told of it."""
        text = await self._read()
        return ModelList.model_validate_json(text).likeness_problem if text is not None else ""

    async def list(self, caller: Caller, given: Nothing) -> ModelList:  # noqa: ARG002 - for all
        """All of them; they are the installation's, the same for every tenant."""
        text = await self._read()
        if text is None:
            return ModelList(items=[], problem="no analyst has told of its models yet")
        return ModelList.model_validate_json(text)
