"""Refusals as RFC 9457 `application/problem+json`, with RFC 6901 pointers to the fields that are wrong."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from http import HTTPStatus
from typing import Any

import msgspec
from pydantic import ValidationError
from pymongo.errors import PyMongoError
from starlette.responses import Response

from shared.errors import FieldError, Refused, Unprocessable

MEDIA_TYPE = "application/problem+json"
_SLUGS = {
    400: "malformed",
    401: "unauthenticated",
    403: "forbidden",
    404: "not-found",
    405: "method-not-allowed",
    409: "conflict",
    410: "gone",
    412: "precondition-failed",
    413: "too-large",
    422: "unprocessable",
    428: "precondition-required",
    500: "internal",
    503: "unavailable",
}
NO_TOKEN = "This needs a bearer token."  # noqa: S105 - a sentence, not a secret
_TITLES = {413: "Content Too Large", 422: "Unprocessable Content"}


def problem_body(
    status: int, detail: str, errors: Sequence[FieldError] = (), extra: Mapping[str, Any] | None = None
) -> dict[str, Any]:
    """The members of a problem: `type` is stable, and what a client should tell refusals apart by."""
    body: dict[str, Any] = {
        "type": f"urn:onbelay:problem:{_SLUGS.get(status, f'http-{status}')}",
        "title": _TITLES.get(status) or HTTPStatus(status).phrase,
        "status": status,
        "detail": detail,
    }
    if errors:
        body["errors"] = [
            {"parameter": error.parameter, "detail": error.detail}
            if error.parameter is not None
            else {"pointer": error.pointer or "", "detail": error.detail}
            for error in errors
        ]
    body.update(extra or {})
    return body


def problem(
    status: int,
    detail: str,
    *,
    errors: Sequence[FieldError] = (),
    headers: Mapping[str, str] | None = None,
    retry_after: int | None = None,
) -> Response:
    """A problem as a response."""
    sent = {"Cache-Control": "no-store", **(headers or {})}
    if retry_after is not None:
        sent["Retry-After"] = str(retry_after)
    content = msgspec.json.encode(problem_body(status, detail, errors))
    return Response(content, status, sent, MEDIA_TYPE)


def refusal(error: Refused) -> Response:
    """A typed refusal as a response."""
    headers = {}
    if error.status == 401:
        # RFC 6750, section 3: an error code only when a token was there and did not hold.
        code = ""
        if error.detail != NO_TOKEN:
            code = f', error="invalid_token", error_description="{error.detail}"'
        headers["WWW-Authenticate"] = f'Bearer realm="onbelay"{code}'
    retry_after = 1 if error.status == 503 and error.retry_after is None else error.retry_after
    return problem(error.status, error.detail, errors=error.errors, headers=headers, retry_after=retry_after)


def expected(error: Exception) -> Response | None:
    """The response to an exception that is no bug, or None: then it is one."""
    if isinstance(error, Refused):
        return refusal(error)
    if isinstance(error, PyMongoError):
        return problem(503, "The store does not answer just now; try again soon.", retry_after=1)
    if isinstance(error, TimeoutError):
        return problem(503, "This took too long; try again soon.", retry_after=1)
    return None


def pointer(*path: str | int) -> str:
    """An RFC 6901 pointer: `pointer("measure", "a/b", 0)` is `/measure/a~1b/0`."""
    return "".join(f"/{str(part).replace('~', '~0').replace('/', '~1')}" for part in path)


def body_refused(errors: Iterable[Mapping[str, Any]], body: Any) -> Unprocessable:
    """Pydantic's errors about a body as a 422: each `loc` is a path into `body`."""
    found = [
        FieldError(_detail(error), pointer=pointer(*_within(tuple(error["loc"]), body, error["type"])))
        for error in errors
    ]
    return _unprocessable(found)


def parameters_refused(errors: Iterable[Mapping[str, Any]]) -> Unprocessable:
    """Pydantic's errors about parameters as a 422: each `loc` is `(place, name, ...)`."""
    return _unprocessable([FieldError(_detail(error), parameter=str(error["loc"][1])) for error in errors])


def request_refused(errors: Sequence[Mapping[str, Any]], body: Any) -> Unprocessable:
    """FastAPI's errors about a whole request, whose `loc` begins with the place."""
    found: list[FieldError] = []
    for error in errors:
        place, *rest = error["loc"]
        if place == "body":
            inside = {**error, "loc": tuple(rest)}
            found += body_refused([inside], body).errors
        else:
            found += parameters_refused([error]).errors
    return _unprocessable(found)


def invalid(error: ValidationError, body: Any) -> Unprocessable:
    """A pydantic failure about `body` as a 422."""
    return body_refused(error.errors(include_url=False, include_input=False), body)


def _unprocessable(errors: Sequence[FieldError]) -> Unprocessable:
    unique = list(dict.fromkeys(errors))
    if len(unique) == 1:
        return Unprocessable(unique[0].detail, errors=unique)
    return Unprocessable(f"{len(unique)} fields are not acceptable.", errors=unique)


def _detail(error: Mapping[str, Any]) -> str:
    kind = error["type"]
    if kind == "missing":
        return "This field is required."
    if kind == "extra_forbidden":
        return "There is no such field."
    text = str(error["msg"]).removeprefix("Value error, ").removeprefix("Assertion failed, ")
    return text if text.endswith((".", "!", "?")) else f"{text}."


def _within(loc: Sequence[str | int], value: Any, kind: str) -> list[str | int]:
    """The part of a pydantic `loc` that is a path into `value`.

    Pydantic puts the labels of unions, tags and validators between the keys; what cannot be followed in the
    value is such a label, except for the last part of what is missing.
    """
    path: list[str | int] = []
    for index, part in enumerate(loc):
        last = index == len(loc) - 1
        if last and kind == "missing":
            path.append(part)
        elif isinstance(part, int):
            if isinstance(value, list) and part < len(value):
                path.append(part)
                value = value[part]
        elif isinstance(value, dict) and part in value and (last or isinstance(value[part], dict | list)):
            path.append(part)
            value = value[part]
    return path
