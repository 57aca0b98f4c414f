"""HTTP: the dashboard's pages. GET changes nothing; signing in and out are POSTs of the same site."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from datetime import date
from typing import Annotated, Any

from fastapi import Form, Header, Query
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from services.metrics.api import MANY, Numbers, RiskIn, Scope
from services.metrics.dashboard import pair, program
from services.metrics.dashboard.render import HEADERS, HERE, Pages
from services.metrics.dashboard.session import Sessions, require_same_origin
from services.metrics.domain.days import Asked, Granularity, first_of, shown_day
from services.metrics.live import Live, Stream
from shared import http
from shared.errors import Forbidden, Refused, Unauthenticated, Unprocessable
from shared.http import Caller, Edge, Reply, Router
from shared.http.body import valid_id
from shared.http.pages import page_of

MOST_AT_RISK = 20
DEFAULT_DAYS = 84
GRANULARITIES: tuple[Granularity, ...] = ("week", "month", "day")
SCOPES: tuple[Scope, ...] = ("programs", "orgs", "mentorships", "people", "goals")

Asking = dict[str, str | None]


class Dashboard:
    """The pages, by the same use cases as the API's.

    Args:
        numbers: the use cases.
        sessions: who is signed in.
    """

    def __init__(self, numbers: Numbers, sessions: Sessions) -> None:
        self._numbers = numbers
        self._pages = Pages()
        self.sessions = sessions

    async def sign_in(self, status: int = 200, problem: str | None = None) -> Response:
        """The page to sign in on."""
        return await self._pages.page("sign_in.html", status, problem=problem)

    async def said(self, caller: Caller | None, error: Refused) -> Response:
        """A refusal, in words."""
        person = None if caller is None else caller.person_id
        return await self._pages.page("said.html", error.status, detail=error.detail, person=person)

    async def home(self, caller: Caller, asking: Asking) -> Response:
        """A program, the programs to choose from, or one's own mentorships: what the caller may see."""
        if not (caller.has(http.METRICS) or caller.has(http.PROGRAMS)):
            return await self._own(caller)
        programs = await self._numbers.programs(caller.org_id)
        program_id = asking["program_id"] or (programs[0] if len(programs) == 1 else None)
        if program_id is not None:
            return await self._program(caller, program_id, programs, asking)
        return await self._pages.page("programs.html", programs=programs, person=caller.person_id)

    async def _own(self, caller: Caller) -> Response:
        caller.require([http.PARTICIPATE])
        return await self._pages.page(
            "own.html",
            person=caller.person_id,
            mentorships=[
                (each.mentorship_id, program.people(each), each.program_id, each.state)
                for each in await self._numbers.mentorships_of(caller)
            ],
        )

    async def _program(
        self, caller: Caller, program_id: str, programs: list[str], asking: Asking
    ) -> Response:
        _an_id("program_id", program_id)
        asked = self._asked(asking)
        granularity: Granularity = next((g for g in GRANULARITIES if g == asking["granularity"]), "week")
        await self._numbers.known(caller.org_id, "programs", program_id)
        coordinates = caller.has(http.PROGRAMS)

        async def answer() -> dict[str, Any]:
            found = await self._numbers.many(caller.org_id, "programs", program_id, asked, granularity)
            if "withheld" in found:
                return {"withheld": found["withheld"]}
            return {
                "tiles": program.tiles(found),
                "roles": program.roles(found),
                "chart": program.chart(found["series"]),
            }

        async def heat() -> dict[str, Any]:
            mentorships, logged = await self._numbers.logged_by_week(caller.org_id, program_id, asked)
            return {"heat": program.heat(mentorships, logged, asked.window)}

        async def at_risk() -> dict[str, Any]:
            risks = await self._numbers.worst(caller.org_id, RiskIn(program_id=program_id), MOST_AT_RISK + 1)
            return {"goals": risks[:MOST_AT_RISK], "more": len(risks) > MOST_AT_RISK}

        async def nudges() -> dict[str, Any]:
            return await self._numbers.nudges_of(caller.org_id, program_id, asked)

        return self._pages.streamed(
            "program.html",
            person=caller.person_id,
            programs=programs,
            program_id=program_id,
            granularity=granularity,
            granularities=GRANULARITIES,
            columns=program.COLUMNS,
            start=shown_day(asked.window.start),
            end=shown_day(asked.window.end),
            answer=_part(answer) if caller.has(http.METRICS) else None,
            heat=_part(heat) if coordinates else None,
            at_risk=_part(at_risk) if coordinates else None,
            nudges=_part(nudges) if caller.has(http.METRICS) else None,
            coordinates=coordinates,
        )

    async def pair(self, caller: Caller, mentorship_id: str) -> Response:
        """A mentorship's page, for its participants and for coordinators."""
        caller.require([http.PARTICIPATE, http.PROGRAMS])
        _an_id("mentorship_id", mentorship_id)
        mentorship, goals, now = await self._numbers.pair(caller, mentorship_id)
        timelines, ends = pair.timelines(goals, now)
        return await self._pages.page(
            "pair.html",
            person=caller.person_id,
            mentorship=mentorship,
            people=program.people(mentorship),
            timelines=timelines,
            ends=ends,
            live=caller.has(http.PROGRAMS),
        )

    async def explain(self, caller: Caller, asking: Asking) -> Response:
        """The events behind a number."""
        scope: Scope | None = next((known for known in SCOPES if known == asking["scope"]), None)
        id_, number = asking["id"] or "", asking["number"] or ""
        if scope is None:
            raise Unprocessable.parameter("scope", "There is no such scope.")
        caller.require([http.PROGRAMS] if scope in MANY else [http.PARTICIPATE, http.PROGRAMS])
        _an_id("id", id_)
        page = page_of("100", asking["cursor"])
        asked = self._asked(asking)
        found = await self._numbers.explain(caller, scope, id_, asked, number, page)
        return await self._pages.page(
            "explain.html",
            person=caller.person_id,
            scope=scope,
            id=id_,
            number=number,
            items=found["items"],
            next_cursor=found.get("next_cursor"),
            start=shown_day(asked.window.start),
            end=shown_day(asked.window.end),
        )

    def _asked(self, asking: Asking) -> Asked:
        start, end = _date("from", asking), _date("to", asking)
        if start is None:
            last = end or date.fromordinal(self._numbers.asked().window.end)
            start = first_of(DEFAULT_DAYS, last)
        return self._numbers.asked(start, end)


