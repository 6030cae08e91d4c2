"""Errors as RFC 9457 problem details: one shape on every path.

`type` is a stable URN (`urn:kilocam:problem:not-found`), `title` its name, `detail` the one line
for a person; facts beside it (`errors` of a validation, `gaps` of footage) are extension members.
"""

import logging
import re
from collections.abc import Mapping, Sequence
from typing import Any

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException
from starlette.responses import JSONResponse, Response

from kilocam.core import ConfigError, KilocamError

log = logging.getLogger(__name__)

CONTENT_TYPE = "application/problem+json"
_RETRY_S = 5
"""When to ask again where something is away or busy, if nothing better is known."""
_LIBRARY = re.compile(r"^(?:Tuple|List|Value) (?=should )")
_KINDS = {400: "bad-request", 404: "not-found", 405: "method-not-allowed", 413: "too-large"}

SCHEMA: dict[str, object] = {
    "type": "object",
    "title": "Problem",
    "description": "RFC 9457 problem details.",
    "required": ["type", "title", "status", "detail"],
    "properties": {
        "type": {"type": "string", "format": "uri"},
        "title": {"type": "string"},
        "status": {"type": "integer"},
        "detail": {"type": "string"},
    },
}


class Problem(KilocamError):
    """An error that knows its HTTP status; `kind` is the last part of the problem's type."""

    def __init__(
        self,
        status: int,
        kind: str,
        detail: str,
        *,
        headers: Mapping[str, str] | None = None,
        **facts: object,
    ) -> None:
        super().__init__(detail)
        self.status, self.kind, self.facts = status, kind, facts
        self.headers = dict(headers or {})
        if status == 503:
            self.headers.setdefault("Retry-After", str(_RETRY_S))

    def body(self) -> dict[str, object]:
        """The members of the problem's JSON object."""
        return {
            "type": f"urn:kilocam:problem:{self.kind}",
            "title": self.kind.replace("-", " ").capitalize(),
            "status": self.status,
            "detail": str(self),
            **self.facts,
        }


def unauthenticated(detail: str) -> Problem:
    """401 with the challenge that RFC 9110 section 11.6.1 asks for."""
    return Problem(401, "unauthenticated", detail, headers={"WWW-Authenticate": "Bearer"})


def problem_response(problem: Problem) -> Response:
    """The problem as an HTTP answer."""
    return JSONResponse(problem.body(), problem.status, problem.headers, CONTENT_TYPE)


class Translator:
    """Turns the rooms' errors into problems.

    Args:
        known: status and kind of errors; the most specific class wins.
    """

    def __init__(self, known: Mapping[type[KilocamError], tuple[int, str]]) -> None:
        self._known = dict(known)

    def problem(self, error: Exception) -> Problem:
        """The problem of any error; what nobody foresaw is logged and not told."""
        if isinstance(error, Problem):
            return error
        for base in type(error).__mro__:
            if base in self._known:
                status, kind = self._known[base]
                return _challenged(Problem(status, kind, str(error)))
        if isinstance(error, ConfigError):
            return Problem(422, "invalid", str(error))
        log.error("unhandled %s", type(error).__name__, exc_info=error)
        return Problem(500, "internal", "internal error; see the server's log")


def not_understood(errors: Sequence[Mapping[str, Any]]) -> Problem:
    """422 for input that the library refused; the first part of a `loc` says where it stood."""
    explained = [_explained(error) for error in errors]
    where = explained[0]["field"] or errors[0]["loc"][0]
    return Problem(422, "invalid", f"{where}: {explained[0]['message']}", errors=explained)


def _explained(error: Mapping[str, Any]) -> dict[str, str]:
    """One complaint of the library, in words for whoever wrote the request."""
    if error["type"] == "json_invalid":
        at, why = error["loc"][-1], error["ctx"]["error"]
        return {"field": "", "message": f"it is no JSON, from character {at} on: {why}"}
    message = _LIBRARY.sub("", error["msg"].removeprefix("Value error, "))
    field = ".".join(str(part) for part in error["loc"][1:])
    return {"field": field, "message": message.replace(" after validation", "")}


def _challenged(problem: Problem) -> Problem:
    return unauthenticated(str(problem)) if problem.status == 401 else problem


def install(app: FastAPI, translator: Translator) -> None:
    """Answer every error of `app` in the one shape."""

    async def ours(_: Request, error: Exception) -> Response:
        return problem_response(translator.problem(error))

    async def http(request: Request, error: Exception) -> Response:
        if not isinstance(error, HTTPException):
            raise error
        detail = str(error.detail)
        if error.status_code == 404:
            detail = f"there is nothing at {request.url.path}"
        if error.status_code == 405:
            detail = f"{request.method} is not possible at {request.url.path}"
        kind = _KINDS.get(error.status_code, "refused")
        return problem_response(Problem(error.status_code, kind, detail, headers=error.headers))

    async def validation(_: Request, error: Exception) -> Response:
        if not isinstance(error, RequestValidationError):
            raise error
        return problem_response(not_understood(error.errors()))

    app.add_exception_handler(KilocamError, ours)
    app.add_exception_handler(Exception, ours)
    app.add_exception_handler(HTTPException, http)
    app.add_exception_handler(RequestValidationError, validation)
