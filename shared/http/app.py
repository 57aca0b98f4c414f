"""The application of a service: its routes, and what every service answers beside them."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from functools import partial
from pathlib import Path
from typing import Any

import structlog
from fastapi import FastAPI
from fastapi.openapi.utils import get_openapi
from prometheus_client import CONTENT_TYPE_LATEST, Counter, Histogram, generate_latest
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import HTMLResponse, Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from shared import levers, telemetry
from shared.clock import Clock
from shared.errors import NotFound
from shared.http.auth import Authenticator
from shared.http.docs import page as docs_page
from shared.http.problems import problem
from shared.http.routing import Edge, Reply, Router
from shared.http.sandbox import clock_routes
from shared.http.thin import NOSNIFF, ThinRoute, answered_whole
from shared.idempotency import Answer
from shared.settings import Settings

Check = Callable[[], Awaitable[object]]
Lifespan = Callable[[FastAPI], AbstractAsyncContextManager[None]]

SCHEMAS = Path(__file__).resolve().parent.parent / "events" / "schemas"
CHECK_S = 2.0
_QUIET = frozenset({"/livez", "/readyz", "/metrics"})
_TRACE_HEADERS = (b"traceparent", b"tracestate")
_log = structlog.get_logger("onbelay.http")


class Readiness:
    """Named checks that must all hold for `/readyz`.

    A check fails by raising, by answering False, or by taking longer than 2 s.
    """

    def __init__(self, checks: Mapping[str, Check] | None = None) -> None:
        self._checks: dict[str, Check] = dict(checks or {})

    def add(self, name: str, check: Check) -> None:
        """Add a check, or replace the one of that name."""
        self._checks[name] = check

    async def failing(self) -> list[str]:
        """The names of the checks that do not hold."""
        held = await asyncio.gather(*(self._holds(name, check) for name, check in self._checks.items()))
        return [name for name, holds in zip(self._checks, held, strict=True) if not holds]

    async def _holds(self, name: str, check: Check) -> bool:
        try:
            async with asyncio.timeout(CHECK_S):
                return await check() is not False
        except Exception as error:
            # Whatever it is: a probe says so, and does not fail itself.
            _log.warning("not_ready", check=name, error=repr(error))
            return False


def create_app(
    title: str,
    settings: Settings,
    clock: Clock,
    *,
    lifespan: Lifespan | None = None,
    readiness: Readiness | None = None,
    routers: Sequence[Router] = (),
    asyncapi: Callable[[], Mapping[str, Any]] | None = None,
    authenticator: Authenticator | None = None,
    service: str | None = None,
) -> FastAPI:
    """The ASGI application of a service.

    Args:
        title: as in OpenAPI, "Onbelay goals".
        settings: says which issuer's tokens are taken.
        clock: domain time; with a `SandboxClock`, `/v1/sandbox/clock` is there.
        lifespan: starts and stops what the routes need.
        readiness: the checks of `/readyz`.
        routers: the service's routes.
        asyncapi: builds the AsyncAPI document, when first asked for.
        authenticator: takes the place of the one that the settings describe.
        service: the label of metrics and log lines; by default the title's last word.

    Raises:
        ValueError: the settings name no issuer or no keys.
    """
    app = _Application(
        title=title,
        version="1",
        lifespan=lifespan,
        openapi_url=None,
        docs_url=None,
        redoc_url=None,
        redirect_slashes=False,
        # FastAPI's own spans would hold paths, and signed links are secrets; `_Watch` makes ours.
        telemetry={"tracing": False, "metrics": False, "logs": False},
    )
    app.state.edge = Edge(authenticator or Authenticator.of(settings), clock)
    app.state.clock = clock
    common = _common(app, readiness or Readiness(), asyncapi)
    for router in [common, *clock_routes(clock), *routers]:
        # Not include_router: it would make other routes of these.
        app.router.routes.extend(router.api.routes)
    app.add_exception_handler(HTTPException, _framework_refusal)
    app.thin = _thin_routes(app.state.edge, routers)
    app.watch = _Watch(service or title.split()[-1].lower())
    app.add_middleware(_Observed, watch=app.watch)
    app.__dict__["openapi"] = lambda: _openapi(app)
    return app


def _common(app: FastAPI, readiness: Readiness, asyncapi: Callable[[], Mapping[str, Any]] | None) -> Router:
    router = Router(tags=["service"])

    @router.get("/livez", scopes=None)
    async def livez() -> Reply:
        """The process runs."""
        return {"status": "ok"}

    @router.get("/readyz", scopes=None)
    async def readyz() -> Reply:
        """It can do its work: 503 with the names of what is not there."""
        failing = await readiness.failing()
        if failing:
            return Answer(503, {"status": "not ready", "failing": failing}, {"Cache-Control": "no-store"})
        return Answer(200, {"status": "ok"}, {"Cache-Control": "no-store"})

    @router.get("/metrics", scopes=None)
    async def metrics() -> Reply:
        """Prometheus metrics."""
        return Response(generate_latest(), headers={"Content-Type": CONTENT_TYPE_LATEST})

    @router.get("/schemas/{file}", scopes=None)
    async def schema(file: str) -> Reply:
        """The JSON Schema of an event's data, such as `GoalSet.v1.json`."""
        path = SCHEMAS / file
        if not path.is_file():
            raise NotFound("There is no such schema.")
        return Response(path.read_bytes(), media_type="application/schema+json")

    @router.get("/openapi.json", scopes=None, include_in_schema=False)
    async def openapi() -> Reply:
        return app.openapi()

    @router.get("/docs", scopes=None, include_in_schema=False)
    async def docs() -> Reply:
        return HTMLResponse(docs_page(app.openapi()))

    @router.get("/asyncapi.json", scopes=None, include_in_schema=False)
    async def asyncapi_document() -> Reply:
        if asyncapi is None:
            raise NotFound("This service has no AsyncAPI document.")
        return asyncapi()

    return router


