"""Routes in the order of refusals that the contract promises, with as little ceremony as FastAPI allows.

    router = Router(tags=["goals"])

    class GoalIn(Body):
        mentorship_id: Id
        title: Title

    class GoalFilters(Params):
        mentorship_id: Id | None = None
        due_before: Instant | None = None

    def routes(goals: Goals) -> Router:
        @router.post("/v1/goals", scopes=[PARTICIPATE], status_code=201)
        async def set_goal(body: GoalIn, caller: Caller, idem: Idem | None) -> Answer:
            '''Set a goal.'''
            return await goals.set(caller, body, idem)  # Answer(201, {...}, {"Location": ..., "ETag": ...})

        @router.get("/v1/goals", scopes=[PARTICIPATE, PROGRAMS])
        async def list_goals(filters: Annotated[GoalFilters, Query()], page: Page, caller: Caller) -> Reply:
            return await goals.list(caller, filters, page)  # page.listing(...)

        @router.patch("/v1/goals/{goal_id}", scopes=[PARTICIPATE])
        async def revise(goal_id: str, body: GoalPatch, caller: Caller, if_match: IfMatch) -> Answer:
            return await goals.revise(caller, goal_id, body, if_match)  # if_match.check(v) after 404 and 403
        return router

A route receives by type, whatever the parameters are called: `Caller`, `Idem | None`, `IfMatch`, `Page`,
`Edge`, `Request` (then the body is its own to read). The body is the parameter that is a `Body`; path, query
and header parameters are FastAPI's. It answers an `Answer`, a mapping (200), None (204), or a Starlette
`Response`, and raises `Refused`.

Refused before it runs, in this order: 401, 403 for the scope, 413, 400, 422 for the request's own shape. A
write runs inside `clock.deciding()`, and every route ends within `timeout_s`, else 503.
"""

from __future__ import annotations

import asyncio
import datetime as dt
import functools
import inspect
from collections.abc import Awaitable, Callable, Coroutine, Mapping, Sequence
from contextlib import AbstractAsyncContextManager, nullcontext
from dataclasses import dataclass, field
from typing import Any, TypeVar, get_type_hints

import msgspec
from fastapi import APIRouter, Request, params
from fastapi.exceptions import RequestValidationError
from fastapi.routing import APIRoute
from pydantic import BaseModel
from starlette.datastructures import Headers
from starlette.responses import Response

from shared.clock import Clock
from shared.errors import Conflict, FieldError, Malformed, TooLarge, Unprocessable
from shared.http.auth import ACT_AS_HEADER, Authenticator, Caller
from shared.http.body import MAX_BODY_BYTES, parse
from shared.http.conditional import IfMatch, not_modified
from shared.http.pages import Page, page_of
from shared.http.problems import expected, pointer, refusal, request_refused
from shared.http.thin import Thin
from shared.http.within import within
from shared.idempotency import MAX_KEY_LENGTH, Answer, Idem, idem
from shared.time import format_instant

Reply = Answer | Mapping[str, Any] | None | Response
Endpoint = TypeVar("Endpoint", bound=Callable[..., Awaitable[Any]])

WRITES = frozenset({"POST", "PUT", "PATCH", "DELETE"})
REQUEST_S = 4.5
"""A route answers within this, or 503: no request hangs for 5 s."""
IDEMPOTENT_WAIT_S = 5.0


_Queue = tuple[asyncio.Lock, int]
"""What those who want the same turn wait for, and how many they are, with who has it."""


