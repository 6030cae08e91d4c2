"""The REST face of the catalogue: each operation becomes a route of FastAPI, and so of OpenAPI."""

import inspect
import string
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Annotated, Any

from fastapi import Body, Depends, FastAPI, Path, Query
from pydantic import BaseModel, create_model
from pydantic.fields import FieldInfo
from starlette.requests import Request
from starlette.responses import Response, StreamingResponse
from starlette.types import Send
from typing_extensions import override

from kilocam.api.catalogue import Binary, Caller, Catalogue, Operation, release
from kilocam.api.texts import check_texts
from kilocam.api.told import EVENT_STREAM, ClientGone, stream, wants_stream, while_there

Authenticate = Callable[[Request], Awaitable[Caller]]
_Op = Operation[BaseModel, object]
_GONE = 499
"""For the log alone: the client went before the answer was there."""


def mount(app: FastAPI, catalogue: Catalogue, authenticate: Authenticate) -> None:
    """Add a route for every operation; each asks `authenticate` who calls."""
    for operation in catalogue:
        binary = operation.gives is Binary
        app.add_api_route(
            operation.path,
            _endpoint(operation, authenticate),
            methods=[operation.method],
            operation_id=operation.name,
            summary=operation.summary,
            status_code=operation.status,
            response_model=None if binary or operation.status == 204 else operation.gives,
            response_class=Response,
            responses=_other_content(operation),
        )


def _other_content(operation: _Op) -> dict[int | str, dict[str, Any]]:
    """What an answer may be besides JSON."""
    if operation.gives is Binary:
        return {operation.status: {"content": {operation.media_type: {}}}}
    if operation.told is not None:
        return {operation.status: {"content": {EVENT_STREAM: {}}}}
    return {}


def _endpoint(operation: _Op, authenticate: Authenticate) -> Callable[..., Awaitable[Any]]:
    names = {name for _, name, _, _ in string.Formatter().parse(operation.path) if name}
    fields = operation.takes.model_fields
    in_path = {n: f for n, f in fields.items() if (f.alias or n) in names}
    others = {n: f for n, f in fields.items() if n not in in_path}
    parameters = [_parameter(name, field, Path) for name, field in in_path.items()]
    body: type[BaseModel] | None = None
    if operation.method in {"GET", "DELETE"}:
        parameters += [_parameter(name, field, Query) for name, field in others.items()]
    elif others:
        body = operation.takes if not in_path else _without_path(operation, others)
        parameters.append(
            inspect.Parameter(
                "body", inspect.Parameter.KEYWORD_ONLY, annotation=Annotated[body, Body()]
            )
        )
    caller = inspect.Parameter(
        "caller",
        inspect.Parameter.KEYWORD_ONLY,
        annotation=Annotated[Caller, Depends(authenticate)],
    )
    asked = inspect.Parameter("request", inspect.Parameter.KEYWORD_ONLY, annotation=Request)

    async def endpoint(**given: Any) -> Any:
        who: Caller = given.pop("caller")
        request: Request = given.pop("request")
        who.need(operation.needs, operation.name, in_system=operation.in_system)
        sent = given.pop("body", None)
        values = {**given, **({n: getattr(sent, n) for n in others} if sent is not None else {})}
        check_texts({fields[name].alias or name: value for name, value in values.items()})
        taken = operation.takes.model_construct(_fields_set=_set(sent, given), **values)
        if operation.told is None:
            return await _answer(operation, await operation.call(who, taken))
        try:
            if wants_stream(request):
                return await stream(request, operation.told(who, taken))
            result = await while_there(request, _call(operation, who, taken))
        except ClientGone:
            return Response(status_code=_GONE)
        return await _answer(operation, result)

    endpoint.__signature__ = inspect.Signature([*parameters, caller, asked])  # type: ignore[attr-defined]  # read by FastAPI
    endpoint.__name__ = operation.name
    return endpoint


async def _call(operation: _Op, who: Caller, taken: BaseModel) -> object:
    return await operation.call(who, taken)


def _set(sent: BaseModel | None, given: dict[str, Any]) -> set[str]:
    return set(given) | (sent.model_fields_set if sent is not None else set())


def _parameter(name: str, field: FieldInfo, place: Callable[..., Any]) -> inspect.Parameter:
    extra = {"alias": field.alias} if field.alias else {}
    default = inspect.Parameter.empty if field.is_required() else field.get_default()
    marker = place(description=field.description, **extra)
    kind: Any = field.annotation  # known at run time only
    annotation = Annotated[kind, *field.metadata, marker]
    return inspect.Parameter(
        name, inspect.Parameter.KEYWORD_ONLY, default=default, annotation=annotation
    )


def _without_path(operation: _Op, others: dict[str, FieldInfo]) -> type[BaseModel]:
    fields: dict[str, Any] = {name: (field.annotation, field) for name, field in others.items()}
    name = "".join(part.title() for part in operation.name.split("_")) + "Body"
    return create_model(name, __config__=operation.takes.model_config, **fields)


async def _answer(operation: _Op, result: object) -> object:
    if operation.status == 204:
        return Response(status_code=204)
    if not isinstance(result, Binary):
        if isinstance(result, BaseModel):
            return Response(
                result.model_dump_json(by_alias=True),
                status_code=operation.status,
                media_type="application/json",
            )
        return result
    if isinstance(result.body, bytes):
        return Response(result.body, headers=result.headers, media_type=result.content_type)
    first = await anext(result.body, b"")  # what fails before the first byte is still a problem
    return _Stream(
        _after(first, result.body), headers=result.headers, media_type=result.content_type
    )


async def _after(first: bytes, rest: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
    try:
        yield first
        async for chunk in rest:
            yield chunk
    finally:
        await release(rest)


class _Stream(StreamingResponse):
    """A body whose source is released at once when the client leaves."""

    @override
    async def stream_response(self, send: Send) -> None:
        try:
            await super().stream_response(send)
        finally:
            await release(self.body_iterator)
