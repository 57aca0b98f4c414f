"""Why a reminder is not sent: the contract's reasons, in its order; the first that holds is told.

Each check answers with the facts behind it, for the ledger's `because`, or None where it does not hold.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping, Set
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import Any

from services.notifier.domain.goal import Goal, expected
from services.notifier.domain.kinds import KINDS, Kind, Stale
from services.notifier.domain.mentorship import Mentorship
from services.notifier.domain.moments import WorkdaysLater, time_of
from services.notifier.domain.person import EVERYWHERE, Person, Reminder
from services.notifier.domain.rhythm import Rhythm
from shared.time import end_of_day, format_instant, local_date

WEEK = timedelta(days=7)
HELD_BACK_WORKDAYS = 3

Facts = dict[str, Any]


@dataclass(frozen=True, slots=True)
class World:
    """The present state, as far as a person's due reminders need it.

    Args:
        mentorships, goals: by id.
        acknowledged: ids of check-ins that this person has acknowledged.
        said: keys of reminders that the ledger holds for this person already.
        told_of_miss: (goal, revision) of the misses that this person was sent.
        holdout: the share of reminders that are held out, 0..1.
    """

    mentorships: Mapping[str, Mentorship]
    goals: Mapping[str, Goal]
    acknowledged: Set[str] = frozenset()
    said: Set[str] = frozenset()
    told_of_miss: Set[tuple[str, int]] = frozenset()
    holdout: float = 0.0


@dataclass(frozen=True, slots=True)
class Case:
    """One reminder at the moment of sending."""

    reminder: Reminder
    person: Person
    mentorship: Mentorship
    goal: Goal | None
    world: World
    now: datetime

    @property
    def kind(self) -> Kind:
        return KINDS[self.reminder.kind]

    @property
    def rhythm(self) -> Rhythm:
        return self.person.rhythm_for(self.reminder)


def first_reason(case: Case) -> tuple[str, Facts] | None:
    """The first reason not to send, and the facts behind it; None: send."""
    for reason, holds in _REASONS:
        facts = holds(case)
        if facts is not None:
            return reason, facts
    return None


def goes_stale_at(reminder: Reminder, goal: Goal | None, rhythm: Rhythm) -> datetime:
    """From when on the reminder is of no use any more."""
    stale = KINDS[reminder.kind].stale
    if stale is Stale.AFTER_EXPECTED_BY and reminder.expected_by is not None:
        return reminder.expected_by
    if stale is Stale.AFTER_DUE_AT and goal is not None and goal.due_at is not None:
        return goal.due_at
    return time_of(reminder.moment, rhythm) + WEEK


def held_out(person: Person, reminder: Reminder, share: float) -> bool:
    """Whether this reminder is among the share held out: by chance, but the same however often it is asked."""
    name = f"{person.org_id}|{person.person_id}|{reminder.key}"
    drawn = int.from_bytes(hashlib.blake2b(name.encode(), digest_size=8, person=b"holdout").digest(), "big")
    return drawn < share * 2**64


# --- the reasons


def _erased(case: Case) -> Facts | None:
    erased_at = case.person.erased_at
    return {"erased_at": format_instant(erased_at)} if case.person.erased and erased_at is not None else None


def _ended(case: Case) -> Facts | None:
    return {} if case.mentorship.state == "ended" else None


def _closed(case: Case) -> Facts | None:
    reminder, goal = case.reminder, case.goal
    if reminder.version is not None:
        signed = case.mentorship.agreed_version
        settled = reminder.kind == "agree_expectations" and signed > 0 and signed >= reminder.version
        return {"agreed_version": signed} if settled and reminder.version in (0, signed) else None
    if goal is None or case.kind.urgent:
        return None
    if goal.state == "dropped":
        return {"goal": "dropped"}
    if reminder.kind == "proposal_waiting" and reminder.proposal_id not in goal.open_proposals:
        return {"proposal": "decided"}
    if reminder.kind == "dispute_waiting" and not goal.in_dispute:
        return {"dispute": "decided"}
    return None


def _withdrawn(case: Case) -> Facts | None:
    if case.reminder.kind != "goal_missed" or case.goal is None:
        return None
    if case.reminder.revision in case.goal.retracted:
        return {"miss": "retracted"}
    disputed = case.goal.in_dispute and case.reminder.revision == case.goal.revision
    return {"miss": "in dispute"} if disputed else None


def _met(case: Case) -> Facts | None:
    return {} if case.kind.met_ends_it and case.goal is not None and case.goal.state == "met" else None


def _checked_in(case: Case) -> Facts | None:
    reminder, goal = case.reminder, case.goal
    if goal is None or goal.checked_in_at is None:
        return None
    # Of a sensitive one its author alone may know.
    known = goal.checked_in_at == goal.reported_at or goal.checked_in_by == case.person.person_id
    facts = {"checked_in_at": format_instant(goal.checked_in_at)} if known else {}
    if reminder.kind == "check_in_lapsed" and reminder.expected_by is not None:
        return facts if goal.checked_in_at > reminder.expected_by else None
    if reminder.kind == "check_in_due" and _answered(reminder, goal, goal.checked_in_at):
        return facts
    return None


def _answered(reminder: Reminder, goal: Goal, checked_in_at: datetime) -> bool:
    """Whether a check-in moved on what the reminder asks for: one of the date that it is counted from did not.

    Nor did one after the period had lapsed.
    """
    since = reminder.counted_from or date.fromisoformat(reminder.period) - timedelta(days=goal.every_days)
    lapsed = goal.lapsed is not None and goal.lapsed.isoformat() == reminder.period
    return local_date(checked_in_at, goal.time_zone) > since and not lapsed


def _still_expected(case: Case) -> bool:
    if case.goal is None:
        return False
    found = expected(case.goal, case.mentorship.resumed_at)
    return found is not None and found.period.isoformat() == case.reminder.period


def _acknowledged(case: Case) -> Facts | None:
    waits = case.reminder.kind == "acknowledge_check_in"
    return {} if waits and case.reminder.checkin_id in case.world.acknowledged else None


def _superseded(case: Case) -> Facts | None:
    return _revised(case) or _somebody_else_s(case) or _instead(case)


def _revised(case: Case) -> Facts | None:
    reminder, goal, mentorship = case.reminder, case.goal, case.mentorship
    if reminder.kind == "agree_expectations" and mentorship.proposed_version > (reminder.version or 0):
        return {"version": mentorship.proposed_version}
    if reminder.kind == "review_expectations" and mentorship.agreed_version > (reminder.version or 0):
        return {"version": mentorship.agreed_version}
    if goal is None:
        return None
    if case.kind.of_revision and goal.revision != reminder.revision:
        return {"revision": goal.revision}
    # Past its use only time has passed: whether the miss or the lapse that came of it is known already decides nothing.
    in_time = _stale(case) is None
    if reminder.kind == "check_in_due" and (not _still_expected(case) if in_time else _left_out(case, goal)):
        return {"goal": goal.state, "revision": goal.revision}
    if reminder.kind == "goal_due_soon" and goal.state == "missed" and in_time:
        return {"goal": goal.state}
    return None


def _left_out(case: Case, goal: Goal) -> bool:
    """Whether a revision since, or a resumption, took the period away: it counts anew, or ends before it."""
    period = date.fromisoformat(case.reminder.period)
    if goal.due_at is not None and end_of_day(period, goal.time_zone) > goal.due_at:
        return True
    begun = [i for i in (goal.counts_from, case.mentorship.resumed_at) if i is not None]
    anew = max((local_date(i, goal.time_zone) for i in begun if i > case.reminder.caused_at), default=None)
    return anew is not None and anew + timedelta(days=goal.every_days) != period


def _somebody_else_s(case: Case) -> Facts | None:
    """Escalations go to who coordinates now, as the expectations say now."""
    if case.reminder.as_role == "coordinator" and case.mentorship.escalates_to != case.person.person_id:
        return {"coordinator": "changed"}
    return None


def _instead(case: Case) -> Facts | None:
    """Held back by a request to renegotiate, or by the person's own request for help about the goal."""
    goal = case.goal
    if goal is None or case.kind.urgent:
        return None
    holds = [("help_requested", goal.help_since.get(case.person.person_id))]
    if case.kind.held_back:
        holds.append(("renegotiate", goal.renegotiate_since))
    for by, since in holds:
        if since is not None:
            until = time_of(WorkdaysLater(since=since, days=HELD_BACK_WORKDAYS), case.rhythm)
            if since <= case.now < until:
                return {"by": by, "until": format_instant(until)}
    return None