class _Turn:
    """One turn of an idempotency key; see `Turns.take`. Only who comes second makes something to wait for."""

    __slots__ = ("_held", "_k")

    def __init__(self, held: dict[str, _Queue | None], k: str) -> None:
        self._held = held
        self._k = k

    async def __aenter__(self) -> None:
        held, k = self._held, self._k
        if k not in held:
            held[k] = None
            return
        queue = held[k]
        if queue is None:
            lock, users = asyncio.Lock(), 1
            await lock.acquire()  # for who has the turn; a lock that nobody has does not wait
        else:
            lock, users = queue
        held[k] = (lock, users + 1)
        try:
            await asyncio.wait_for(lock.acquire(), IDEMPOTENT_WAIT_S)
        except BaseException as error:
            self._left()
            if isinstance(error, TimeoutError):
                raise Conflict("The same request is still running.", retry_after=1) from None
            raise

    async def __aexit__(self, *_: object) -> None:
        queue = self._held[self._k]
        if queue is not None:
            queue[0].release()
        self._left()

    def _left(self) -> None:
        queue = self._held[self._k]
        if queue is None or queue[1] == 1:
            del self._held[self._k]
        else:
            self._held[self._k] = (queue[0], queue[1] - 1)


_NO_TURN = nullcontext()


class Turns:
    """One at a time per idempotency key, in this process; across processes the unique index decides."""

    def __init__(self) -> None:
        self._held: dict[str, _Queue | None] = {}

    def take(self, k: str | None) -> AbstractAsyncContextManager[None]:
        """A context that begins with the turn of `k`; of None at once.

        Raises:
            Conflict: the request before it still runs after 5 s.
        """
        return _NO_TURN if k is None else _Turn(self._held, k)


@dataclass(slots=True)
class Edge:
    """What routes need of their application; `create_app` puts it in `app.state.edge`."""

    authenticator: Authenticator
    clock: Clock
    turns: Turns = field(default_factory=Turns)


@dataclass(frozen=True, slots=True)
class Access:
    """How a route may be called; kept on its endpoint.

    `scopes`: any of them; none: any valid token; None: no token.
    """

    scopes: tuple[str, ...] | None
    gated: bool
    timeout_s: float | None


class Router:
    """Collects the routes of a service; see the module's example."""

    def __init__(self, *, tags: Sequence[str] = ()) -> None:
        self.api = APIRouter(route_class=Route)
        self.thin: dict[str, tuple[Any, Thin[Any], Access]] = {}
        """The routes that have a thin way, by path, with the way and how they may be called."""
        self._tags = list(tags)

    def get(
        self, path: str, *, scopes: Sequence[str] | None, **options: Any
    ) -> Callable[[Endpoint], Endpoint]:
        """A GET route; the options are those of `route`."""
        return self.route("GET", path, scopes=scopes, **options)

    def post(
        self, path: str, *, scopes: Sequence[str] | None, **options: Any
    ) -> Callable[[Endpoint], Endpoint]:
        """A POST route; the options are those of `route`."""
        return self.route("POST", path, scopes=scopes, **options)

    def put(
        self, path: str, *, scopes: Sequence[str] | None, **options: Any
    ) -> Callable[[Endpoint], Endpoint]:
        """A PUT route; the options are those of `route`."""
        return self.route("PUT", path, scopes=scopes, **options)

    def patch(
        self, path: str, *, scopes: Sequence[str] | None, **options: Any
    ) -> Callable[[Endpoint], Endpoint]:
        """A PATCH route; the options are those of `route`."""
        return self.route("PATCH", path, scopes=scopes, **options)

    def delete(
        self, path: str, *, scopes: Sequence[str] | None, **options: Any
    ) -> Callable[[Endpoint], Endpoint]:
        """A DELETE route (204 unless said otherwise); the options are those of `route`."""
        return self.route("DELETE", path, scopes=scopes, **{"status_code": 204, **options})

    def route(
        self,
        method: str,
        path: str,
        *,
        scopes: Sequence[str] | None,
        status_code: int = 200,
        answers: type[BaseModel] | None = None,
        refusals: Sequence[int] = (),
        gated: bool | None = None,
        timeout_s: float | None = REQUEST_S,
        tags: Sequence[str] | None = None,
        summary: str | None = None,
        responses: Mapping[int | str, dict[str, Any]] | None = None,
        include_in_schema: bool = True,
        thin: Thin[Any] | None = None,
    ) -> Callable[[Endpoint], Endpoint]:
        """Declare a route.

        Args:
            method: the HTTP method.
            path: its template.
            scopes: any of these lets a token call it; empty: any valid token; None: public.
            status_code: what a success answers, where the endpoint does not say it in an `Answer`.
            answers: the model of the answer, for the documentation alone: answers are not validated.
            refusals: further statuses to document.
            gated: whether it waits while the sandbox clock is moved; by default writes do.
            timeout_s: after which it is cancelled and answered 503; None for what takes its time.
            tags: as in OpenAPI; by default the router's.
            summary: as in OpenAPI; by default from the endpoint's name.
            responses: further OpenAPI responses.
            include_in_schema: whether OpenAPI shows it.
            thin: a shorter way for a POST that is surely right; see `shared.http.thin`.
        """
        access = Access(
            None if scopes is None else tuple(scopes), method in WRITES if gated is None else gated, timeout_s
        )

        def add(endpoint: Endpoint) -> Endpoint:
            wrapped, received = _wrapped(endpoint, status_code, access)
            self.api.add_api_route(
                path,
                wrapped,
                methods=[method],
                status_code=status_code,
                response_model=answers,
                tags=list(tags if tags is not None else self._tags),
                summary=summary,
                responses={**_documented(access, method, refusals, received), **(responses or {})},
                openapi_extra=_openapi_extra(access, method, received),
                include_in_schema=include_in_schema,
            )
            if thin is not None:
                self.thin[path] = (self.api.routes[-1], thin, access)
            return endpoint

        return add


