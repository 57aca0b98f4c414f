"""Expected failures, typed, each carrying the HTTP status that an edge answers it with.

Free of frameworks, so that pure rules may raise them. `shared.http` turns a `Refused` into
`application/problem+json` (RFC 9457); the intake turns one into a dead letter.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class FieldError:
    """What is wrong with one field: an RFC 6901 `pointer` into the body, or the name of a `parameter`."""

    detail: str
    pointer: str | None = None
    parameter: str | None = None


class Refused(Exception):
    """A request that Onbelay understands and does not carry out.

    `status` is the HTTP status, `detail` a sentence for a person, `retry_after` whole seconds.
    """

    status = 400

    def __init__(
        self,
        detail: str,
        *,
        errors: Sequence[FieldError] = (),
        retry_after: int | None = None,
        status: int | None = None,
    ) -> None:
        super().__init__(detail)
        self.detail = detail
        self.errors = tuple(errors)
        self.retry_after = retry_after
        if status is not None:
            self.status = status


class Malformed(Refused):
    """400: not JSON at all."""

    status = 400


class Unauthenticated(Refused):
    """401: no token, or one that does not hold."""

    status = 401


class Forbidden(Refused):
    """403: the scope, or the role in this mentorship, does not allow it."""

    status = 403


class NotFound(Refused):
    """404: not there, or not there for this caller."""

    status = 404


class Conflict(Refused):
    """409: a step that the present state does not allow."""

    status = 409


class Gone(Refused):
    """410: it was there and has expired."""

    status = 410


class PreconditionFailed(Refused):
    """412: `If-Match` names another version."""

    status = 412


class TooLarge(Refused):
    """413: the body is over the limit."""

    status = 413


class Unprocessable(Refused):
    """422: well-formed, but a field is not acceptable; `errors` say which."""

    status = 422

    @classmethod
    def field(cls, pointer: str, detail: str) -> Unprocessable:
        """One field of the body, named by its RFC 6901 pointer."""
        return cls(detail, errors=[FieldError(detail, pointer=pointer)])

    @classmethod
    def parameter(cls, name: str, detail: str) -> Unprocessable:
        """One query, path or header parameter."""
        return cls(detail, errors=[FieldError(detail, parameter=name)])


class PreconditionRequired(Refused):
    """428: a PATCH without `If-Match`."""

    status = 428


class Unavailable(Refused):
    """503: not now; `retry_after` says when to come back."""

    status = 503