def _thin_routes(edge: Edge, routers: Sequence[Router]) -> dict[str, ThinRoute]:
    if not levers.on(levers.THIN_ROUTES):
        return {}
    return {
        path: ThinRoute(route, way, edge, scopes=access.scopes or (), timeout_s=access.timeout_s)
        for router in routers
        for path, (route, way, access) in router.thin.items()
    }


async def _framework_refusal(request: Request, error: Exception) -> Response:
    if not isinstance(error, HTTPException):
        raise error
    details = {404: "There is nothing at this address.", 405: "This address does not take that method."}
    return problem(
        error.status_code, details.get(error.status_code, str(error.detail)), headers=error.headers
    )


class _Watch:
    """Around every request: trace context, metrics, the access line, and a 500 problem for what is a bug."""

    def __init__(self, service: str) -> None:
        self._service = service
        self._counters: dict[tuple[str, str, int], Counter] = {}
        self._clocks: dict[tuple[str, str], Histogram] = {}

    async def over(self, app: ASGIApp, scope: Scope, receive: Receive, send: Send, begun: float) -> None:
        """Let `app` answer a request that came at `begun`."""
        carrier = {
            name.decode(): value.decode("latin-1")
            for name, value in scope["headers"]
            if name in _TRACE_HEADERS
        }
        status = 0

        async def sending(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                message["headers"] = [*message["headers"], NOSNIFF]
            await send(message)

        method = scope["method"]
        with telemetry.continued(method, carrier) as span:
            try:
                await app(scope, receive, sending)
            except Exception:
                _log.exception("request_failed", method=method, route=_template(scope))
                if status or answered_whole(scope):
                    raise  # the answer has begun: breaking it off is all that is left
                failed = problem(500, "This failed for a reason of ours; it was logged.")
                await failed(scope, receive, sending)
            finally:
                seconds = time.perf_counter() - begun
                route = _template(scope)
                status = status or answered_whole(scope)
                if span.is_recording():
                    span.update_name(f"{method} {route}")
                self._count(method, route, status, seconds)
                if route not in _QUIET:
                    telemetry.log_request(
                        _log, method=method, route=route, status=status, ms=round(seconds * 1000, 1)
                    )

    def _count(self, method: str, route: str, status: int, seconds: float) -> None:
        """Metrics; their children are kept, since finding them by labels costs more than counting."""
        kind = status // 100
        counter = self._counters.get((method, route, kind))
        if counter is None:
            counter = telemetry.HTTP_REQUESTS.labels(self._service, method, route, f"{kind}xx")
            self._counters[method, route, kind] = counter
        counter.inc()
        clock = self._clocks.get((method, route))
        if clock is None:
            clock = self._clocks[method, route] = telemetry.HTTP_SECONDS.labels(self._service, method, route)
        clock.observe(seconds)


class _Observed:
    """The framework's own middleware for what goes the ordinary way."""

    def __init__(self, app: ASGIApp, watch: _Watch) -> None:
        self._app = app
        self._watch = watch

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http":
            await self._watch.over(self._app, scope, receive, send, time.perf_counter())
        else:
            await self._app(scope, receive, send)


class _Application(FastAPI):
    """FastAPI, with thin routes before all of its machinery."""

    thin: Mapping[str, ThinRoute]
    watch: _Watch

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request: by a thin route where one is surely right, else by the framework."""
        thin = None
        if scope["type"] == "http" and scope["method"] == "POST" and not scope["query_string"]:
            thin = self.thin.get(scope["path"])
        if thin is None:
            await super().__call__(scope, receive, send)
            return
        begun = time.perf_counter()
        taken, receive = await thin.take(scope, receive)
        if taken is None:
            await super().__call__(scope, receive, send)
        else:
            await self.watch.over(partial(thin.answer, taken), scope, receive, send, begun)


def _template(scope: Scope) -> str:
    # Never the path itself: it may hold a signed link's token.
    return getattr(scope.get("route"), "path", "unmatched")


def _openapi(app: FastAPI) -> dict[str, Any]:
    if app.openapi_schema is not None:
        return app.openapi_schema
    document = get_openapi(
        title=app.title,
        version=app.version,
        description="Errors are RFC 9457 problems. Times are UTC.",
        routes=app.routes,
    )
    components = document.setdefault("components", {})
    components.setdefault("securitySchemes", {})["bearer"] = {
        "type": "http",
        "scheme": "bearer",
        "bearerFormat": "JWT",
    }
    schemas = components.setdefault("schemas", {})
    for unused in ("HTTPValidationError", "ValidationError"):
        schemas.pop(unused, None)
    schemas["Problem"] = _PROBLEM
    app.openapi_schema = document
    return document


_PROBLEM: dict[str, Any] = {
    "type": "object",
    "description": "RFC 9457",
    "required": ["type", "title", "status", "detail"],
    "properties": {
        "type": {"type": "string"},
        "title": {"type": "string"},
        "status": {"type": "integer"},
        "detail": {"type": "string"},
        "errors": {
            "type": "array",
            "items": {
                "type": "object",
                "required": ["detail"],
                "properties": {
                    "pointer": {"type": "string", "description": "RFC 6901, into the body"},
                    "parameter": {"type": "string", "description": "query, path or header"},
                    "detail": {"type": "string"},
                },
            },
        },
    },
}