class Route(APIRoute):
    """FastAPI's route behind the order of refusals."""

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        """The handler: who, then what, then FastAPI's own handling of the parameters, then the endpoint."""
        inner = super().get_route_handler()
        access: Access = self.endpoint.__dict__["access"]
        received: _Received = self.endpoint.__dict__["received"]
        allowed = _query_names(self, received)
        form = self.body_field is not None and isinstance(self.body_field.field_info, params.Form)
        reads_json = not form and not received.request
        items_apart = self.body_field is not None and getattr(
            self.body_field.field_info.annotation, "items_apart", False
        )

        async def handle(request: Request) -> Response:
            value: Any = None
            try:
                edge: Edge = request.app.state.edge
                headers = request.headers
                what = _What(edge)
                request.scope["onbelay"] = what
                if access.scopes is not None:
                    what.caller = await edge.authenticator.caller(
                        headers.get("authorization"), headers.get(ACT_AS_HEADER), access.scopes
                    )
                if request.method in WRITES:
                    raw = await read_body(request)
                    # Starlette and FastAPI take the body from here, and do not read it again.
                    request._body = raw
                    if reads_json:
                        value = _json(
                            request, raw, takes_body=self.body_field is not None, items_apart=items_apart
                        )
                _no_unknown_query(request, allowed)
                if received.page:
                    what.page = page_of(request.query_params.get("limit"), request.query_params.get("cursor"))
                key = _idempotency_key(request)
                if key is not None and received.idem and what.caller is not None:
                    what.idem = idem(
                        org_id=what.caller.org_id,
                        person_id=what.caller.person_id,
                        method="POST",
                        path=request.url.path,
                        key=key,
                        body=value,
                    )
                async with (
                    edge.turns.take(what.idem.k if what.idem else None),
                    within(access.timeout_s),
                    edge.clock.deciding() if access.gated else nullcontext(),
                ):
                    response = await inner(request)
            except RequestValidationError as error:
                return refusal(request_refused(error.errors(), value))
            except Exception as error:
                response_to = expected(error)
                if response_to is None:
                    raise
                return response_to
            if request.method == "GET" and not_modified(
                headers.get("if-none-match"), response.headers.get("etag")
            ):
                kept = {
                    name: response.headers[name]
                    for name in ("etag", "cache-control")
                    if name in response.headers
                }
                return Response(status_code=304, headers=kept)
            return response

        return handle


