"""The one-tap form: a check-in by a signed link, for one person and goal, without signing in and without script."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Awaitable, Callable, Mapping, Sequence
from http import HTTPStatus
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup
from pymongo.errors import PyMongoError
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import HTMLResponse, Response

from services.checkins.domain.check_in import CheckIn, refuse_closed
from services.checkins.domain.form import NotUnderstood, command_of, entered
from services.checkins.domain.known import Goal
from services.checkins.logbook import Logbook
from shared import events as contract
from shared.clock import Clock
from shared.errors import Refused, Unavailable, Unprocessable
from shared.http import Router
from shared.links import CHECK_IN, Link, Links

TEMPLATES = Path(__file__).with_name("templates")
HEADINGS = {
    403: "This goal is not yours",
    404: "This link does not work",
    409: "There is nothing to check in on",
    410: "This link has expired",
    415: "This cannot be read",
    422: "This cannot be logged",
    503: "Not just now",
}
DETAILS = {
    404: "Perhaps it was cut off on its way: open it from the message once more, or copy all of it.",
    410: "Links in messages work for seven days. A newer message brings a newer link.",
    503: "This takes longer than it should. Please try again in a moment; nothing was logged twice.",
}
FORMS = frozenset({"application/x-www-form-urlencoded", "multipart/form-data"})
NO_FORM = "Open the link from the message, and send the form that it shows."
FIELDS = frozenset({"value", "milestones", "done", "confidence", "realistic", "attainable", "note"})
MOST_FIELDS = 100


class Pages:
    """The pages, rendered with everything escaped."""

    def __init__(self) -> None:
        self._environment = Environment(
            loader=FileSystemLoader(TEMPLATES), autoescape=True, undefined=StrictUndefined, trim_blocks=True
        )
        style = (TEMPLATES / "style.css").read_text().strip()
        self._environment.globals["style"] = Markup(style)  # noqa: S704 - our own file, and CSS knows no entities
        digest = base64.b64encode(hashlib.sha256(style.encode()).digest()).decode()
        self._headers = {
            "Cache-Control": "no-store",
            "Content-Security-Policy": f"default-src 'none'; style-src 'sha256-{digest}'; form-action 'self'; "
            "base-uri 'none'; frame-ancestors 'none'",
            # The address is a secret.
            "Referrer-Policy": "no-referrer",
            "X-Robots-Tag": "noindex, nofollow",
        }

    def form(
        self,
        goal: Goal,
        latest: contract.Progress | None,
        *,
        own: bool,
        filled: Mapping[str, Sequence[str]] | None = None,
        problems: Mapping[str, str] | None = None,
    ) -> Response:
        """The form, `own`: for the goal's owner; with `problems`, what was filled in and what is wrong with it."""
        if filled is None:
            filled = {"milestones": latest.milestones or []} if latest else {}
        return self._page(
            "form.html",
            422 if problems else 200,
            goal=goal,
            own=own,
            range=_range(goal.measure),
            latest=_progress(latest) if latest is not None else None,
            filled=filled,
            problems=problems or {},
            shown_fields=FIELDS,
            numbers=[(str(number), str(number)) for number in range(11)],
        )

    def logged(self, check_in: CheckIn, title: str) -> Response:
        """What was logged."""
        said = [
            ("Progress", _progress(check_in.progress) if check_in.progress is not None else None),
            ("Confidence", f"{check_in.confidence} of 10" if check_in.confidence is not None else None),
            ("Still realistic", _yes(check_in.realistic)),
            ("Still in reach by the deadline", _yes(check_in.attainable)),
            ("Note", check_in.note),
            ("Logged at", f"{check_in.logged_at:%Y-%m-%d %H:%M} UTC"),
        ]
        return self._page(
            "logged.html", 200, title=title, said=[(name, value) for name, value in said if value is not None]
        )

    def refused(self, refused: Refused) -> Response:
        """Why there is no form, in words."""
        response = self._page(
            "refused.html",
            refused.status,
            heading=HEADINGS.get(refused.status, HTTPStatus(refused.status).phrase),
            detail=DETAILS.get(refused.status, refused.detail),
        )
        if refused.retry_after is not None:
            response.headers["Retry-After"] = str(refused.retry_after)
        return response

    def _page(self, template: str, status: int, **values: Any) -> Response:
        text = self._environment.get_template(template).render(**values)
        return HTMLResponse(text, status, self._headers)


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
    async def show_form(token: str) -> Response:
        """The form, or what was logged by this link already."""

        async def shown() -> Response:
            link, goal_id = link_of(token)
            mentorship, goal = await logbook.about(link.org_id, goal_id, link.person_id)
            before = await logbook.logged_by_link(token)
            if before is not None:
                return pages.logged(before, goal.title)
            refuse_closed(mentorship, goal)
            latest = await logbook.latest_progress(goal)
            return pages.form(goal, latest, own=link.person_id == goal.owner_id)

        return await _in_words(pages, shown)

    @router.post("/c/{token}", scopes=None, refusals=(404, 409, 410))
    async def submit_form(token: str, request: Request) -> Response:
        """Log the check-in; the second time, show what the first did."""

        async def logged() -> Response:
            link, goal_id = link_of(token)
            _, goal = await logbook.about(link.org_id, goal_id, link.person_id)
            before = await logbook.logged_by_link(token)
            if before is not None:
                return pages.logged(before, goal.title)
            filled = await _filled(request)
            try:
                command = command_of(filled, goal)
                check_in = await logbook.log_by_link(link.org_id, link.person_id, command, token)
            except NotUnderstood as refused:
                problems: Mapping[str, str] = refused.problems
            except Unprocessable as refused:
                problems = {_field(refused): refused.detail}
            else:
                return pages.logged(check_in, goal.title)
            latest = await logbook.latest_progress(goal)
            own = link.person_id == goal.owner_id
            return pages.form(goal, latest, own=own, filled=filled, problems=problems)

        return await _in_words(pages, logged)

    return router


