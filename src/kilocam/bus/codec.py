"""Frozen dataclasses to JSON and back, strictly: what does not fit its type is refused.

Each kind of value has a schema name and version, which travel in the header `Kilocam-Schema:
name/version`; any change of a class is a new version, and readers register all versions they know.
"""

import base64
import dataclasses
import functools
import json
import types
import typing
from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from enum import Enum, Flag

from kilocam.bus.errors import NotEncodable, Unreadable

SCHEMA_HEADER = "Kilocam-Schema"

_Convert = Callable[[object], object]
_T = typing.TypeVar("_T")


@dataclass(frozen=True, slots=True)
class Schema:
    """A frozen dataclass under the name and version that messages carry."""

    name: str
    version: int
    type: type

    def __str__(self) -> str:
        return f"{self.name}/{self.version}"


class Codec:
    """The schemas one process knows."""

    def __init__(self, schemas: Iterable[Schema]) -> None:
        self._by_type: dict[type, Schema] = {}
        self._by_text: dict[str, Schema] = {}
        for schema in schemas:
            _writer(schema.type), _reader(schema.type)  # A type we cannot carry is found now.
            self._by_type[schema.type] = schema
            self._by_text[str(schema)] = schema

    def encode(self, value: object) -> tuple[str, bytes]:
        """The schema header's text and the body.

        Raises:
            NotEncodable: no schema for this type, or a number that is not finite.
        """
        schema = self._by_type.get(type(value))
        if schema is None:
            raise NotEncodable(f"no schema is registered for {type(value).__name__}")
        return str(schema), to_json(schema.type, value)

    def decode(self, schema: str | None, body: bytes) -> object:
        """The value.

        Raises:
            Unreadable: with the reason.
        """
        if schema is None:
            raise Unreadable(f"no {SCHEMA_HEADER} header")
        known = self._by_text.get(schema)
        if known is None:
            raise Unreadable(f"schema {schema} is not known here")
        return from_json(known.type, body)


def to_json(kind: type, value: object) -> bytes:
    """JSON of a value that is a `kind`."""
    try:
        plain = _writer(kind)(value)
        return _ENCODER.encode(plain).encode()
    except (ValueError, TypeError, AttributeError) as error:
        raise NotEncodable(f"{kind.__name__} cannot be sent: {error}") from None


def from_json(kind: type[_T], body: bytes) -> _T:
    """A `kind` out of JSON."""
    try:
        plain = _DECODER.decode(body.decode())
    except (ValueError, RecursionError) as error:
        raise Unreadable(f"not JSON: {error}") from None
    as_key: object = kind
    value = _reader(as_key)(plain)
    if not isinstance(value, kind):
        raise Unreadable(f"not a {kind.__name__}")
    return value


def _no_constant(text: str) -> object:
    raise ValueError(f"{text} is not a number")


_ENCODER = json.JSONEncoder(separators=(",", ":"), allow_nan=False)
_DECODER = json.JSONDecoder(parse_constant=_no_constant)
_PLAIN = (str, int, float, bool)
"""Of these JSON has its own."""


# Writing


@functools.cache
def _writer(kind: object) -> _Convert:
    if kind in (*_PLAIN, types.NoneType):
        return lambda value: value
    if kind is bytes:
        return lambda value: base64.b64encode(typing.cast("bytes", value)).decode()
    if isinstance(kind, typing.NewType):
        return _writer(kind.__supertype__)
    if isinstance(kind, type) and issubclass(kind, Enum):
        return lambda value: typing.cast("Enum", value).value
    if dataclasses.is_dataclass(kind) and isinstance(kind, type):
        return _dataclass_writer(kind)
    match _shape(kind):
        case ("optional", inner):
            write = _writer(inner)
            return lambda value: None if value is None else write(value)
        case ("sequence", inner):
            write = _writer(inner)
            return lambda value: [write(item) for item in typing.cast("tuple[object, ...]", value)]
        case ("tuple", *inners):
            writers = [_writer(inner) for inner in inners]
            return lambda value: [
                write(item)
                for write, item in zip(
                    writers, typing.cast("tuple[object, ...]", value), strict=True
                )
            ]
        case ("mapping", inner):
            write = _writer(inner)
            return lambda value: {
                k: write(v) for k, v in typing.cast("Mapping[str, object]", value).items()
            }
    raise TypeError(f"values of type {kind!r} cannot be carried by the bus")


def _dataclass_writer(kind: type) -> _Convert:
    hints = typing.get_type_hints(kind)
    fields = [(field.name, _writer(hints[field.name])) for field in dataclasses.fields(kind)]
    if all(hints[name] in _PLAIN for name, _ in fields):
        return lambda value: {name: getattr(value, name) for name, _ in fields}
    return lambda value: {name: write(getattr(value, name)) for name, write in fields}


# Reading


