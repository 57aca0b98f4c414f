"""`/quiet/{token}`: the page behind each message's link, and mail programs' one-click unsubscription (RFC 8058).

The token is who the reader is, and gives quiet alone. GET changes nothing, since mail scanners follow links; the
page has no script.
"""

from __future__ import annotations

import base64
import hashlib
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from fastapi import Request
from jinja2 import Environment, FileSystemLoader, StrictUndefined
from starlette.responses import HTMLResponse, Response

from services.notifier.compose import QUIET, TEMPLATES, spoken
from services.notifier.domain.person import EVERYWHERE, Person, Recipient
from services.notifier.domain.recipients import silenced, snoozed, unsilenced
from services.notifier.domain.rhythm import MIDNIGHT
from services.notifier.store import Store
from shared.aggregates import Duplicate, StaleWrite, retry_stale
from shared.clock import Clock
from shared.errors import Gone, NotFound, Refused, Unprocessable
from shared.http import Reply, Router
from shared.links import Link, Links

STYLE = (TEMPLATES / "page.css").read_text()
_STYLE_HASH = base64.b64encode(hashlib.sha256(STYLE.encode()).digest()).decode()
HEADERS = {
    "Content-Security-Policy": (
        f"default-src 'none'; style-src 'sha256-{_STYLE_HASH}'; form-action 'self'; base-uri 'none'; "
        "frame-ancestors 'none'"
    ),
    "Referrer-Policy": "no-referrer",
    "Cache-Control": "no-store",
}
ONE_CLICK = ("List-Unsubscribe", "One-Click")
ACTIONS = ("tomorrow", "week", "goal", "stop", "again")


@dataclass(frozen=True, slots=True)
class Quiet:
    """The page's use cases."""

    store: Store
    links: Links
    clock: Clock

    async def find(self, token: str) -> tuple[Link, Person, Recipient]:
        """Whose link it is.

        Raises:
            NotFound: it is none of ours, or the person is not written to any more.
            Gone: it has expired.
        """
        link = self.links.read(token, QUIET, self.clock.now())
        person = await self.store.person(link.org_id, link.person_id)
        if person is None or person.recipient is None:
            raise NotFound("There is nobody to remind any more.")
        return link, person, person.recipient

    async def title(self, link: Link) -> str | None:
        """What the goal is called that a link is about, if it is about one."""
        return await self.store.title(link.org_id, link.goal_id) if link.goal_id is not None else None

    async def act(self, token: str, action: str) -> tuple[Link, Person]:
        """Do what the reader chose: `tomorrow`, `week`, `goal`, `stop` or `again`."""
        link, _, _ = await self.find(token)

        async def once() -> Person:
            now = self.clock.now()
            try:
                return await self.store.change_person(
                    link.org_id,
                    link.person_id,
                    now,
                    lambda person: _changed(person, action, link.goal_id, now),
                )
            except Duplicate as error:
                raise StaleWrite from error

        return link, await retry_stale(once)


def routes(quiet: Quiet) -> Router:
    """The routes of the page."""
    router = Router(tags=["links"])

    @router.get("/quiet/{token}", scopes=None, include_in_schema=False)
    async def show(token: str, request: Request) -> Reply:
        """What the reader can choose; changes nothing."""
        try:
            link, person, _ = await quiet.find(token)
        except (NotFound, Gone) as refused:
            return _refused(refused, request)
        return _page(link, person, await quiet.title(link), quiet.clock.now(), done=None)

    @router.post("/quiet/{token}", scopes=None, include_in_schema=False)
    async def act(token: str, request: Request) -> Reply:
        """Do what the reader chose; a mail program's one click stops all but requests for help."""
        form = await request.form(max_files=0, max_fields=10)
        one_click = form.get(ONE_CLICK[0]) == ONE_CLICK[1]
        action = "stop" if one_click else str(form.get("action"))
        if action not in ACTIONS:
            return _refused(Unprocessable("That is none of the choices on the page."), request)
        try:
            link, person = await quiet.act(token, action)
        except (NotFound, Gone) as refused:
            return _refused(refused, request)
        return _page(link, person, await quiet.title(link), quiet.clock.now(), done=action)

    return router


def _changed(person: Person, action: str, goal_id: str | None, now: datetime) -> Person:
    recipient = person.recipient
    if recipient is None:
        raise NotFound("There is nobody to remind any more.")
    if action == "stop":
        return silenced(person)
    if action == "again":
        return unsilenced(person)
    days = 1 if action == "tomorrow" else 7
    until = recipient.rhythm.at(recipient.rhythm.day(now) + timedelta(days=days), MIDNIGHT)
    return snoozed(person, until, goal_id if action == "goal" else None, now)


_PAGES = Environment(
    loader=FileSystemLoader(TEMPLATES), autoescape=True, undefined=StrictUndefined, trim_blocks=True,
    lstrip_blocks=True,
)  # fmt: skip


def _page(link: Link, person: Person, title: str | None, now: datetime, *, done: str | None) -> Response:
    recipient = person.recipient
    until = person.snoozes.get(EVERYWHERE)
    snoozed_until = recipient.rhythm.wall(until) if recipient is not None and until and until > now else None
    return _html(
        200,
        {
            "language": spoken(recipient.language if recipient is not None else None),
            "done": done,
            "refused": None,
            "about_a_goal": link.goal_id is not None,
            "title": title,
            "stopped": recipient is not None and recipient.daily_budget == 0,
            "snoozed_until": snoozed_until,
        },
    )


def _refused(error: Refused, request: Request) -> Response:
    # Whose link it was is not known: the browser's first language is all there is to go by.
    asked = request.headers.get("accept-language", "").partition(",")[0].partition(";")[0].strip()
    return _html(error.status, {"language": spoken(asked), "refused": error.status})


def _html(status: int, context: dict[str, Any]) -> Response:
    template = _PAGES.get_template("quiet.html")
    return HTMLResponse(template.render(style=STYLE, **context), status, headers=HEADERS)