def _paused(case: Case) -> Facts | None:
    return {} if case.mentorship.state == "paused" else None


def _absent(case: Case) -> Facts | None:
    if case.kind.urgent:
        return None
    today = case.rhythm.day(case.now)
    for absence in case.person.absences:
        if absence.first <= today <= absence.last:
            return {"from": absence.first.isoformat(), "to": absence.last.isoformat()}
    return None


def _snoozed(case: Case) -> Facts | None:
    if case.kind.urgent:
        return None
    for goal_id in (EVERYWHERE, case.reminder.goal_id):
        until = case.person.snoozes.get(goal_id) if goal_id is not None else None
        if until is not None and case.now < until:
            return {"until": format_instant(until)}
    return None


def _holdout(case: Case) -> Facts | None:
    out = not case.kind.urgent and held_out(case.person, case.reminder, case.world.holdout)
    return {"share": case.world.holdout} if out else None


def _no_channel(case: Case) -> Facts | None:
    recipient = case.person.recipient
    return {} if recipient is None or not recipient.reachable else None


def _budget(case: Case) -> Facts | None:
    recipient = case.person.recipient
    if case.kind.urgent or recipient is None:
        return None
    facts = {"daily_budget": recipient.daily_budget}
    if recipient.daily_budget == 0:
        return facts
    if _stale(case) is None:
        return None
    chance = case.rhythm.opportunity(time_of(case.reminder.moment, case.rhythm))
    in_time = chance < goes_stale_at(case.reminder, case.goal, case.rhythm)
    return facts if in_time and case.person.is_spent(case.rhythm.day(chance)) else None


def _stale(case: Case) -> Facts | None:
    since = goes_stale_at(case.reminder, case.goal, case.rhythm)
    return {"since": format_instant(since)} if case.now >= since else None


_REASONS: tuple[tuple[str, Callable[[Case], Facts | None]], ...] = (
    ("erased", _erased),
    ("ended", _ended),
    ("closed", _closed),
    ("withdrawn", _withdrawn),
    ("met", _met),
    ("checked_in", _checked_in),
    ("acknowledged", _acknowledged),
    ("superseded", _superseded),
    ("paused", _paused),
    ("absent", _absent),
    ("snoozed", _snoozed),
    ("holdout", _holdout),
    ("no_channel", _no_channel),
    ("budget", _budget),
    ("stale", _stale),
)

REASONS = tuple(reason for reason, _ in _REASONS)
"""In the order in which they are looked at."""
