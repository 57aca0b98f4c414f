"""A program of a dozen pairs over twelve weeks, as it might look in an organization: for pages that are looked at."""

from __future__ import annotations

from datetime import datetime, timedelta
from random import Random
from typing import Any

from shared import events as contract
from shared.ids import uuid7
from tests.builders import Pair
from tests.unit.metrics.histories import History

DAY = timedelta(days=1)
WEEKS = 12
PROGRAM = "rising-leaders"
MENTORS = (
    "amara",
    "bjoern",
    "chitra",
    "daniel",
    "elena",
    "farid",
    "greta",
    "hugo",
    "imani",
    "jonas",
    "keiko",
    "luis",
)
MENTEES = ("maya", "noah", "olga", "pavel", "quinn", "rosa", "samir", "tove", "uma", "viktor", "wen", "yara")
LEADERS = ("anna.k", "boris.m", "carla.v", "deniz.o", "edith.p", "frank.w")
TITLES = (
    ("Give three talks to the whole department", contract.Measure(kind="number", target=3.0, unit="talks")),
    ("Read seven papers on distributed systems", contract.Measure(kind="number", target=7.0, unit="papers")),
    (
        "Answer code reviews within a day",
        contract.Measure(kind="number", baseline=3.0, target=1.0, unit="days"),
    ),
    (
        "Write the hiring plan for next year",
        contract.Measure(kind="milestones", milestones=["draft", "figures", "review", "signed"]),
    ),
    ("Hold a skip-level talk with every team", contract.Measure(kind="number", target=6.0, unit="teams")),
    ("Finish the course on negotiation", contract.Measure(kind="done")),
    (
        "Hand the on-call rotation over",
        contract.Measure(kind="milestones", milestones=["guide", "shadow", "alone"]),
    ),
)
KINDS = ("check_in_due", "check_in_due", "goal_due_soon", "check_in_lapsed")


