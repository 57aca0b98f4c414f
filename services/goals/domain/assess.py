"""Whether a goal is SMART, by plain rules. Advice never blocks, and stores nothing."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import datetime, timedelta

from services.goals.domain.deadline import Deadline
from services.goals.domain.progress import Measure

DAY = timedelta(days=1)
VAGUE = frozenset(
    [
        "better",
        "more",
        "some",
        "improve",
        "improved",
        "stuff",
        "things",
        "various",
        "etc",
        "maybe",
        "try",
        "somehow",
        "good",
        "nice",
        "best",
    ]
)
_WORD = re.compile(r"[^\W_]+(?:['’-][^\W_]+)*")


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """Whether one letter of SMART holds, and what would help."""

    ok: bool
    advice: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Assessment:
    """Specific, measurable, attainable, relevant, time-bound."""

    specific: Verdict
    measurable: Verdict
    attainable: Verdict
    relevant: Verdict
    time_bound: Verdict


@dataclass(frozen=True, slots=True, kw_only=True)
class Draft:
    """As much of a goal as there is."""

    title: str | None = None
    measure: Measure | None = None
    deadline: Deadline | None = None
    check_in_every_days: int | None = None
    why: str | None = None


def assess(draft: Draft, now: datetime) -> Assessment:
    """Assess a goal as of `now`."""
    return Assessment(
        specific=_specific(draft),
        measurable=_measurable(draft.measure),
        attainable=_attainable(draft, now),
        relevant=_relevant(draft),
        time_bound=_time_bound(draft.deadline, now),
    )


def _specific(draft: Draft) -> Verdict:
    words = _words(draft.title)
    if len(words) < 3:
        return _no("Say in at least three words what will be different, and where.")
    vague = [word for word in words if word in VAGUE]
    if vague and (draft.measure is None or draft.measure.kind == "done"):
        return _no(f"'{vague[0]}' can mean anything: name what exactly, or measure it.")
    return _yes("It says what it is about.")


def _measurable(measure: Measure | None) -> Verdict:
    if measure is None:
        return _no("Measure it: by a number, by milestones, or by being done.")
    if measure.kind == "number" and measure.target is None:
        return _no("Name the number to reach.")
    if measure.kind == "number" and not measure.unit:
        return _no("Name the unit that is counted.")
    if measure.kind == "milestones" and len(measure.milestones or ()) < 2:
        return _no("Name at least two milestones, so that there is a way to be on.")
    if measure.kind == "done":
        return _yes("Agree with your counterpart what done looks like.")
    return _yes("Progress can be told from check-ins.")


def _attainable(draft: Draft, now: datetime) -> Verdict:
    due_at = _due_at(draft.deadline)
    if due_at is None or due_at <= now:
        return _no("Without time ahead nothing can be attained: set a deadline.")
    left = due_at - now
    milestones = len(draft.measure.milestones or ()) if draft.measure is not None else 0
    if milestones and left / milestones < DAY:
        return _no("That is more than a milestone a day: fewer of them, or more time.")
    if draft.check_in_every_days is not None and left < draft.check_in_every_days * DAY:
        return _no("No check-in is expected before the deadline: check in more often, or take more time.")
    return _yes("There is time for at least one check-in on the way.")


def _relevant(draft: Draft) -> Verdict:
    if len(_words(draft.why)) < 3:
        return _no("Say why it matters to you; your counterpart can help better then.")
    return _yes("It says why it matters.")


def _time_bound(deadline: Deadline | None, now: datetime) -> Verdict:
    due_at = _due_at(deadline)
    if deadline is None or due_at is None:
        return _no("Set a date by which it is done.")
    if due_at <= now:
        return _no("The date has passed: set one ahead.")
    if due_at - now > 366 * DAY:
        return _no("More than a year away: set a nearer goal on the way to it.")
    return _yes("It has a date, near enough to plan for.")


def _due_at(deadline: Deadline | None) -> datetime | None:
    try:
        return deadline.due_at if deadline is not None else None
    except ValueError:
        return None


def _words(text: str | None) -> list[str]:
    return [word.lower() for word in _WORD.findall(text or "")]


def _yes(advice: str) -> Verdict:
    return Verdict(ok=True, advice=advice)


def _no(advice: str) -> Verdict:
    return Verdict(ok=False, advice=advice)