async def _in_words(pages: Pages, work: Callable[[], Awaitable[Response]]) -> Response:
    """A person reads this: refusals are pages too."""
    try:
        return await work()
    except Refused as refused:
        return pages.refused(refused)
    except PyMongoError:
        return pages.refused(Unavailable(DETAILS[503], retry_after=1))


async def _filled(request: Request) -> dict[str, list[str]]:
    """What was filled in.

    Raises:
        Refused: it is no form, or one that cannot be read; 415.
    """
    content_type = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if await request.body() and content_type not in FORMS:
        raise Refused(NO_FORM, status=415)
    try:
        async with request.form(max_files=0, max_fields=MOST_FIELDS) as form:
            return entered((name, value) for name, value in form.multi_items() if isinstance(value, str))
    except HTTPException as error:
        raise Refused(NO_FORM, status=415) from error


def _field(refused: Unprocessable) -> str:
    """The form's field that a refusal points at."""
    pointed = refused.errors[0].pointer if refused.errors else None
    parts = (pointed or "").split("/")
    return next((part for part in reversed(parts) if part in FIELDS), "progress")


def _range(measure: contract.Measure | None) -> str:
    if measure is None or measure.target is None:
        return ""
    unit = f" {measure.unit}" if measure.unit else ""
    return f"From {_number(measure.baseline or 0.0)} to {_number(measure.target)}{unit}."


def _progress(progress: contract.Progress) -> str:
    if progress.value is not None:
        return _number(progress.value)
    if progress.milestones is not None:
        return "\n".join(progress.milestones) or "None of the milestones"
    return "Done" if progress.done else "Not done yet"


def _number(value: float) -> str:
    return str(int(value)) if value.is_integer() and abs(value) < 1e15 else repr(value)


def _yes(answer: bool | None) -> str | None:
    return None if answer is None else ("Yes" if answer else "No")
