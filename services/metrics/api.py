"""HTTP: the numbers, what is behind them, goals at risk, and the numbers of nudges."""

from __future__ import annotations

import datetime as dt
import heapq
from typing import Annotated, Any, Literal

from fastapi import Path, Query
from pydantic import Field

from services.metrics.domain import nudges as nudge_numbers
from services.metrics.domain import risk
from services.metrics.domain.answer import of_few, of_many, over_few
from services.metrics.domain.days import Asked, Granularity, asked
from services.metrics.domain.diary import Entry
from services.metrics.domain.explain import Reason, contributions, part_of, reasons
from services.metrics.domain.fold import PROGRAMS
from services.metrics.domain.goal import Goal, Line
from services.metrics.domain.mentorship import Mentorship
from services.metrics.domain.withheld import NOTICE
from services.metrics.risks import Risks
from services.metrics.store import Store
from services.metrics.store.risks import After
from shared import http
from shared.clock import Clock
from shared.errors import Forbidden, NotFound
from shared.http import Caller, Day, Id, Page, Params, Position, Reply, Router

FewScope = Literal["goals", "mentorships", "people"]
ManyScope = Literal["programs", "orgs"]
Scope = FewScope | ManyScope
FEW: tuple[FewScope, ...] = ("goals", "mentorships", "people")
MANY: tuple[ManyScope, ...] = ("programs", "orgs")
_UNKNOWN = "Nothing is known of this."
_REASONS_KEPT = 5_000
"""A page is picked from the events behind a number as they are read: those of a big program need not fit."""


class WindowIn(Params):
    """A window of days, both inclusive, in UTC; by default the 28 days up to today."""

    from_: Day | None = Field(None, alias="from")
    to: Day | None = None
    as_of: Day | None = None


class NumbersIn(WindowIn):
    """A window, and how to cut it for `series`."""

    granularity: Granularity | None = None


class ExplainIn(WindowIn):
    """A window, and a number by its name in answers, such as `goals.missed`, or `by_role.mentor.goals.missed`."""

    number: str


class RiskIn(Params):
    """Whose goals."""

    program_id: Id | None = None
    owner_id: Id | None = None


class NudgesIn(Params):
    """A window of days, both inclusive, in UTC."""

    from_: Day | None = Field(None, alias="from")
    to: Day | None = None


ThingId = Annotated[Id, Path()]


