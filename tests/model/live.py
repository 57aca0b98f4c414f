"""The services as they run, behind the model's steps: a person's step is a request, and what is told is on Kafka.

A real clock goes on between a request and the next, so that instants which somebody recorded are compared with a
tolerance, and histories keep away from the instants at which something is decided.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Awaitable, Callable, Iterable, Iterator
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Any
from uuid import uuid4

import httpx

from shared.time import format_instant, parse_instant
from tests.model import instants
from tests.model.accountability import DISPUTABLE, Accountability
from tests.model.evidence import GRACE, fraction_at
from tests.model.histories import ZONES
from tests.model.steps import (
    Acknowledge,
    Answer,
    Deadline,
    Dispute,
    Log,
    Measure,
    Progress,
    Refusal,
    Revise,
    Rule,
    Say,
    SetGoal,
    Step,
    Told,
    Turn,
)
from tests.model.terms import EASE_WORKDAYS, due_at
from tests.support.polling import eventually
from tests.support.system import System

PROGRAMS = "onbelay:programs"
COORDINATOR = "coordinator"
RECORDED = ("at", "proposed_at", "declined_at", "dropped_at", "missed_at", "retracted_at", "acknowledged_at")
"""Fields that tell when somebody was asked, not what they said."""
TOLERANCE = timedelta(seconds=30)
CLEAR_BEFORE, CLEAR_AFTER = timedelta(seconds=10), timedelta(seconds=40)
"""A round begins so far from what is decided at an instant, and is over before the next."""

Json = dict[str, Any]


@dataclass
class Live:
    """One mentorship of a running system, and its model. `ids` are the services', by the model's names."""

    system: System
    org: str
    program: str
    people: dict[str, str]
    model: Accountability = field(init=False)
    mentorship_id: str = ""
    ids: dict[str, str] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)

    async def begin(self) -> None:
        """Start the mentorship."""
        body = {
            "program_id": self.program,
            **{f"{role}_id": person for role, person in self.people.items()},
            "coordinator_id": COORDINATOR,
            "time_zone": "UTC",
        }
        answer = await self._sent(self._hr(), "/v1/mentorships", body)
        assert answer.status_code == 201, answer.text
        self.mentorship_id = answer.json()["mentorship_id"]
        self.model = Accountability(self.people)

    # -- what people do

    async def take(self, step: Step) -> None:
        """Both take a step, and say the same of it."""
        if isinstance(step, Say) and step.outcome == "met" and step.occurred_at is None:
            step = replace(step, occurred_at=await self.system.now())
        answer = await self._ask(step)
        at = await self._recorded(step, answer)
        self.notes.append(f"{at:%a %F %T.%f} {answer.status_code} {step}")
        told, refused = self._by_model(step, at)
        assert (None if answer.is_success else answer.status_code) == refused, self._story(answer.text)
        if refused is not None:
            waits = refused == 409 and self._waits_for_a_decision(step, at)
            assert not waits or "retry-after" in answer.headers, self._story(answer.text)
            return
        if any(each.type == "RevisionProposed" for each in told):
            assert answer.status_code == 202, self._story(answer.text)
        match step:
            case SetGoal():
                self.ids[step.goal] = answer.json()["goal_id"]
                self.ids[step.proposal] = answer.json().get("proposal_id", "")
            case Revise() if answer.status_code == 202:
                self.ids[step.proposal] = answer.json()["proposal_id"]
            case Log():
                self.ids[step.check_in] = answer.json()["checkin_id"]
                if not step.sensitive:
                    self.model.reaches_goals(step.check_in, at)
            case Acknowledge() if self.model.check_ins[step.check_in].goal is not None:
                self.model.notice_reaches_goals(step.check_in, step.by, at)

    def _by_model(self, step: Step, at: datetime) -> tuple[list[Told], int | None]:
        try:
            return self.model.take(step, at), None
        except Refusal as refusal:
            return [], refusal.status

    def _waits_for_a_decision(self, step: Step, at: datetime) -> bool:
        """Whether a step is refused for no other reason than that a deadline is being decided (rule 3)."""
        if not isinstance(step, Revise | Say) or self.model.state != "active":
            return False
        return self.model.is_being_decided(self.model.goals[step.goal], at)

    async def _ask(self, step: Step) -> httpx.Response:
        match step:
            case SetGoal():
                terms = step.terms
                body = {
                    "mentorship_id": self.mentorship_id,
                    "title": terms.title,
                    "measure": _measure(terms.measure),
                    "deadline": _deadline(terms.deadline),
                    "check_in_every_days": terms.every,
                    "owner_id": step.owner,
                }
                return await self._post(step.by, "/v1/goals", body)
            case Revise():
                return await self._revise(step)
            case Answer():
                what = "accept" if step.accepts else "decline"
                url = f"{self._url(step.goal)}/proposals/{self.ids[step.proposal]}/{what}"
                return await self._post(step.by, url)
            case Say():
                said: Json = {"outcome": step.outcome}
                if step.occurred_at is not None:
                    said["occurred_at"] = format_instant(step.occurred_at)
                return await self._post(step.by, f"{self._url(step.goal)}/outcome", said)
            case Dispute():
                body = {"occurred_at": format_instant(step.occurred_at), "reason": "It was done."}
                return await self._post(step.by, f"{self._url(step.goal)}/dispute", body)
            case Rule():
                what = "uphold" if step.upheld else "reject"
                return await self._post(step.by, f"{self._url(step.goal)}/dispute/{what}")
            case Log():
                return await self._post(step.by, "/v1/checkins", self._check_in(step), "checkins")
            case Acknowledge():
                url = f"/v1/checkins/{self.ids[step.check_in]}/acknowledgement"
                return await self._post(step.by, url, service="checkins")
            case Turn():
                what = {"paused": "pause", "resumed": "resume", "ended": "end"}[step.to]
                return await self._sent(self._hr(), f"/v1/mentorships/{self.mentorship_id}/{what}")

    async def _post(
        self, person: str, url: str, body: Json | None = None, service: str = "goals"
    ) -> httpx.Response:
        return await self._sent(self._as(person, service), url, body)

    async def _sent(self, client: httpx.AsyncClient, url: str, body: Json | None = None) -> httpx.Response:
        headers = {"Idempotency-Key": uuid4().hex}
        return await patiently(lambda: client.post(url, json=body, headers=headers))

    async def _revise(self, step: Revise) -> httpx.Response:
        wanted: Json = {
            "title": step.title,
            "measure": _measure(step.measure) if step.measure is not None else None,
            "deadline": _deadline(step.deadline) if step.deadline is not None else None,
            "check_in_every_days": step.every,
        }
        changes = {name: value for name, value in wanted.items() if value is not None}
        client, url = self._as(step.by), self._url(step.goal)

        async def asked() -> httpx.Response:
            seen = await patiently(lambda: client.get(url))
            return await client.patch(url, json=changes, headers={"If-Match": seen.headers["etag"]})

        return await patiently(asked)

    def _check_in(self, step: Log) -> Json:
        body: Json = {
            "mentorship_id": self.mentorship_id,
            "goal_id": self.ids[step.goal] if step.goal is not None else None,
            "occurred_at": format_instant(step.occurred_at) if step.occurred_at is not None else None,
            "progress": _progress(step.progress) if step.progress is not None else None,
            "confidence": step.confidence,
            "realistic": step.realistic,
            "attainable": step.attainable,
            "sensitive": step.sensitive,
        }
        return {name: value for name, value in body.items() if value is not None}

    async def _recorded(self, step: Step, answer: httpx.Response) -> datetime:
        """When a step was recorded: as the answer tells, or as it is now."""
        tells = {SetGoal: "set_at", Log: "logged_at"}.get(type(step))
        if answer.is_success and tells is not None and tells in answer.json():
            return parse_instant(answer.json()[tells])
        return await self.system.now()

    # -- what came of it

    async def agrees(self) -> None:
        """Goals answers of each goal what the model has; what becomes due meanwhile is decided."""
        for name, goal in self.model.goals.items():

            async def as_expected(name: str = name, goal: Any = goal) -> bool:
                now = await self.system.now()
                self.model.time_passes(now, now)
                answer = await self._hr().get(self._url(name))
                assert answer.status_code == 200, answer.text
                found = answer.json()
                shown = {
                    "state": found["state"],
                    "revision": found["revision"],
                    "due_at": parse_instant(found["due_at"]),
                    "missed": "missed_at" in found,
                    "dispute": found.get("dispute", {}).get("state"),
                    "fraction": round(found["fraction"], 9),
                    "met_at": parse_instant(found["met_at"]) if "met_at" in found else None,
                }
                assert shown == {
                    "state": goal.state,
                    "revision": goal.revision,
                    "due_at": goal.due_at,
                    "missed": goal.miss_stands,
                    "dispute": goal.dispute,
                    "fraction": round(fraction_at(goal.known, goal.terms.measure, now), 9),
                    "met_at": goal.met_at,
                }, self._story(f"{name}: {shown}")
                return True

            await eventually(as_expected, seconds=60)

    async def remembers(self) -> None:
        """The history of each goal tells all that happened to it, newest first."""
        for name in self.model.goals:
            answer = await self._history(name)
            assert answer.status_code == 200, answer.text
            found = [(item["type"], item["revision"]) for item in answer.json()["items"]]
            own = [each for each in self.model.told if each.subject == f"goal/{name}"]
            revision, expected = 0, []
            for each in own:
                revision = each.data.get("revision", revision)
                expected.append((each.type, revision))
            assert found == expected[::-1], self._story(name)

    async def _history(self, goal: str) -> httpx.Response:
        url = f"{self._url(goal)}/history"
        return await patiently(lambda: self._hr().get(url, params={"limit": "200"}))

    def told_the_same(self, events: Iterable[Json]) -> list[Told]:
        """Each subject's events are those of the model; answers the lapses, which the model has by itself.

        `events` are structured CloudEvents of the goals and check-ins topics, each subject's in order.
        """
        names = {id_: name for name, id_ in self.ids.items() if id_}
        found: dict[str, list[Told]] = defaultdict(list)
        seen: set[str] = set()
        for event in events:
            if event["data"].get("mentorship_id") != self.mentorship_id or event["id"] in seen:
                continue
            seen.add(event["id"])
            told = _told(event, names)
            found[told.subject].append(told)
        lapsed = [
            each for subject in list(found) if subject.startswith("cadence/") for each in found.pop(subject)
        ]
        expected: dict[str, list[Told]] = defaultdict(list)
        for told in self.model.told:
            if told.type != "HelpRequested":
                expected[told.subject].append(told)
        found["mentorship"] = [each for each in found["mentorship"] if each.type != "MentorshipStarted"]
        for subject in found.keys() | expected.keys():
            mine = [_comparable(each) for each in expected[subject]]
            theirs = [_comparable(each) for each in found[subject]]
            assert theirs == mine, self._story(subject)
            for one, other in zip(expected[subject], found[subject], strict=True):
                _about_the_same_time(one, other)
        return lapsed

    # -- how

    def _as(self, person: str, service: str = "goals") -> httpx.AsyncClient:
        return self.system.client(service, sub=person, org=self.org)

    def _hr(self, service: str = "goals") -> httpx.AsyncClient:
        return self.system.client(service, sub="hr", org=self.org, scope=PROGRAMS)

    def _url(self, goal: str) -> str:
        return f"/v1/goals/{self.ids[goal]}"

    def _story(self, what: str) -> str:
        return "\n".join([*self.notes, what])


async def patiently(ask: Callable[[], Awaitable[httpx.Response]]) -> httpx.Response:
    """The answer, asked for again, as a careful client does, while a service has no time for it."""

    async def answered() -> httpx.Response:
        answer = await ask()
        assert answer.status_code != 503, answer.text
        return answer

    return await eventually(answered, seconds=60, every=1)


def delicate(model: Accountability, around: datetime) -> Iterator[datetime]:
    """Instants near another at which something is decided, or a day ends that something is counted from."""
    for zone in ZONES:
        for days in (-1, 0, 1):
            midnight = instants.end_of(instants.day_in(zone, around) + days * instants.DAY, zone)
            yield from (midnight, midnight + GRACE)
    for goal in model.goals.values():
        deadlines = [goal.terms.deadline]
        deadlines += [each.asks.deadline for each in goal.proposals if each.asks and each.asks.deadline]
        for deadline in deadlines:
            due, horizon = due_at(deadline), instants.workdays_before(deadline.day, EASE_WORKDAYS)
            yield from (due, due + GRACE, instants.due_at(horizon, deadline.zone, deadline.cutoff))
        if goal.missed_at is not None:
            yield goal.missed_at + DISPUTABLE
    if model.paused_at is not None:
        days = round((around - model.paused_at) / instants.DAY)
        yield model.paused_at + days * instants.DAY


def clear_of(models: Iterable[Accountability], target: datetime) -> datetime:
    """The target, or the first instant after it at which a round can begin."""
    models = list(models)
    while any(
        target - CLEAR_BEFORE <= at <= target + CLEAR_AFTER
        for model in models
        for at in delicate(model, target)
    ):
        target += timedelta(minutes=3)
    return target


# --- bodies and events


def _measure(measure: Measure) -> Json:
    if measure.kind == "milestones":
        return {"kind": "milestones", "milestones": list(measure.milestones)}
    told = {"kind": measure.kind, "baseline": measure.start, "target": measure.target}
    return {name: value for name, value in told.items() if value is not None}


def _deadline(deadline: Deadline) -> Json:
    return {"date": deadline.day.isoformat(), "time_zone": deadline.zone, "cutoff": deadline.cutoff}


def _progress(progress: Progress) -> Json:
    match progress.kind:
        case "number":
            return {"value": progress.number}
        case "milestones":
            return {"milestones": list(progress.reached)}
        case "done":
            return {"done": progress.done}


def _told(event: Json, names: dict[str, str]) -> Told:
    data = dict(event["data"])
    for common in ("org_id", "program_id", "mentorship_id"):
        data.pop(common)
    for name, value in data.items():
        if name.endswith("_at") or name in ("at", "expected_by"):
            data[name] = parse_instant(value)
        elif name in ("goal_id", "proposal_id", "checkin_id"):
            data[name] = names[value]
    kind, _, id_ = event["subject"].partition("/")
    subject = f"{kind}/{names[id_]}" if id_ in names else kind
    type_ = event["type"].removeprefix("onbelay.").removesuffix(".v1")
    return Told(subject, type_, parse_instant(event["time"]), data)


def _comparable(told: Told) -> Json:
    """What does not depend on when exactly a request was answered."""
    exact = {name: value for name, value in told.data.items() if name not in RECORDED}
    if "fraction" in exact:
        exact["fraction"] = round(exact["fraction"], 9)
    return {"type": told.type, **exact}


def _about_the_same_time(one: Told, other: Told) -> None:
    pairs = [(one.time, other.time)]
    pairs += [(one.data[name], other.data[name]) for name in RECORDED if name in one.data]
    for mine, theirs in pairs:
        assert abs(mine - theirs) <= TOLERANCE, f"{one} is {other}"