def gallery(org: str, now: datetime) -> History:
    """The program's history, from twelve weeks before `now` on; always the same but for ids and instants."""
    rng = Random(7)
    history = History(org)
    begin = now - WEEKS * 7 * DAY
    for number, (mentor, mentee) in enumerate(zip(MENTORS, MENTEES, strict=True)):
        pair = Pair(org, PROGRAM, uuid7(), mentor, mentee)
        leader = LEADERS[number // 2] if number % 2 == 0 else None
        started = begin + number % 5 * DAY
        history.add(pair.started(leader_id=leader, coordinator_id="hr"), started)
        owners = [("mentee", mentee), ("mentor", mentor), ("mentee", mentee)]
        if leader is not None:
            owners.append(("leader", leader))
        keen = rng.uniform(0.45, 0.98)
        for index, (role, person) in enumerate(owners):
            _goal(rng, history, pair, role, person, started + rng.uniform(0, 48) * DAY, now, keen, index)
    return history


def _goal(
    rng: Random,
    history: History,
    pair: Pair,
    role: str,
    person: str,
    set_at: datetime,
    now: datetime,
    keen: float,
    index: int,
) -> None:
    title, measure = rng.choice(TITLES)
    goal_id = uuid7()
    days = rng.choice((14, 21, 35, 50, 75))
    due_at = (set_at + days * DAY).replace(hour=16, minute=0, second=0, microsecond=0)
    owner: dict[str, Any] = {"goal_id": goal_id, "owner_id": person, "owner_role": role}
    counterpart = pair.mentor_id if role == "mentee" else pair.mentee_id
    terms: dict[str, Any] = {
        "title": title,
        "measure": measure,
        "counterpart_id": counterpart,
        "deadline": contract.Deadline(
            date=due_at.date().isoformat(), time_zone="Europe/Berlin", cutoff="17:00"
        ),
    }
    history.add(pair.goal_set(**{**owner, **terms}, due_at=due_at), set_at)
    revision = 1
    if rng.random() < 0.35:
        at = set_at + days * 0.6 * DAY
        if at < now:
            due_at, revision = due_at + 14 * DAY, 2
            terms["deadline"] = contract.Deadline(
                date=due_at.date().isoformat(), time_zone="Europe/Berlin", cutoff="17:00"
            )
            history.add(
                contract.GoalRevised(
                    **pair.common,
                    **owner,
                    **terms,
                    due_at=due_at,
                    check_in_every_days=7,
                    revision=revision,
                    changed=["deadline"],
                    eased=True,
                    revised_by=person,
                    agreed_by=[counterpart],
                ),
                at,
            )
    decided: dict[str, Any] = {**pair.common, **owner, "revision": revision, "due_at": due_at}
    keeps = rng.random() < keen
    finish = due_at - rng.uniform(0.5, 6) * DAY
    _check_ins(rng, history, pair, owner, measure, set_at, min(now, due_at), (due_at - set_at), keen, keeps)
    if keeps and finish < now:
        history.add(contract.GoalMet(**decided, met_at=finish, days_early=(due_at - finish) / DAY), finish)
    elif not keeps and due_at < now:
        missed_at = due_at + timedelta(minutes=1)
        history.add(contract.GoalMissed(**decided, missed_at=missed_at, fraction=0.6), missed_at)
        back = missed_at + 2 * DAY
        if index == 0 and rng.random() < 0.6 and back < now:
            retracted = contract.GoalMissRetracted(
                **decided, missed_at=missed_at, retracted_at=back, because="late_evidence"
            )
            history.add(retracted, back)
            met_at = due_at - 0.5 * DAY
            history.add(contract.GoalMet(**decided, met_at=met_at, days_early=0.5), back)


def _check_ins(
    rng: Random,
    history: History,
    pair: Pair,
    owner: dict[str, Any],
    measure: contract.Measure,
    set_at: datetime,
    until: datetime,
    span: timedelta,
    keen: float,
    keeps: bool,
) -> None:
    at = set_at
    while True:
        at += rng.uniform(4, 8) * DAY
        if at >= until:
            return
        if rng.random() > keen + 0.15:
            lapsed = contract.CheckInLapsed(
                **pair.common, **owner, expected_by=at, period=at.date().isoformat()
            )
            history.add(lapsed, at + timedelta(minutes=1))
            continue
        share = min(1.0, (at - set_at) / span * (1.15 if keeps else 0.6))
        checkin_id = uuid7()
        confidence = max(0, min(10, round((8 if keeps else 4.5) + rng.uniform(-2, 2))))
        logged = pair.logged(
            checkin_id,
            goal_id=owner["goal_id"],
            author_id=owner["owner_id"],
            author_role=owner["owner_role"],
            occurred_at=at,
            logged_at=at,
            progress=_progress(measure, share),
            confidence=confidence,
            realistic=False if not keeps and rng.random() < 0.25 else None,
        )
        history.add(logged, at)
        acknowledged_at = at + rng.uniform(0.1, 1.5) * DAY
        if rng.random() < keen and acknowledged_at < until:
            role: Any = "mentor" if owner["owner_role"] == "mentee" else "mentee"
            history.add(
                contract.CheckInAcknowledged(
                    **pair.common,
                    checkin_id=checkin_id,
                    goal_id=owner["goal_id"],
                    acknowledged_by=pair.mentor_id if role == "mentor" else pair.mentee_id,
                    acknowledger_role=role,
                    acknowledged_at=acknowledged_at,
                ),
                acknowledged_at,
            )
        _nudge(rng, history, pair, owner, at)


def _progress(measure: contract.Measure, share: float) -> contract.Progress:
    if measure.kind == "number":
        start, end = measure.baseline or 0.0, measure.target or 0.0
        return contract.Progress(value=round(start + (end - start) * share, 1))
    if measure.kind == "milestones":
        names = measure.milestones or []
        return contract.Progress(milestones=names[: int(len(names) * share)])
    return contract.Progress(done=False)


def _nudge(rng: Random, history: History, pair: Pair, owner: dict[str, Any], checked_in_at: datetime) -> None:
    """A nudge some time before a check-in; those held out at random take longer to check in."""
    chance = rng.random()
    at = checked_in_at - rng.uniform(0.2, 5 if chance < 0.25 else 2.6) * DAY
    values: dict[str, Any] = {
        **pair.common,
        "nudge_id": uuid7(),
        "recipient_id": owner["owner_id"],
        "goal_id": owner["goal_id"],
        "kind": rng.choice(KINDS),
        "period": at.date().isoformat(),
        "at": at,
    }
    if chance < 0.35:
        reason = "holdout" if chance < 0.25 else rng.choice(("checked_in", "absent"))
        history.add(contract.NudgeSuppressed(**values, reason=reason), at)
    else:
        history.add(contract.NudgeSent(**values, message_id=uuid7(), channel="email"), at)
