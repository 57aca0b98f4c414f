"""The one-tap form: a check-in by a signed link, for one person and goal, without signing in and without script."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping

from pymongo.errors import PyMongoError
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response

from services.checkins.domain.check_in import refuse_closed
from services.checkins.domain.form import NotUnderstood, command_of, entered
from services.checkins.logbook import Logbook
from services.checkins.pages import Pages
from shared.clock import Clock
from shared.errors import Refused, Unavailable, Unprocessable
from shared.http import Router
from shared.links import CHECK_IN, Link, Links

FORMS = frozenset({"application/x-www-form-urlencoded", "multipart/form-data"})
MOST_FIELDS = 100


def routes(logbook: Logbook, links: Links, clock: Clock) -> Router:
    """`/c/{token}`: GET shows the form and changes nothing; POST logs one check-in, however often it is sent."""
    router = Router(tags=["one-tap form"])
    pages = Pages()

    def link_of(token: str) -> tuple[Link, str]:
        link = links.read(token, CHECK_IN, clock.now())
        return link, link.goal_id or ""

    # Scanners of mail like to ask with HEAD first; it answers as GET does, less the body.
    @router.route("HEAD", "/c/{token}", scopes=None, include_in_schema=False)
    @router.get("/c/{token}", scopes=None, refusals=(404, 410))
    async def show_form(token: str, request: Request) -> Response:
        """The form, or what was logged by this link already."""

        async def shown(language: str) -> Response:
            link, goal_id = link_of(token)
            mentorship, goal = await logbook.about(link.org_id, goal_id, link.person_id)
            before = await logbook.logged_by_link(token)
            if before is not None:
                return pages.logged(language, before, goal.title)
            refuse_closed(mentorship, goal)
            latest = await logbook.latest_progress(goal)
            return pages.form(language, goal, latest, own=link.person_id == goal.owner_id)

        return await _in_words(pages, request, shown)

    @router.post("/c/{token}", scopes=None, refusals=(404, 409, 410))
    async def submit_form(token: str, request: Request) -> Response:
        """Log the check-in; the second time, show what the first did."""

        async def logged(language: str) -> Response:
            link, goal_id = link_of(token)
            _, goal = await logbook.about(link.org_id, goal_id, link.person_id)
            before = await logbook.logged_by_link(token)
            if before is not None:
                return pages.logged(language, before, goal.title)
            filled = await _filled(request)
            try:
                command = command_of(filled, goal, decimal_mark=pages.decimal_mark(language))
                check_in = await logbook.log_by_link(link.org_id, link.person_id, command, token)
            except NotUnderstood as refused:
                problems: Mapping[str, str] = refused.problems
            except Unprocessable as refused:
                if not any("/milestones/" in (error.pointer or "") for error in refused.errors):
                    raise
                problems = {"milestones": "milestone"}
            else:
                return pages.logged(language, check_in, goal.title)
            latest = await logbook.latest_progress(goal)
            own = link.person_id == goal.owner_id
            return pages.form(language, goal, latest, own=own, filled=filled, problems=problems)

        return await _in_words(pages, request, logged)

    return router


async def _in_words(pages: Pages, request: Request, work: Callable[[str], Awaitable[Response]]) -> Response:
    """A person reads this: refusals are pages too."""
    language = pages.spoken(request.headers.get("accept-language", ""))
    try:
        return await work(language)
    except Refused as refused:
        return pages.refused(language, refused)
    except PyMongoError:
        return pages.refused(language, Unavailable("The store does not answer just now.", retry_after=1))


async def _filled(request: Request) -> dict[str, list[str]]:
    """What was filled in.

    Raises:
        Refused: it is no form, or one that cannot be read; 415.
    """
    content_type = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    body = await request.body()
    if body and content_type not in FORMS:
        raise Refused("This is no form.", status=415)
    try:
        async with request.form(max_files=0, max_fields=MOST_FIELDS) as form:
            fields = form.multi_items()
    except HTTPException as error:
        raise Refused("This form cannot be read.", status=415) from error
    if body and not fields:
        # A parser that finds nothing in what was sent has not read it: a check-in of nothing would be logged.
        raise Refused("This form cannot be read.", status=415)
    return entered((name, value) for name, value in fields if isinstance(value, str))
