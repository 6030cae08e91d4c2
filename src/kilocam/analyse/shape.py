"""JSON that a person wrote as the fields of a dataclass; what is wrong is told for that person.

A table of the few kinds of fields that manifests have. Not pydantic, which the gateway has: a
worker would load it for nothing else.
"""

import dataclasses
import difflib
import json
from collections.abc import Callable, Mapping
from typing import Any, get_type_hints

MOST_SHOWN = 40
"""Letters of what is there instead."""


def fields_of(cls: type[Any], given: object, nested: Mapping[str, type[Any]]) -> dict[str, Any]:
    """The arguments of a dataclass, from JSON (hence `Any`).

    Args:
        cls: whose; its fields are of the kinds in `_KINDS`.
        given: what stands there.
        nested: keys that hold another dataclass's fields, or null.

    Raises:
        ValueError: a key is missing, unknown or holds something else; one line, with the mend.
    """
    if not isinstance(given, dict):
        raise ValueError(f"{_shown(given)} stands there: write keys and values in {{}}")  # noqa: TRY004
    fields = {field.name: field for field in dataclasses.fields(cls)}
    for key in given:
        if key not in fields:
            near = difflib.get_close_matches(key, fields, n=1)
            hint = f"did you mean {near[0]!r}?" if near else f"known keys: {', '.join(fields)}"
            raise ValueError(f"unknown key {key[:MOST_SHOWN]!r}: {hint}")
    for name, field in fields.items():
        needed = field.default is field.default_factory is dataclasses.MISSING
        if needed and name not in given:
            raise ValueError(f"{name} is missing: add it")
    kinds = get_type_hints(cls)
    return {key: _value(key, value, kinds[key], nested) for key, value in given.items()}


def _value(key: str, value: object, kind: object, nested: Mapping[str, type[Any]]) -> object:
    if key in nested:
        try:
            return None if value is None else nested[key](**fields_of(nested[key], value, {}))
        except ValueError as error:
            raise ValueError(f"in {key}, {error}") from None
    how, read = _KINDS[kind]
    try:
        return read(value)
    except (TypeError, ValueError, OverflowError):
        raise ValueError(f"{key} is {_shown(value)}: write it as {how}") from None


def _is(value: Any, *kinds: type) -> Any:
    """`Any`: JSON, until it is known to be one of these."""
    if not isinstance(value, kinds) or isinstance(value, bool):
        raise TypeError
    return value


def _text(value: Any) -> str:
    text = str(_is(value, str))
    text.encode()  # half a surrogate is no letter, and no other reader of JSON takes it
    return text


def _whole(value: Any) -> int:
    return int(_is(value, int))


def _number(value: Any) -> float:
    return float(_is(value, int, float))


_KINDS: Mapping[object, tuple[str, Callable[[Any], object]]] = {
    str: ("text, in quotes", _text),
    int: ("a whole number, without quotes", _whole),
    tuple[int, ...]: (
        "whole numbers in brackets, such as [1, 300, 300, 3]",
        lambda value: tuple(map(_whole, _is(value, list))),
    ),
    tuple[float, ...]: (
        "numbers in brackets, such as [0.5, 0.5, 0.5]",
        lambda value: tuple(map(_number, _is(value, list))),
    ),
    dict[int, str]: (
        'a label for each column, such as {"1": "person"}',
        lambda value: {int(column): _text(each) for column, each in _is(value, dict).items()},
    ),
    dict[str, str]: (
        'a SHA-256 for each file, such as {"words.json": "0f3a…"}',
        lambda value: {file: _text(each) for file, each in _is(value, dict).items()},
    ),
}
"""By a field's type: how to write it, and who reads it."""


def _shown(value: object) -> str:
    text = json.dumps(value)
    return text if len(text) <= MOST_SHOWN else text[: MOST_SHOWN - 1] + "…"