class Numbers:
    """The use cases: who may see which numbers, and where they come from."""

    def __init__(self, store: Store, risks: Risks, clock: Clock) -> None:
        self._store = store
        self._risks = risks
        self._clock = clock

    def asked(
        self, start: dt.date | None = None, end: dt.date | None = None, as_of: dt.date | None = None
    ) -> Asked:
        """The window of a request; by default the 28 days up to today.

        Raises:
            Unprocessable: it is none.
        """
        return asked(start, end, as_of, self._clock.now().date())

    async def programs(self, org_id: str) -> list[str]:
        """The organization's programs."""
        return await self._store.programs(org_id)

    async def few(
        self, caller: Caller, scope: FewScope, id_: str, window: Asked, granularity: Granularity | None
    ) -> dict[str, Any]:
        """The numbers of a goal, a mentorship or a person."""
        await self._allowed(caller, scope, id_)
        items = [item async for item in self._store.items(caller.org_id, scope, id_, window)]
        return of_few(scope, id_, window, granularity, contributions(items, window.as_of))

    async def many(
        self, org_id: str, scope: ManyScope, id_: str, window: Asked, granularity: Granularity | None
    ) -> dict[str, Any]:
        """The numbers of a program or the organization."""
        await self.known(org_id, scope, id_)
        sums, engaged = await self._store.sums(org_id, scope, id_, window, granularity)
        mentorships = await self._store.mentorships_in(org_id, id_ if scope == PROGRAMS else None, window)
        return of_many(scope, id_, window, granularity, sums, engaged, mentorships)

    async def explain(
        self, caller: Caller, scope: Scope, id_: str, window: Asked, number: str, page: Page
    ) -> dict[str, Any]:
        """The events behind a number."""
        part = part_of(number)
        if scope == "programs" or scope == "orgs":
            await self.known(caller.org_id, scope, id_)
        else:
            await self._allowed(caller, scope, id_)
        after = None if page.after is None else (page.after.at, page.after.id)
        found: list[Reason] = []
        async for item in self._store.items(caller.org_id, scope, id_, window):
            found += (each for each in reasons(item, window, part) if after is None or each.order < after)
            if len(found) > _REASONS_KEPT:
                found = heapq.nlargest(page.fetch, found, key=lambda reason: reason.order)
        found.sort(key=lambda reason: reason.order, reverse=True)
        return page.listing(
            found, lambda reason: Position(reason.time, reason.key), lambda reason: reason.shown()
        )

    async def at_risk(self, org_id: str, params: RiskIn, page: Page) -> dict[str, Any]:
        """The open goals with a signal, most signals first, then by deadline.

        Raises:
            Unavailable: more has happened just now than was assessed yet.
        """
        after = None
        if page.after is not None:
            # The cursor names the last goal shown: its signals are in front of its id.
            signals, _, goal_id = page.after.id.partition(":")
            after = (-int(signals), page.after.at, goal_id)
        found = await self.worst(org_id, params, page.fetch, after)
        return page.listing(
            found, lambda each: Position(each.due_at, f"{each.count}:{each.goal_id}"), risk.shown
        )

    async def worst(
        self, org_id: str, params: RiskIn, limit: int, after: After | None = None
    ) -> list[risk.Risk]:
        """The same, as they are kept."""
        return await self._risks.worst(org_id, params.program_id, params.owner_id, limit, after)

    async def mentorships_of(self, caller: Caller) -> list[Mentorship]:
        """The mentorships that the caller takes part in at present."""
        found = await self._store.mentorships_of(caller.org_id, caller.person_id)
        return [each for each in found if caller.person_id in each.participants()]

    async def pair(
        self, caller: Caller, mentorship_id: str
    ) -> tuple[Mentorship, list[tuple[Goal, list[Line], list[Entry]]], dt.datetime]:
        """A mentorship with its goals and all that happened to them, and what time it is.

        Raises:
            NotFound: never known, or, to who acts by `participate`, one they are no participant of.
        """
        await self._allowed(caller, "mentorships", mentorship_id)
        mentorship = await self._store.mentorship(caller.org_id, mentorship_id)
        if mentorship is None:
            raise NotFound(_UNKNOWN)
        goals = await self._store.goals_of_pair(caller.org_id, mentorship_id)
        return mentorship, goals, self._clock.now()

    async def logged_by_week(
        self, org_id: str, program_id: str, window: Asked
    ) -> tuple[list[Mentorship], dict[str, dict[int, int]]]:
        """The mentorships of a program in a window, and how many check-ins each logged by week."""
        mentorships = await self._store.mentorships_in(org_id, program_id, window)
        return mentorships, await self._store.logged_by_week(org_id, program_id, window.window)

    async def nudges(self, org_id: str, window: Asked) -> dict[str, Any]:
        """The numbers of nudges of the organization."""
        found, deeds = await self._store.nudges(org_id, None, window.window)
        return nudge_numbers.numbers(found, deeds)

    async def nudges_of(self, org_id: str, program_id: str, window: Asked) -> dict[str, Any]:
        """The numbers of nudges of a program. Withheld where the program's numbers are, and over few recipients."""
        if over_few(window, await self._store.mentorships_in(org_id, program_id, window)):
            return dict(NOTICE)
        found, deeds = await self._store.nudges(org_id, program_id, window.window)
        return dict(NOTICE) if nudge_numbers.to_few(found) else nudge_numbers.numbers(found, deeds)

    async def known(self, org_id: str, scope: Scope, id_: str) -> None:
        """Let pass what any event ever told of.

        Raises:
            NotFound: nothing is known of it.
        """
        if not await self._store.known(org_id, scope, id_):
            raise NotFound(_UNKNOWN)

    async def _allowed(self, caller: Caller, scope: FewScope, id_: str) -> None:
        """Let pass who sees everybody's numbers, and who asks for their own.

        Raises:
            Forbidden: another person's numbers.
            NotFound: never known, or, to who acts by `participate`, a mentorship they are no participant of.
        """
        if not caller.has(http.PROGRAMS):
            if scope == "people" and id_ != caller.person_id:
                raise Forbidden(f"Numbers of another person need {http.PROGRAMS}.")
            if scope != "people":
                mentorship = (
                    await self._store.mentorship(caller.org_id, id_)
                    if scope == "mentorships"
                    else await self._store.mentorship_of_goal(caller.org_id, id_)
                )
                if mentorship is None or caller.person_id not in mentorship.participants():
                    raise NotFound(_UNKNOWN)
        await self.known(caller.org_id, scope, id_)


