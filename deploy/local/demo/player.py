"""Plays a program through the public APIs alone, as a company's own system would, by the sandbox clock."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from datetime import datetime, time, timedelta
from functools import partial
from typing import Any

import httpx

from deploy.local.demo.expected import DAY, REMINDED_AT, Due, Expected
from deploy.local.demo.program import Acknowledge, Calendar, CheckIn, Program, Revise, SetGoal, Step
from deploy.local.demo.reader import Reader
from deploy.local.issuer import Issuer
from shared.events import Decoded
from shared.ids import uuid7
from shared.time import format_instant

SYSTEM = "people-system"
"""Who calls: a company's own system, in the name of its people where it has to be theirs."""
SCOPES = "onbelay:programs onbelay:metrics onbelay:recipients onbelay:sandbox"
BEGINS_AT = time(9)
HEARD_WITHIN_S = 30.0
REMINDED_WITHIN_S = 2.0
SETTLED_S = 0.4
REQUEST_S = 30.0
TOKEN_TTL_S = 24 * 3600


class Refused(Exception):
    """A service refused a request of the program; says which and why."""


class Apis:
    """The four services, called with tokens of the stack's issuer."""

    def __init__(self, urls: Mapping[str, str], issuer: Issuer, organization: str) -> None:
        self._urls = urls
        self._tokens = {
            scope: issuer.token(SYSTEM, organization, scope, ttl=TOKEN_TTL_S)
            for scope in (SCOPES, "onbelay:act_as")
        }
        self._client = httpx.AsyncClient(timeout=REQUEST_S)

    async def close(self) -> None:
        """Close the connections."""
        await self._client.aclose()

    async def call(
        self,
        method: str,
        service: str,
        path: str,
        body: Mapping[str, Any] | None = None,
        *,
        person: str | None = None,
        **headers: str,
    ) -> httpx.Response:
        """Send a request, in the name of `person` if one is given; fields that are None are left out.

        Raises:
            Refused: the answer is no success.
            httpx.TransportError: there was none.
        """
        headers["Authorization"] = f"Bearer {self._tokens['onbelay:act_as' if person else SCOPES]}"
        if person:
            headers["Onbelay-Act-As"] = person
        if method == "POST":
            headers["Idempotency-Key"] = uuid7()
        content = None if body is None else {name: it for name, it in body.items() if it is not None}
        response = await self._client.request(
            method, self._urls[service] + path, json=content, headers=headers
        )
        if not response.is_success:
            raise Refused(f"{method} {path} was answered {response.status_code}: {response.text}")
        return response

    async def get(self, service: str, path: str) -> dict[str, Any]:
        """What a GET answers; raises as `call` does."""
        answer: dict[str, Any] = (await self.call("GET", service, path)).json()
        return answer


@dataclass(frozen=True, slots=True)
class _Moment:
    at: datetime
    act: Callable[[], Awaitable[None]]