def _refuse(kind: object, value: object) -> Unreadable:
    name = kind.__name__ if isinstance(kind, type) else str(kind)
    return Unreadable(f"{name} expected, {json.dumps(value)[:80]} found")


def _exactly(kind: type, accepted: tuple[type, ...]) -> _Convert:
    def read(value: object) -> object:
        if type(value) not in accepted:
            raise _refuse(kind, value)
        return kind(value)

    return read


@functools.cache
def _reader(kind: object) -> _Convert:
    if kind in (str, int, bool):
        plain = typing.cast("type", kind)
        return _exactly(plain, (plain,))
    if kind is float:
        return _exactly(float, (float, int))
    if kind is bytes:
        return _read_bytes
    if isinstance(kind, typing.NewType):
        return _reader(kind.__supertype__)
    if isinstance(kind, type) and issubclass(kind, Enum):
        return functools.partial(_read_enum, kind)
    if dataclasses.is_dataclass(kind) and isinstance(kind, type):
        return _dataclass_reader(kind)
    match _shape(kind):
        case ("optional", inner):
            read = _reader(inner)
            return lambda value: None if value is None else read(value)
        case ("sequence", inner):
            read = _reader(inner)
            return lambda value: tuple(read(item) for item in _list(kind, value))
        case ("tuple", *inners):
            return _tuple_reader(kind, [_reader(inner) for inner in inners])
        case ("mapping", inner):
            read = _reader(inner)
            return lambda value: {k: read(v) for k, v in _object(kind, value).items()}
    raise TypeError(f"values of type {kind!r} cannot be carried by the bus")


def _read_bytes(value: object) -> object:
    try:
        return base64.b64decode(typing.cast("str", value), validate=True)
    except (ValueError, TypeError):
        raise _refuse(bytes, value) from None


def _read_enum(kind: type[Enum], value: object) -> object:
    expected = int if issubclass(kind, Flag) else type(next(iter(kind)).value)
    if type(value) is not expected:
        raise _refuse(kind, value)
    try:
        return kind(value)
    except ValueError:
        raise _refuse(kind, value) from None


def _list(kind: object, value: object) -> list[object]:
    if not isinstance(value, list):
        raise _refuse(kind, value)
    return value


def _object(kind: object, value: object) -> dict[str, object]:
    if not isinstance(value, dict):
        raise _refuse(kind, value)
    return value


def _tuple_reader(kind: object, readers: list[_Convert]) -> _Convert:
    def read(value: object) -> object:
        items = _list(kind, value)
        if len(items) != len(readers):
            raise _refuse(kind, value)
        return tuple(one(item) for one, item in zip(readers, items, strict=True))

    return read


def _dataclass_reader(kind: type) -> _Convert:
    hints = typing.get_type_hints(kind)
    readers = {field.name: _reader(hints[field.name]) for field in dataclasses.fields(kind)}
    names, kinds = list(readers), [hints[name] for name in readers]
    as_is = all(hint in _PLAIN for hint in kinds)
    required = {
        field.name
        for field in dataclasses.fields(kind)
        if field.default is dataclasses.MISSING and field.default_factory is dataclasses.MISSING
    }

    def read(value: object) -> object:
        given = _object(kind, value)
        # Nearly all values are right: which field is wrong is found out when one is.
        with suppress(KeyError, ValueError, TypeError, ArithmeticError, Unreadable):
            # Of windows, hundreds a second, nothing has to be converted.
            if as_is and list(given) == names and list(map(type, given.values())) == kinds:
                return kind(**given)
            return kind(**{name: readers[name](item) for name, item in given.items()})
        if unknown := given.keys() - readers.keys():
            raise Unreadable(f"{kind.__name__} has no {', '.join(sorted(unknown))}")
        if missing := required - given.keys():
            raise Unreadable(f"{kind.__name__} lacks {', '.join(sorted(missing))}")
        arguments = {}
        for name, item in given.items():
            try:
                arguments[name] = readers[name](item)
            except Unreadable as error:
                raise Unreadable(f"{kind.__name__}.{name}: {error}") from None
        try:
            return kind(**arguments)
        except (ValueError, TypeError, ArithmeticError) as error:
            raise Unreadable(f"{kind.__name__}: {error}") from None

    return read


def _shape(kind: object) -> tuple[object, ...]:
    """What a generic type is made of: `("sequence", int)` for `tuple[int, ...]`."""
    origin, inner = typing.get_origin(kind), typing.get_args(kind)
    if origin in (typing.Union, types.UnionType) and len(inner) == 2 and types.NoneType in inner:
        return ("optional", inner[0] if inner[1] is types.NoneType else inner[1])
    if origin is tuple and len(inner) == 2 and inner[1] is Ellipsis:
        return ("sequence", inner[0])
    if origin is tuple:
        return ("tuple", *inner)
    if origin is not None and issubclass(origin, Mapping) and inner[0] is str:
        return ("mapping", inner[1])
    return ()
