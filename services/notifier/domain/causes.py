"""What an event puts on whose agenda. The moments are those of the contract's table of nudges."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any

from services.notifier.domain.goal import Expected, Goal, expected, says_renegotiate
from services.notifier.domain.mentorship import Mentorship
from services.notifier.domain.moments import AtOnce, Moment, Morning, WorkdaysLater
from services.notifier.domain.person import Reminder
from shared import events as contract


@dataclass(frozen=True, slots=True)
class Happened:
    """An event with what its envelope tells: `at` is its `ce_time`."""

    event: Any
    id: str
    at: datetime


@dataclass(frozen=True, slots=True)
class Addressed:
    """A reminder and the person whose agenda it belongs on."""

    person_id: str
    reminder: Reminder


def of_mentorship(happened: Happened, mentorship: Mentorship) -> Iterator[Addressed]:
    """The reminders that an event about a mentorship, or its expectations, leads to; `mentorship` is after it."""
    event, at = happened.event, happened.at
    match event:
        # MentorshipChanged has all its fields, and is one of its kind.
        case contract.MentorshipChanged():
            return
        case contract.MentorshipStarted():
            for person_id in mentorship.pair:
                yield _about(
                    happened, "agree_expectations", person_id, "0", WorkdaysLater(since=at, days=2),
                    mentorship.time_zone, version=0,
                )  # fmt: skip
        case contract.ExpectationsProposed():
            yield _about(
                happened, "agree_expectations", event.waits_for, str(event.version),
                WorkdaysLater(since=at, days=2), mentorship.time_zone, version=event.version,
            )  # fmt: skip
        case contract.ExpectationsAgreed():
            for person_id in mentorship.pair:
                yield _about(
                    happened, "review_expectations", person_id, str(event.version),
                    Morning(date=date.fromisoformat(event.review_on)), mentorship.time_zone,
                    version=event.version,
                )  # fmt: skip


def of_goal(
    happened: Happened, before: Goal, after: Goal, mentorship: Mentorship | None
) -> Iterator[Addressed]:
    """The reminders that an event about a goal leads to, the goal being known.

    `mentorship` is None while nothing has been told of it yet.
    """
    event, at = happened.event, happened.at
    zone = mentorship.time_zone if mentorship is not None else after.time_zone
    revision = str(after.revision)

    def told(kind: str, person_id: str, period: str, moment: Moment, **facts: Any) -> Addressed:
        return _about(happened, kind, person_id, period, moment, zone, **facts)

    match event:
        case contract.GoalSet():
            yield told(
                "goal_due_soon", after.owner_id, revision,
                Morning(date=after.deadline_date, workdays_before=2), revision=after.revision,
            )  # fmt: skip
        case contract.GoalMissed():
            for role, person_id, moment in (
                ("owner", after.owner_id, AtOnce(since=at)),
                ("counterpart", after.counterpart_id, WorkdaysLater(since=at, days=2)),
            ):
                yield told(
                    "goal_missed",
                    person_id,
                    str(event.revision),
                    moment,
                    revision=event.revision,
                    as_role=role,
                )
            if mentorship is not None:
                yield from of_escalation(happened, after, mentorship)
        case contract.GoalMissRetracted():
            # Whoever may have been told of the miss; whether they were is asked when it is said.
            coordinators = mentorship.coordinated_by if mentorship is not None else ()
            for person_id in dict.fromkeys([after.owner_id, after.counterpart_id, *coordinators]):
                yield told(
                    "miss_withdrawn",
                    person_id,
                    str(event.revision),
                    AtOnce(since=at),
                    revision=event.revision,
                )
        case contract.GoalMet():
            yield told(
                "goal_met",
                after.counterpart_id,
                str(event.revision),
                AtOnce(since=at),
                revision=event.revision,
            )
        case contract.DisputeRejected():
            pass
        case contract.MissDisputed():
            yield told(
                "dispute_waiting", after.counterpart_id, str(event.revision), AtOnce(since=at),
                revision=event.revision, asked_by=event.by,
            )  # fmt: skip
        case contract.CheckInLapsed():
            for role, person_id, moment in (
                ("owner", after.owner_id, AtOnce(since=at)),
                ("counterpart", after.counterpart_id, WorkdaysLater(since=at, days=2)),
            ):
                yield told(
                    "check_in_lapsed",
                    person_id,
                    event.period,
                    moment,
                    expected_by=event.expected_by,
                    as_role=role,
                )
        case contract.CheckInLogged() if event.author_id == after.owner_id:
            yield told(
                "acknowledge_check_in", after.counterpart_id, event.checkin_id, WorkdaysLater(since=at, days=1),
                checkin_id=event.checkin_id, asked_by=event.author_id,
            )  # fmt: skip
            if after.asked_to_renegotiate > before.asked_to_renegotiate:
                yield told(
                    "renegotiate", after.owner_id, str(after.asked_to_renegotiate), AtOnce(since=at),
                    revision=after.asked_to_renegotiate, says=says_renegotiate(before, event),
                )  # fmt: skip
    resumed_at = mentorship.resumed_at if mentorship is not None else None
    yield from of_cadence(happened, after, expected(before, resumed_at), expected(after, resumed_at), zone)


def of_escalation(happened: Happened, goal: Goal, mentorship: Mentorship) -> Iterator[Addressed]:
    """The reminder of a miss to who coordinates, after an event that made the miss, or made them who is told of it."""
    if goal.state == "missed" and goal.missed_at is not None and mentorship.escalates_to is not None:
        yield _about(
            happened, "goal_missed", mentorship.escalates_to, str(goal.revision),
            WorkdaysLater(since=goal.missed_at, days=4), mentorship.time_zone,
            goal_id=goal.goal_id, revision=goal.revision, as_role="coordinator",
        )  # fmt: skip


def of_cadence(
    happened: Happened, goal: Goal, before: Expected | None, after: Expected | None, zone: str
) -> Iterator[Addressed]:
    """The reminder of the check-in that is expected next, where an event has changed which that is."""
    if after is not None and after != before:
        yield _about(
            happened, "check_in_due", goal.owner_id, after.period.isoformat(),
            Morning(date=after.period, on_workday=True), zone,
            goal_id=goal.goal_id, expected_by=after.expected_by, counted_from=after.counted_from,
            caused_by=_asked_for_help(happened),
        )  # fmt: skip


def _asked_for_help(happened: Happened) -> str | None:
    return happened.event.author_id if isinstance(happened.event, contract.HelpRequested) else None


def of_proposal(happened: Happened, time_zone: str) -> Iterator[Addressed]:
    """The reminder of a proposal; the goal may be one that is only proposed itself."""
    event: contract.RevisionProposed = happened.event
    yield _about(
        happened, "proposal_waiting", event.waits_for, event.proposal_id, AtOnce(since=happened.at), time_zone,
        proposal_id=event.proposal_id, asked_by=event.proposed_by,
    )  # fmt: skip


def of_help(happened: Happened, time_zone: str) -> Iterator[Addressed]:
    """The reminder of a request for help."""
    event: contract.HelpRequested = happened.event
    yield _about(
        happened, "help_requested", event.route_to, event.checkin_id, AtOnce(since=happened.at), time_zone,
        checkin_id=event.checkin_id, asked_by=event.author_id, sensitive=event.sensitive,
    )  # fmt: skip


def _about(
    happened: Happened, kind: str, person_id: str, period: str, moment: Moment, time_zone: str, **facts: Any
) -> Addressed:
    event = happened.event
    facts.setdefault("goal_id", getattr(event, "goal_id", None))
    return Addressed(
        person_id,
        Reminder(
            kind=kind,
            org_id=event.org_id,
            program_id=event.program_id,
            mentorship_id=event.mentorship_id,
            period=period,
            moment=moment,
            time_zone=time_zone,
            cause=type(event).__name__,
            cause_id=happened.id,
            caused_at=happened.at,
            **facts,
        ),
    )
