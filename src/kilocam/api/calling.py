"""Calling an operation with input that nobody has checked: for faces without a framework's help."""

from collections.abc import Mapping
from typing import Any

from pydantic import BaseModel, ValidationError

from kilocam.api.catalogue import Caller, Operation
from kilocam.api.problems import not_understood
from kilocam.api.texts import check_texts


async def call_as(
    caller: Caller, operation: Operation[BaseModel, object], given: Mapping[str, Any]
) -> object:
    """What the operation gives the caller, of input as REST takes it.

    Raises:
        Problem: the caller may not, or the input is not valid; as REST tells it.
    """
    caller.need(operation.needs, operation.name, in_system=operation.in_system)
    try:
        taken = operation.takes.model_validate(dict(given), by_alias=True, by_name=False)
    except ValidationError as error:
        raise not_understood(
            [{**each, "loc": ("arguments", *each["loc"])} for each in error.errors()]
        ) from None
    fields = operation.takes.model_fields
    check_texts({field.alias or name: getattr(taken, name) for name, field in fields.items()})
    return await operation.call(caller, taken)