class Player:
    """Plays one program, and keeps what it made: ids by the file's names.

    After each step it waits until the step's events were heard, so that the story stands in order, and so that no
    later instant is reached before goals took a check-in in.

    Args:
        passed: told of every instant that is reached.
    """

    def __init__(
        self,
        program: Program,
        calendar: Calendar,
        expected: Expected,
        apis: Apis,
        reader: Reader,
        passed: Callable[[datetime], None],
    ) -> None:
        self._program = program
        self._calendar = calendar
        self._expected = expected
        self._apis = apis
        self._reader = reader
        self._passed = passed
        self.mentorships: dict[str, str] = {}
        self.goals: dict[str, str] = {}
        self._last_check_in: dict[str, str] = {}

    async def play(self) -> None:
        """Play it all, to the end of its last week.

        Raises:
            Refused, NotHeard, httpx.TransportError: it does not go as it must.
        """
        moments = sorted(self._moments(), key=lambda moment: moment.at)
        now: datetime | None = None
        for moment in moments:
            if moment.at != now:
                now = moment.at
                await self._apis.call("PUT", "goals", "/v1/sandbox/clock", {"now": format_instant(now)})
                self._passed(now)
            await moment.act()
        await self._reader.quiet(SETTLED_S, REMINDED_WITHIN_S)

    def _moments(self) -> list[_Moment]:
        """What happens when. At the same instant what becomes due comes first, then the file's order holds."""
        agreed, instant = self._program.expectations, self._calendar.instant
        begins = self._calendar.local(self._calendar.first_day, BEGINS_AT)
        ends = self._calendar.due(f"week {self._program.weeks} sun") - timedelta(minutes=1)
        mornings = [
            self._calendar.local(self._calendar.first_day + day * DAY, REMINDED_AT)
            for day in range(7 * self._program.weeks)
            if day % 7 < 5
        ]
        return [
            _Moment(begins, self._begin),
            *(_Moment(morning, _nothing) for morning in mornings),
            *(_Moment(due.at, partial(self._await_due, due)) for due in self._expected.due),
            _Moment(instant(agreed.proposed), self._propose),
            _Moment(instant(agreed.signed), self._sign),
            *(
                _Moment(instant(step.at), partial(self._take, index, step))
                for index, step in enumerate(self._program.steps)
            ),
            _Moment(ends, _nothing),
        ]

    # -- the beginning

    async def _begin(self) -> None:
        await asyncio.gather(*map(self._put_recipient, self._program.people))
        for name in self._program.mentorships:
            await self._start(name)

    async def _put_recipient(self, person: str) -> None:
        body = {
            "time_zone": self._program.time_zone,
            "channels": [
                {"kind": "email", "address": f"{person}@{self._program.organization}.example"},
            ],
            "display_name": self._program.people[person],
        }
        await self._apis.call("PUT", "notifier", f"/v1/recipients/{person}", body)

    async def _start(self, name: str) -> None:
        mentorship = self._program.mentorships[name]
        body = {
            "program_id": self._program.program,
            "mentor_id": mentorship.mentor,
            "mentee_id": mentorship.mentee,
            "leader_id": mentorship.leader,
            "coordinator_id": self._program.coordinator,
            "time_zone": self._program.time_zone,
            "focus": mentorship.focus,
        }
        made = (await self._apis.call("POST", "goals", "/v1/mentorships", body)).json()
        self.mentorships[name] = made["mentorship_id"]
        await self._heard("MentorshipStarted", mentorship_id=made["mentorship_id"])

    async def _propose(self) -> None:
        agreed = self._program.expectations
        body = {
            "items": [{"role": item.role, "text": item.text} for item in agreed.items],
            "review_on": self._calendar.day(agreed.review).isoformat(),
        }
        for name, mentorship in self._program.mentorships.items():
            path = f"/v1/mentorships/{self.mentorships[name]}/expectations"
            await self._apis.call("POST", "goals", path, body, person=mentorship.mentor)
            await self._heard("ExpectationsProposed", mentorship_id=self.mentorships[name])

    async def _sign(self) -> None:
        for name, mentorship in self._program.mentorships.items():
            path = f"/v1/mentorships/{self.mentorships[name]}/expectations/1/agreements"
            await self._apis.call("POST", "goals", path, person=mentorship.mentee)
            await self._heard("ExpectationsAgreed", mentorship_id=self.mentorships[name])

    # -- steps

    async def _take(self, index: int, step: Step) -> None:
        deed = step.deed
        if isinstance(deed, SetGoal):
            await self._set(step.who, deed)
        elif isinstance(deed, CheckIn):
            await self._check_in(step.who, deed)
        elif isinstance(deed, Acknowledge):
            await self._acknowledge(step.who, deed)
        elif isinstance(deed, Revise):
            await self._revise(step.who, deed)
        else:
            await self._pause_or_resume("pause" if step.pause else "resume", deed)
        follows = self._expected.follows.get(index, [])
        for type_, goal in follows:
            await self._heard(type_, goal_id=self.goals[goal])
            if type_ == "GoalMet":
                await self._reminded("goal_met", self.goals[goal], self._calendar.instant(step.at))
        if isinstance(deed, CheckIn) and (deed.realistic is False or deed.attainable is False):
            await self._reminded("renegotiate", self.goals[deed.goal], self._calendar.instant(step.at))

    async def _set(self, who: str, deed: SetGoal) -> None:
        measure = deed.measure
        told: dict[str, Any] = {
            "kind": measure.kind,
            "unit": measure.unit,
            "target": measure.target,
            "milestones": measure.milestones,
        }
        body = {
            "mentorship_id": self.mentorships[deed.mentorship],
            "title": deed.title,
            "measure": {name: it for name, it in told.items() if it is not None},
            "deadline": self._calendar.deadline(deed.due),
            "check_in_every_days": deed.every_days,
            "why": deed.why,
        }
        made = (await self._apis.call("POST", "goals", "/v1/goals", body, person=who)).json()
        self.goals[deed.goal] = made["goal_id"]
        await self._heard("GoalSet", goal_id=made["goal_id"])

    async def _check_in(self, who: str, deed: CheckIn) -> None:
        goal = self._program.goals[deed.goal][1]
        body = {
            "mentorship_id": self.mentorships[goal.mentorship],
            "goal_id": self.goals[deed.goal],
            "occurred_at": deed.occurred and format_instant(self._calendar.instant(deed.occurred)),
            "progress": deed.progress,
            "confidence": deed.confidence,
            "realistic": deed.realistic,
            "attainable": deed.attainable,
            "feeling": deed.feeling,
            "note": deed.note,
            "help": deed.help,
        }
        logged = (await self._apis.call("POST", "checkins", "/v1/checkins", body, person=who)).json()
        self._last_check_in[deed.goal] = logged["checkin_id"]
        await self._heard("CheckInLogged", checkin_id=logged["checkin_id"])

    async def _acknowledge(self, who: str, deed: Acknowledge) -> None:
        checkin_id = self._last_check_in[deed.goal]
        path = f"/v1/checkins/{checkin_id}/acknowledgement"
        await self._apis.call("POST", "checkins", path, {"comment": deed.comment}, person=who)
        await self._heard("CheckInAcknowledged", checkin_id=checkin_id)

    async def _revise(self, who: str, deed: Revise) -> None:
        path = f"/v1/goals/{self.goals[deed.goal]}"
        etag = (await self._apis.call("GET", "goals", path, person=who)).headers["ETag"]
        body = {"deadline": self._calendar.deadline(deed.due), "reason": deed.reason}
        revised = await self._apis.call("PATCH", "goals", path, body, person=who, **{"If-Match": etag})
        await self._heard("GoalRevised", goal_id=self.goals[deed.goal], revision=revised.json()["revision"])

    async def _pause_or_resume(self, verb: str, name: str) -> None:
        mentorship_id = self.mentorships[name]
        await self._apis.call("POST", "goals", f"/v1/mentorships/{mentorship_id}/{verb}")
        happened = {"pause": "MentorshipPaused", "resume": "MentorshipResumed"}[verb]
        await self._heard(happened, mentorship_id=mentorship_id)

    # -- what happens by itself

    async def _await_due(self, due: Due) -> None:
        goal_id = self.goals[due.goal]
        if due.kind is None:
            await self._heard(due.type, goal_id=goal_id)
            await self._reader.quiet(SETTLED_S, REMINDED_WITHIN_S)
            return
        await self._reminded(due.kind, goal_id, due.at)

    async def _reminded(self, kind: str, goal_id: str, at: datetime) -> None:
        """Give the notifier the time for a reminder. Whether it is sent is its own to weigh: it may well not be."""
        await self._reader.seen(
            lambda event: (
                event.time >= at
                and event.type.startswith("Nudge")
                and (event.data.kind, event.data.goal_id) == (kind, goal_id)
            ),
            REMINDED_WITHIN_S,
        )

    async def _heard(self, type_: str, **fields: Any) -> None:
        def came(event: Decoded) -> bool:
            return event.type == type_ and all(getattr(event.data, name) == it for name, it in fields.items())

        await self._reader.until(f"{type_} of {fields}", came, HEARD_WITHIN_S)


async def _nothing() -> None:
    """A moment at which nobody does anything, that what is due by then becomes known."""
