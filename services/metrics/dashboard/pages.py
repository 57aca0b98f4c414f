"""HTTP: the dashboard's pages. GET changes nothing; signing in and out are POSTs of the same site."""

from __future__ import annotations

from datetime import date
from pathlib import Path
from typing import Annotated, Any

from fastapi import Form, Query
from jinja2 import Environment, FileSystemLoader, StrictUndefined
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from services.metrics.api import Numbers, RiskIn
from services.metrics.dashboard import view
from services.metrics.dashboard.session import Sessions, require_same_origin
from services.metrics.domain.days import Granularity
from shared import http
from shared.errors import Forbidden, Refused, Unauthenticated, Unprocessable
from shared.http import Caller, Edge, Page, Reply, Router
from shared.http.body import valid_id

HERE = Path(__file__).parent
HEADERS = {
    "Cache-Control": "no-store",
    "Content-Security-Policy": (
        "default-src 'none'; style-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
    ),
    "Referrer-Policy": "no-referrer",
    "X-Frame-Options": "DENY",
}
MOST_AT_RISK = 20
GRANULARITIES: tuple[Granularity, ...] = ("week", "month", "day")


class Dashboard:
    """Renders the pages.

    Args:
        numbers: the use cases, the same as the API's.
        sessions: who is signed in.
    """

    def __init__(self, numbers: Numbers, sessions: Sessions) -> None:
        self._numbers = numbers
        self.sessions = sessions
        self._templates = Environment(
            loader=FileSystemLoader(HERE / "templates"),
            autoescape=True,
            undefined=StrictUndefined,
            trim_blocks=True,
            lstrip_blocks=True,
        )

    def page(self, name: str, status: int = 200, **values: Any) -> Response:
        """A page by its template."""
        content = self._templates.get_template(name).render(**values)
        return Response(content, status, HEADERS, "text/html; charset=utf-8")

    def sign_in(self, status: int = 200, problem: str | None = None) -> Response:
        """The page to sign in on."""
        return self.page("sign_in.html", status, problem=problem)

    def said(self, error: Refused) -> Response:
        """A refusal, in words."""
        return self.page("said.html", error.status, detail=error.detail)

    async def program(self, caller: Caller, asked: dict[str, str | None]) -> Response:
        """A program's numbers, or the organization's programs to choose from."""
        caller.require([http.METRICS])
        programs = await self._numbers.programs(caller.org_id)
        program_id = asked["program_id"] or (programs[0] if len(programs) == 1 else None)
        if program_id is not None and not valid_id(program_id):
            raise Unprocessable.parameter("program_id", "This is no program's id.")
        if program_id is None:
            return self.page("programs.html", programs=programs, person=caller.person_id)
        granularity: Granularity = next((g for g in GRANULARITIES if g == asked["granularity"]), "week")
        window = self._numbers.asked(_date("from", asked), _date("to", asked))
        answer = await self._numbers.many(caller.org_id, "programs", program_id, window, granularity)
        at_risk = None
        if caller.has(http.PROGRAMS):
            page = Page(limit=MOST_AT_RISK)
            at_risk = (await self._numbers.at_risk(caller.org_id, RiskIn(program_id=program_id), page))[
                "items"
            ]
        shown = {} if "withheld" in answer else self._shown(answer)
        return self.page(
            "program.html",
            person=caller.person_id,
            programs=programs,
            program_id=program_id,
            granularity=granularity,
            granularities=GRANULARITIES,
            answer=answer,
            at_risk=at_risk,
            signals=view.SIGNALS,
            columns=view.COLUMNS,
            percent=view.percent,
            **{"tiles": [], "roles": [], "bars": [], **shown},
            chart={"height": view.CHART_HEIGHT, "bar": view.BAR_WIDTH},
        )

    @staticmethod
    def _shown(answer: dict[str, Any]) -> dict[str, Any]:
        return {
            "tiles": view.tiles(answer),
            "roles": view.roles(answer),
            "bars": view.bars(answer["series"]),
        }


def _date(name: str, asked: dict[str, str | None]) -> date | None:
    text = asked[name]
    if not text:
        return None
    try:
        return date.fromisoformat(text)
    except ValueError:
        raise Unprocessable.parameter(name, f"“{name}” is a date such as 2026-12-18.") from None


def routes(dashboard: Dashboard) -> Router:
    """The routes of the dashboard."""
    router = Router(tags=["dashboard"])
    style = (HERE / "assets" / "dashboard.css").read_bytes()

    @router.get("/", scopes=None, include_in_schema=False)
    async def show(
        request: Request,
        edge: Edge,
        program_id: str | None = None,
        from_: Annotated[str | None, Query(alias="from")] = None,
        to: str | None = None,
        granularity: str | None = None,
    ) -> Reply:
        """A program's numbers; to who is not signed in, the way in."""
        caller = await dashboard.sessions.caller(request, edge.authenticator)
        if caller is None:
            return dashboard.sign_in()
        asked = {"program_id": program_id, "from": from_, "to": to, "granularity": granularity}
        try:
            return await dashboard.program(caller, asked)
        except Refused as error:
            return dashboard.said(error)

    @router.post("/sign-in", scopes=None, gated=False, include_in_schema=False)
    async def sign_in(request: Request, edge: Edge, token: Annotated[str, Form()] = "") -> Reply:
        """Begin a session with a token."""
        response = RedirectResponse("/", 303, HEADERS)
        try:
            require_same_origin(request)
            await dashboard.sessions.begin(token.strip(), response, edge.authenticator)
        except (Forbidden, Unauthenticated) as error:
            return dashboard.sign_in(error.status, error.detail)
        return response

    @router.post("/sign-out", scopes=None, gated=False, include_in_schema=False)
    async def sign_out(request: Request) -> Reply:
        """End the session."""
        response = RedirectResponse("/", 303, HEADERS)
        try:
            require_same_origin(request)
        except Forbidden as error:
            return dashboard.said(error)
        dashboard.sessions.end(response)
        return response

    @router.get("/assets/dashboard.css", scopes=None, include_in_schema=False)
    async def stylesheet() -> Reply:
        """How it looks; nothing in it is secret."""
        return Response(style, headers={"Cache-Control": "public, max-age=300"}, media_type="text/css")

    return router