def routes(numbers: Numbers) -> Router:
    """The routes of the numbers."""
    router = Router(tags=["metrics"])

    @router.get("/v1/metrics/at-risk", scopes=[http.PROGRAMS])
    async def at_risk(params: Annotated[RiskIn, Query()], page: Page, caller: Caller) -> Reply:
        """Open goals with signals that they may be missed, most signals first, then by deadline."""
        return await numbers.at_risk(caller.org_id, params, page)

    @router.get("/v1/metrics/nudges", scopes=[http.METRICS])
    async def nudges(params: Annotated[NudgesIn, Query()], caller: Caller) -> Reply:
        """How many nudges were sent, and how often the recipient did what was asked for within 48 hours."""
        return await numbers.nudges(caller.org_id, numbers.asked(params.from_, params.to))

    for scope in FEW:
        _few_route(router, numbers, scope)
    for many in MANY:
        _many_route(router, numbers, many)
    return router


def _few_route(router: Router, numbers: Numbers, scope: FewScope) -> None:
    path = f"/v1/metrics/{scope}/{{id}}"
    scopes = [http.PARTICIPATE, http.PROGRAMS]

    @router.get(path, scopes=scopes, refusals=[404], summary=f"Numbers of {scope}")
    async def read(id: ThingId, params: Annotated[NumbersIn, Query()], caller: Caller) -> Reply:
        """The numbers in a window; with `granularity`, also bucket by bucket."""
        return await numbers.few(
            caller, scope, id, numbers.asked(params.from_, params.to, params.as_of), params.granularity
        )

    _explain_route(router, numbers, scope, scopes)


def _many_route(router: Router, numbers: Numbers, scope: ManyScope) -> None:
    path = f"/v1/metrics/{scope}/{{id}}"

    @router.get(path, scopes=[http.METRICS], refusals=[404], summary=f"Numbers of {scope}")
    async def read(id: ThingId, params: Annotated[NumbersIn, Query()], caller: Caller) -> Reply:
        """The numbers in a window; with `granularity`, also bucket by bucket. Over fewer than 5 people: none."""
        return await numbers.many(
            caller.org_id, scope, id, numbers.asked(params.from_, params.to, params.as_of), params.granularity
        )

    _explain_route(router, numbers, scope, [http.PROGRAMS])


def _explain_route(router: Router, numbers: Numbers, scope: Scope, scopes: list[str]) -> None:
    @router.get(
        f"/v1/metrics/{scope}/{{id}}/explain",
        scopes=scopes,
        refusals=[404],
        summary=f"The events behind a number of {scope}",
    )
    async def explain(
        id: ThingId, params: Annotated[ExplainIn, Query()], page: Page, caller: Caller
    ) -> Reply:
        """Each event with the day it counts on and its weight; the weights of a count add up to it."""
        window = numbers.asked(params.from_, params.to, params.as_of)
        return await numbers.explain(caller, scope, id, window, params.number, page)