def render(reply: Reply, status_code: int = 200) -> Response:
    """A route's reply as a response."""
    if isinstance(reply, Response):
        return reply
    if reply is None:
        return Response(status_code=204)
    if not isinstance(reply, Answer):
        reply = Answer(status_code, dict(reply))
    headers = {"Cache-Control": "private, no-cache", **reply.headers}
    if reply.replayed:
        headers["Idempotency-Replayed"] = "true"
    if reply.body is None:
        return Response(status_code=reply.status, headers=headers)
    return Response(msgspec.json.encode(_plain(reply.body)), reply.status, headers, "application/json")


# --- how an endpoint is called


@dataclass(slots=True)
class _What:
    """What the edge found out about a request, before the endpoint runs."""

    edge: Edge
    caller: Caller | None = None
    idem: Idem | None = None
    page: Page | None = None


@dataclass(slots=True)
class _Received:
    """The parameters of an endpoint that the edge provides, by what they are."""

    caller: list[str] = field(default_factory=list)
    idem: list[str] = field(default_factory=list)
    if_match: list[str] = field(default_factory=list)
    page: list[str] = field(default_factory=list)
    edge: list[str] = field(default_factory=list)
    request: list[str] = field(default_factory=list)

    def names(self) -> set[str]:
        return {*self.caller, *self.idem, *self.if_match, *self.page, *self.edge, *self.request}


def _wrapped(
    endpoint: Callable[..., Awaitable[Any]], status_code: int, access: Access
) -> tuple[Callable[..., Awaitable[Response]], _Received]:
    hints = get_type_hints(endpoint, include_extras=True)
    signature = inspect.signature(endpoint)
    received = _Received()
    shown = []
    for name, parameter in signature.parameters.items():
        hint = hints.get(name, parameter.annotation)
        kinds: dict[Any, list[str]] = {
            Caller: received.caller,
            Idem | None: received.idem,
            IfMatch: received.if_match,
            Page: received.page,
            Edge: received.edge,
            Request: received.request,
        }
        kind = next((names for known, names in kinds.items() if hint == known), None)
        if kind is None:
            shown.append(parameter.replace(annotation=hint, kind=inspect.Parameter.KEYWORD_ONLY))
        else:
            kind.append(name)
    if received.caller and access.scopes is None:
        raise TypeError(f"{endpoint.__qualname__}: a public route has no caller")
    shown.append(inspect.Parameter("onbelay_request", inspect.Parameter.KEYWORD_ONLY, annotation=Request))

    @functools.wraps(endpoint)
    async def call(onbelay_request: Request, **values: Any) -> Response:
        what: _What = onbelay_request.scope["onbelay"]
        for name in received.caller:
            values[name] = what.caller
        for name in received.idem:
            values[name] = what.idem
        for name in received.if_match:
            values[name] = IfMatch(onbelay_request.headers.get("if-match"))
        for name in received.page:
            values[name] = what.page
        for name in received.edge:
            values[name] = what.edge
        for name in received.request:
            values[name] = onbelay_request
        return render(await endpoint(**values), status_code)

    call.__dict__["__signature__"] = inspect.Signature(shown)
    call.__dict__["access"] = access
    call.__dict__["received"] = received
    return call, received


def _json(request: Request, raw: bytes, *, takes_body: bool, items_apart: bool) -> Any:
    """The JSON value of the body, whatever content type it says; left where FastAPI looks for it."""
    value = parse(raw, items_apart=items_apart)
    if not takes_body:
        if not isinstance(value, dict):
            raise Unprocessable.field("", "This takes no body.")
        if value:
            found = [FieldError("There is no such field.", pointer=pointer(name)) for name in value]
            raise Unprocessable(found[0].detail, errors=found)
        return value
    if not request.headers.get("content-type", "").startswith("application/json"):
        others = [header for header in request.headers.raw if header[0] != b"content-type"]
        request._headers = Headers(raw=[*others, (b"content-type", b"application/json")])
    request._body = raw or b"{}"
    request._json = value
    return value


