"""`/calendar/{token}.ics`: a person's calendar, for programs that subscribe to it.

The token is who the reader is: signed, for one person, without an end, since calendars are subscribed to once.
"""

from __future__ import annotations

import hashlib
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from starlette.responses import Response

from services.notifier.calendar.entries import entries
from services.notifier.calendar.feed import Words, feed
from services.notifier.calendar.store import Store
from services.notifier.domain.person import Person, Recipient
from shared.clock import Clock
from shared.errors import NotFound
from shared.http import Reply, Router, etag
from shared.links import CALENDAR, Link, Links


@dataclass(frozen=True, slots=True)
class Calendars:
    """The use case.

    Args:
        store: knows goals.
        person: finds a person by organization and id.
        words: the feed's words for a recipient.
        links: reads tokens.
        clock: domain time.
        base_url: where the notifier is reached.
    """

    store: Store
    person: Callable[[str, str], Awaitable[Person | None]]
    words: Callable[[Recipient], Words]
    links: Links
    clock: Clock
    base_url: str

    def url(self, org_id: str, person_id: str) -> str:
        """Where a person's calendar is."""
        return f"{self.base_url}/calendar/{self.links.token(Link(CALENDAR, org_id, person_id))}.ics"

    async def feed(self, token: str) -> bytes:
        """The calendar.

        Raises:
            NotFound: the token is none of ours, or the person is no recipient any more.
        """
        now = self.clock.now()
        link = self.links.read(token, CALENDAR, now)
        person = await self.person(link.org_id, link.person_id)
        if person is None or person.recipient is None:
            raise NotFound("There is no such calendar.")
        goals = await self.store.goals_of(link.org_id, link.person_id, now)
        mentorships = await self.store.mentorships_of(goals)
        recipient = person.recipient
        return feed(entries(goals, mentorships), self.words(recipient), recipient.time_zone)


def routes(calendars: Calendars) -> Router:
    """The route of calendars."""
    router = Router(tags=["links"])

    @router.get("/calendar/{token}.ics", scopes=None)
    async def calendar(token: str) -> Reply:
        """A person's deadlines and expected check-ins, as iCalendar."""
        content = await calendars.feed(token)
        headers = {
            "ETag": etag(hashlib.sha256(content).hexdigest()[:32]),
            "Cache-Control": "private, no-cache",
            "Content-Disposition": 'inline; filename="onbelay.ics"',
        }
        return Response(content, 200, headers, "text/calendar; charset=utf-8")

    return router
