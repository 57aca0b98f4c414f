"""What the notifier knows of a goal, folded from the goals, check-ins and support topics in whatever order.

What is told about a goal before the goal itself waits with it (`waiting`) and is folded when it comes, so that the
result is the same whichever topic is ahead.
"""

from __future__ import annotations

from datetime import date, datetime, timedelta
from typing import Literal

import msgspec
from msgspec import Struct

from shared import events as contract
from shared.time import end_of_day, local_date

CONFIDENCE_WINDOW = timedelta(days=28)
LOW_CONFIDENCE = 3
FALL = 3
_CONFIDENCES_KEPT_FOR = timedelta(days=70)
_CONFIDENCES_KEPT = 200


class Told(Struct, frozen=True, kw_only=True):
    """An event that came before its goal: what is needed to fold it later."""

    type: str
    id: str
    at: datetime
    data: dict[str, object]


class Confidence(Struct, frozen=True):
    """What the owner said on a check-in."""

    occurred_at: datetime
    value: int


class Expected(Struct, frozen=True):
    """The check-in that is expected next: by the end of the date `period` in the deadline's zone.

    `counted_from` is the date after which a check-in moves it on.
    """

    counted_from: date
    period: date
    expected_by: datetime


class Goal(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A goal. `revision` 0: only proposals or check-ins on it are known so far.

    `missed_at` is when its last miss was recorded, `revised_at` tells when each revision was, from the first.
    `counts_from` is the instant from which its cadence counts anew: set, revived, changed. `lapsed` is the last period
    that lapsed, `checked_in_at` when the last check-in that counts for the cadence was logged, by `checked_in_by`;
    `reported_at` when the last of those was that are not sensitive, which everybody may know of.
    `asked_to_renegotiate` is the latest revision so asked. `renegotiate_since` and `help_since` (by author) hold other
    reminders back for a while. `changes` counts what was folded, the last of it recorded at `changed_at`: calendars
    tell by it which entry is the newer one.
    """

    goal_id: str
    org_id: str
    program_id: str
    mentorship_id: str
    owner_id: str = ""
    owner_role: str = ""
    counterpart_id: str = ""
    title: str = ""
    time_zone: str = "UTC"
    deadline_date: date = date.min
    due_at: datetime | None = None
    every_days: int = 7
    revision: int = 0
    revised_at: tuple[datetime, ...] = ()
    state: Literal["proposed", "active", "met", "missed", "dropped"] = "proposed"
    missed_at: datetime | None = None
    retracted: tuple[int, ...] = ()
    in_dispute: bool = False
    open_proposals: tuple[str, ...] = ()
    counts_from: datetime | None = None
    lapsed: date | None = None
    checked_in_at: datetime | None = None
    checked_in_by: str | None = None
    reported_at: datetime | None = None
    confidences: tuple[Confidence, ...] = ()
    asked_to_renegotiate: int = 0
    renegotiate_since: datetime | None = None
    help_since: dict[str, datetime] = {}
    waiting: tuple[Told, ...] = ()
    changes: int = 0
    changed_at: datetime | None = None

    @property
    def known(self) -> bool:
        """Whether the goal was set, and not only proposed or talked of."""
        return self.revision > 0

    def revision_at(self, instant: datetime) -> int:
        """Which revision held at an instant; the first, before that."""
        return max(1, sum(recorded <= instant for recorded in self.revised_at))

    def concerns(self, person_id: str) -> bool:
        """Whether a check-in of that person on it counts."""
        return person_id in (self.owner_id, self.counterpart_id)


def unknown(event: contract.RevisionProposed | contract.CheckInLogged | contract.HelpRequested) -> Goal:
    """The goal that an event is about, of which nothing is known yet."""
    assert event.goal_id is not None  # noqa: S101 - narrows; those without a goal are about none
    return Goal(
        goal_id=event.goal_id,
        org_id=event.org_id,
        program_id=event.program_id,
        mentorship_id=event.mentorship_id,
    )


def expected(goal: Goal, resumed_at: datetime | None) -> Expected | None:
    """The check-in that an active goal expects next, or None.

    `every_days` after the last one was logged, after the goal was set, revived or changed in this, after the
    mentorship was resumed (at `resumed_at`), or after the last period that lapsed: whichever was latest.
    """
    if goal.state != "active" or goal.due_at is None:
        return None
    instants = [i for i in (goal.counts_from, goal.checked_in_at, resumed_at) if i is not None]
    dates = [local_date(instant, goal.time_zone) for instant in instants]
    if goal.lapsed is not None:
        dates.append(goal.lapsed)
    latest = max(dates)
    period = latest + timedelta(days=goal.every_days)
    found = Expected(latest, period, end_of_day(period, goal.time_zone))
    return found if found.expected_by <= goal.due_at else None


def evolve(goal: Goal, event: contract.Event, at: datetime) -> Goal:
    """The goal after an event about it that was recorded `at`; check-ins and help only once it is known."""
    after = _evolved(goal, event, at)
    if isinstance(event, contract.HelpRequested):
        # Calendars show how often an entry changed, and when: of a request for help no more than that it moved one.
        moved = _counted_from(after) != _counted_from(goal)
        return msgspec.structs.replace(after, changes=goal.changes + moved)
    return msgspec.structs.replace(after, changes=goal.changes + 1, changed_at=max(at, goal.changed_at or at))


def _evolved(goal: Goal, event: contract.Event, at: datetime) -> Goal:
    change = msgspec.structs.replace
    match event:
        case contract.GoalRevised():
            anew = goal.state == "missed" or "check_in_every_days" in event.changed
            return change(
                _facts(goal, event, at),
                state="active",
                in_dispute=False,
                counts_from=at if anew else goal.counts_from,
                open_proposals=_without(goal, event.proposal_id),
            )
        case contract.GoalSet():
            return change(
                _facts(goal, event, at),
                state="active",
                counts_from=at,
                open_proposals=_without(goal, event.proposal_id),
            )
        case contract.RevisionProposed():
            return change(goal, open_proposals=(*goal.open_proposals, event.proposal_id))
        case contract.RevisionDeclined():
            return change(goal, open_proposals=_without(goal, event.proposal_id))
        case contract.GoalMet():
            return change(goal, state="met")
        case contract.GoalMissed():
            return change(goal, state="missed", missed_at=at)
        case contract.GoalMissRetracted():
            return change(goal, state="active", in_dispute=False, retracted=(*goal.retracted, event.revision))
        # DisputeRejected has MissDisputed's fields and is one of its kind, so it is asked for first.
        case contract.DisputeRejected():
            return change(goal, in_dispute=False)
        case contract.MissDisputed():
            return change(goal, in_dispute=True)
        case contract.GoalDropped():
            return change(goal, state="dropped", open_proposals=())
        case contract.CheckInLapsed():
            period = date.fromisoformat(event.period)
            return change(goal, lapsed=max(goal.lapsed or period, period))
        case contract.CheckInLogged():
            return _checked_in(goal, event)
        case contract.HelpRequested():
            return _asked_for_help(goal, event, at)
        case _:
            return goal


def says_renegotiate(goal: Goal, event: contract.CheckInLogged) -> str | None:
    """Why a check-in of the owner's asks for another deadline or target rather than another reminder, or None.

    `goal` is as before the check-in. Confidence falls against their best on it of the 28 days before.
    """
    if event.author_id != goal.owner_id:
        return None
    if event.realistic is False:
        return "unrealistic"
    if event.attainable is False:
        return "unattainable"
    if event.confidence is None:
        return None
    if event.confidence <= LOW_CONFIDENCE:
        return "confidence_low"
    since = event.occurred_at - CONFIDENCE_WINDOW
    earlier = [c.value for c in goal.confidences if since <= c.occurred_at <= event.occurred_at]
    return "confidence_falling" if earlier and max(earlier) - event.confidence >= FALL else None


def _facts(goal: Goal, event: contract.GoalSet, at: datetime) -> Goal:
    return msgspec.structs.replace(
        goal,
        owner_id=event.owner_id,
        owner_role=event.owner_role,
        counterpart_id=event.counterpart_id,
        title=event.title,
        time_zone=event.deadline.time_zone,
        deadline_date=date.fromisoformat(event.deadline.date),
        due_at=event.due_at,
        every_days=event.check_in_every_days,
        revision=event.revision,
        revised_at=(*goal.revised_at, at),
    )


def _without(goal: Goal, proposal_id: str | None) -> tuple[str, ...]:
    return tuple(id_ for id_ in goal.open_proposals if id_ != proposal_id)


def _counted_from(goal: Goal) -> date | None:
    instants = [i for i in (goal.counts_from, goal.checked_in_at) if i is not None]
    return local_date(max(instants), goal.time_zone) if instants else None


def _counted(goal: Goal, author_id: str, logged_at: datetime, *, sensitive: bool) -> Goal:
    if not goal.concerns(author_id):
        return goal
    if not sensitive:
        reported_at = max(goal.reported_at or logged_at, logged_at)
        goal = msgspec.structs.replace(goal, reported_at=reported_at)
    if goal.checked_in_at is not None and goal.checked_in_at >= logged_at:
        return goal
    return msgspec.structs.replace(goal, checked_in_at=logged_at, checked_in_by=author_id)


def _checked_in(goal: Goal, event: contract.CheckInLogged) -> Goal:
    goal = _counted(goal, event.author_id, event.logged_at, sensitive=False)
    if event.author_id != goal.owner_id:
        return goal
    revision = goal.revision_at(event.logged_at)
    if says_renegotiate(goal, event) and revision > goal.asked_to_renegotiate:
        goal = msgspec.structs.replace(goal, asked_to_renegotiate=revision, renegotiate_since=event.logged_at)
    if event.confidence is not None:
        kept = [c for c in goal.confidences if c.occurred_at > event.logged_at - _CONFIDENCES_KEPT_FOR]
        kept.append(Confidence(event.occurred_at, event.confidence))
        goal = msgspec.structs.replace(goal, confidences=tuple(kept[-_CONFIDENCES_KEPT:]))
    return goal


def _asked_for_help(goal: Goal, event: contract.HelpRequested, at: datetime) -> Goal:
    earlier = goal.help_since.get(event.author_id, at)
    return msgspec.structs.replace(
        _counted(goal, event.author_id, at, sensitive=event.sensitive),
        help_since={**goal.help_since, event.author_id: max(earlier, at)},
    )