def _part(read: Callable[[], Awaitable[dict[str, Any]]]) -> Callable[[], Awaitable[dict[str, Any]]]:
    """A part of a page that is rendered while it is read: a refusal is said in its place."""

    async def part() -> dict[str, Any]:
        try:
            return {"problem": None, **await read()}
        except Refused as error:
            return {"problem": error.detail}

    return part


def _an_id(name: str, text: str) -> None:
    if not valid_id(text):
        raise Unprocessable.parameter(name, "This is no id.")


def _date(name: str, asking: Asking) -> date | None:
    text = asking.get(name)
    if not text:
        return None
    try:
        return date.fromisoformat(text)
    except ValueError:
        raise Unprocessable.parameter(name, f"“{name}” is a date such as 2026-12-18.") from None


def routes(dashboard: Dashboard, live: Live) -> Router:
    """The routes of the dashboard."""
    router = Router(tags=["dashboard"])

    async def shown(request: Request, edge: Edge, show: Callable[[Caller], Awaitable[Response]]) -> Response:
        caller = None
        try:
            caller = await dashboard.sessions.caller(request, edge.authenticator)
            return await dashboard.sign_in() if caller is None else await show(caller)
        except Refused as error:
            return await dashboard.said(caller, error)

    @router.get("/", scopes=None, include_in_schema=False)
    async def home(
        request: Request,
        edge: Edge,
        program_id: str | None = None,
        from_: Annotated[str | None, Query(alias="from")] = None,
        to: str | None = None,
        granularity: str | None = None,
    ) -> Reply:
        """What there is to see; to who is not signed in, the way in."""
        asking = {"program_id": program_id, "from": from_, "to": to, "granularity": granularity}
        return await shown(request, edge, lambda caller: dashboard.home(caller, asking))

    @router.get("/mentorships/{mentorship_id}", scopes=None, include_in_schema=False)
    async def mentorship(request: Request, edge: Edge, mentorship_id: str) -> Reply:
        """A pair's goals."""
        return await shown(request, edge, lambda caller: dashboard.pair(caller, mentorship_id))

    @router.get("/explain", scopes=None, include_in_schema=False)
    async def explain(
        request: Request,
        edge: Edge,
        scope: str | None = None,
        id: str | None = None,
        number: str | None = None,
        from_: Annotated[str | None, Query(alias="from")] = None,
        to: str | None = None,
        cursor: str | None = None,
    ) -> Reply:
        """The events behind a number."""
        asking = {"scope": scope, "id": id, "number": number, "from": from_, "to": to, "cursor": cursor}
        return await shown(request, edge, lambda caller: dashboard.explain(caller, asking))

    @router.get("/live", scopes=None, timeout_s=None, include_in_schema=False)
    async def follow(
        request: Request, edge: Edge, last_event_id: Annotated[str | None, Header(max_length=128)] = None
    ) -> Reply:
        """`/v1/live` for who is signed in: a browser's event source sends the cookie, and no token."""
        caller = await dashboard.sessions.caller(request, edge.authenticator)
        if caller is None:
            raise Unauthenticated("Sign in first.")
        caller.require([http.PROGRAMS])
        return Stream(await live.listen(caller.org_id, last_event_id))

    @router.post("/sign-in", scopes=None, gated=False, include_in_schema=False)
    async def sign_in(request: Request, edge: Edge, token: Annotated[str, Form()] = "") -> Reply:
        """Begin a session with a token."""
        response = RedirectResponse("/", 303, HEADERS)
        try:
            require_same_origin(request)
            await dashboard.sessions.begin(token.strip(), response, edge.authenticator)
        except (Forbidden, Unauthenticated) as error:
            return await dashboard.sign_in(error.status, error.detail)
        return response

    @router.post("/sign-out", scopes=None, gated=False, include_in_schema=False)
    async def sign_out(request: Request) -> Reply:
        """End the session."""
        response = RedirectResponse("/", 303, HEADERS)
        try:
            require_same_origin(request)
        except Forbidden as error:
            return await dashboard.said(None, error)
        dashboard.sessions.end(response)
        return response

    for name, media_type in (
        ("dashboard.css", "text/css"),
        ("live.js", "text/javascript"),
        ("icon.svg", "image/svg+xml"),
    ):
        _asset(router, name, media_type)
    return router


def _asset(router: Router, name: str, media_type: str) -> None:
    content = (HERE / "assets" / name).read_bytes()

    @router.get(f"/assets/{name}", scopes=None, include_in_schema=False)
    async def asset() -> Reply:
        """How it looks and follows; nothing in it is secret."""
        headers = {"Cache-Control": "public, max-age=300", "X-Content-Type-Options": "nosniff"}
        return Response(content, headers=headers, media_type=media_type)