async def read_body(request: Request) -> bytes:
    """The raw body, bounded while it comes in, however it is sent.

    Raises:
        TooLarge: it is over 1,048,576 bytes.
        Malformed: the client broke off.
    """
    length = request.headers.get("content-length", "")
    if length.isdigit() and int(length) > MAX_BODY_BYTES:
        raise TooLarge(f"A body has at most {MAX_BODY_BYTES} bytes.")
    chunks: list[bytes] = []
    size = 0
    while True:
        message = await request.receive()
        if message["type"] == "http.disconnect":
            raise Malformed("The body broke off.")
        chunk = message.get("body", b"")
        size += len(chunk)
        if size > MAX_BODY_BYTES:
            raise TooLarge(f"A body has at most {MAX_BODY_BYTES} bytes.")
        chunks.append(chunk)
        if not message.get("more_body"):
            return b"".join(chunks)


def _query_names(route: APIRoute, received: _Received) -> frozenset[str]:
    """The names that a query may have."""
    names: set[str] = {"limit", "cursor"} if received.page else set()
    for parameter in route.dependant.query_params:
        kind = parameter.field_info.annotation
        if inspect.isclass(kind) and issubclass(kind, BaseModel):
            names.update(info.alias or name for name, info in kind.model_fields.items())
        else:
            names.add(parameter.alias)
    return frozenset(names)


def _idempotency_key(request: Request) -> str | None:
    key = request.headers.get("idempotency-key") if request.method == "POST" else None
    if key is not None and not 1 <= len(key) <= MAX_KEY_LENGTH:
        raise Unprocessable.parameter("Idempotency-Key", "1 to 255 characters.")
    return key


def _no_unknown_query(request: Request, allowed: frozenset[str]) -> None:
    if not request.scope["query_string"]:
        return
    errors = []
    for name, value in request.query_params.multi_items():
        if name not in allowed:
            errors.append(FieldError("There is no such parameter.", parameter=name))
        elif "\0" in value:
            errors.append(FieldError("Text without NUL.", parameter=name))
    if errors:
        raise Unprocessable(errors[0].detail, errors=errors)


def _plain(value: Any) -> Any:
    if isinstance(value, dict):
        return {name: _plain(item) for name, item in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(item) for item in value]
    if isinstance(value, dt.datetime):
        return format_instant(value)
    return value


# --- OpenAPI


def _documented(
    access: Access, method: str, refusals: Sequence[int], received: _Received
) -> dict[int | str, dict[str, Any]]:
    statuses = {*refusals, 422}
    if access.scopes is not None:
        statuses |= {401, 403}
    if method in WRITES:
        statuses |= {400, 413, 503}
    if received.idem:
        statuses.add(409)
    if received.if_match:
        statuses |= {412, 428}
    return {
        status: {
            "description": "Refused",
            "content": {"application/problem+json": {"schema": {"$ref": "#/components/schemas/Problem"}}},
        }
        for status in sorted(statuses)
    }


def _openapi_extra(access: Access, method: str, received: _Received) -> dict[str, Any]:
    parameters: list[dict[str, Any]] = []

    def header(name: str, description: str, **schema: Any) -> None:
        parameters.append(
            {"name": name, "in": "header", "required": False, "description": description}
            | {"schema": {"type": "string", **schema}}
        )

    if received.idem:
        header("Idempotency-Key", "The same key and body answer as before.", minLength=1, maxLength=255)
    if received.if_match:
        header("If-Match", "The ETag of what was seen; 428 without.")
    if access.scopes is not None:
        header(ACT_AS_HEADER, "Whom an integration acts as; needs the scope onbelay:act_as.")
    if received.page:
        parameters += [
            {
                "name": "limit",
                "in": "query",
                "required": False,
                "schema": {"type": "integer", "minimum": 1, "maximum": 200, "default": 50},
            },
            {"name": "cursor", "in": "query", "required": False, "schema": {"type": "string"}},
        ]
    extra: dict[str, Any] = {"security": []}
    if access.scopes is not None:
        extra["security"] = [{"bearer": [scope]} for scope in access.scopes] or [{"bearer": []}]
    if parameters:
        extra["parameters"] = parameters
    return extra
