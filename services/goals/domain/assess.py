"""Whether a goal is SMART, by plain rules. Advice never blocks, and stores nothing.

`RULES` below is all there is to it: for each letter what may be wanting, in the order in which it is said, and the
advice that a mentor would give then.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta

from services.goals.domain.deadline import Deadline
from services.goals.domain.progress import Measure

DAY = timedelta(days=1)
WORDS_AT_LEAST = 3
MILESTONES_AT_LEAST = 2
FARTHEST = 366 * DAY
PACE_AFTER = 7 * DAY
"""How long a goal has to have run before its pace tells anything."""
FASTER_AT_MOST = 2.0
"""How many times the pace so far may be asked for."""

# What sounds like an aim and cannot be told from its opposite, unless it is measured.
VAGUE = frozenset((
    "better", "best", "more", "some", "improve", "improved", "stuff", "things",
    "various", "etc", "maybe", "try", "somehow", "good", "nice",
))  # fmt: skip
# What has no end: an activity, where an outcome is meant.
ENDLESS = ("work on", "focus on", "think about", "look into", "deal with", "continue", "keep")
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
class Pace:
    """How a goal has gone so far: `fraction` of the way from `since` to `at`."""

    since: datetime
    at: datetime
    fraction: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Draft:
    """As much of a goal as there is; `pace` when it runs already."""

    title: str | None = None
    measure: Measure | None = None
    deadline: Deadline | None = None
    check_in_every_days: int | None = None
    why: str | None = None
    pace: Pace | None = None


def assess(draft: Draft, now: datetime) -> Assessment:
    """Assess a goal as of `now`."""
    return Assessment(**{letter: _first_wanting(letter, draft, now) for letter in RULES})


# --- what may be wanting


def _is_too_short(draft: Draft, now: datetime) -> bool:
    return len(_words(draft.title)) < WORDS_AT_LEAST


def _is_vague(draft: Draft, now: datetime) -> bool:
    return not _is_counted(draft) and not VAGUE.isdisjoint(_words(draft.title))


def _has_no_end(draft: Draft, now: datetime) -> bool:
    said = " ".join(_words(draft.title)) + " "
    return not _is_counted(draft) and said.startswith(tuple(f"{phrase} " for phrase in ENDLESS))


def _has_no_measure(draft: Draft, now: datetime) -> bool:
    return draft.measure is None


def _has_no_target(draft: Draft, now: datetime) -> bool:
    return _kind(draft) == "number" and draft.measure is not None and draft.measure.target is None


def _has_no_unit(draft: Draft, now: datetime) -> bool:
    return _kind(draft) == "number" and draft.measure is not None and not draft.measure.unit


def _has_few_milestones(draft: Draft, now: datetime) -> bool:
    return _kind(draft) == "milestones" and _milestones(draft) < MILESTONES_AT_LEAST


def _has_no_time(draft: Draft, now: datetime) -> bool:
    return _left(draft, now) <= timedelta(0)


def _asks_a_milestone_a_day(draft: Draft, now: datetime) -> bool:
    return _milestones(draft) > 0 and _left(draft, now) / _milestones(draft) < DAY


def _is_due_before_a_check_in(draft: Draft, now: datetime) -> bool:
    every = draft.check_in_every_days
    return every is not None and _left(draft, now) < every * DAY


def _asks_another_pace(draft: Draft, now: datetime) -> bool:
    pace = draft.pace
    if pace is None or not _is_counted(draft) or pace.at - pace.since < PACE_AFTER:
        return False
    left = _left(draft, pace.at)
    if pace.fraction >= 1 or left <= timedelta(0):
        return False
    so_far = pace.fraction / ((pace.at - pace.since) / DAY)
    return (1 - pace.fraction) / (left / DAY) > FASTER_AT_MOST * so_far


def _has_no_reason(draft: Draft, now: datetime) -> bool:
    return len(_words(draft.why)) < WORDS_AT_LEAST


def _has_no_date(draft: Draft, now: datetime) -> bool:
    return _due_at(draft) is None


def _has_passed(draft: Draft, now: datetime) -> bool:
    return _left(draft, now) <= timedelta(0)


def _is_far_away(draft: Draft, now: datetime) -> bool:
    return _left(draft, now) > FARTHEST


# --- the rules


@dataclass(frozen=True, slots=True)
class Rule:
    """What may be wanting, and what to say then."""

    wanting: Callable[[Draft, datetime], bool]
    advice: str


@dataclass(frozen=True, slots=True)
class Letter:
    """The rules of one letter, and what to say when nothing is wanting."""

    rules: tuple[Rule, ...]
    fine: str
    fine_when_done: str | None = None


RULES: dict[str, Letter] = {
    "specific": Letter(
        (
            Rule(_is_too_short, "Say in at least three words what will be different, and where."),
            Rule(_has_no_end, "That can go on for ever: name what is there when it is done."),
            Rule(
                _is_vague,
                "Words such as 'better' or 'more' can mean anything: name what exactly, or measure it.",
            ),
        ),
        fine="It says what it is about.",
    ),
    "measurable": Letter(
        (
            Rule(_has_no_measure, "Measure it: by a number, by milestones, or by being done."),
            Rule(_has_no_target, "Name the number to reach."),
            Rule(_has_no_unit, "Name the unit that is counted."),
            Rule(_has_few_milestones, "Name at least two milestones, so that there is a way to be on."),
        ),
        fine="Progress can be told from check-ins.",
        fine_when_done="Agree with your counterpart what done looks like.",
    ),
    "attainable": Letter(
        (
            Rule(_has_no_time, "Without time ahead nothing can be attained: set a deadline."),
            Rule(
                _asks_a_milestone_a_day,
                "That is more than a milestone a day: fewer of them, or more time.",
            ),
            Rule(
                _is_due_before_a_check_in,
                "No check-in is expected before the deadline: check in more often, or take more time.",
            ),
            Rule(
                _asks_another_pace,
                "What is left asks for more than twice the pace so far: talk about less, or about more time.",
            ),
        ),
        fine="There is time for at least one check-in on the way.",
    ),
    "relevant": Letter(
        (Rule(_has_no_reason, "Say why it matters to you; your counterpart can help better then."),),
        fine="It says why it matters.",
    ),
    "time_bound": Letter(
        (
            Rule(_has_no_date, "Set a date by which it is done."),
            Rule(_has_passed, "The date has passed: set one ahead."),
            Rule(_is_far_away, "More than a year away: set a nearer goal on the way to it."),
        ),
        fine="It has a date, near enough to plan for.",
    ),
}


def _first_wanting(name: str, draft: Draft, now: datetime) -> Verdict:
    letter = RULES[name]
    for rule in letter.rules:
        if rule.wanting(draft, now):
            return Verdict(ok=False, advice=rule.advice)
    if letter.fine_when_done is not None and _kind(draft) == "done":
        return Verdict(ok=True, advice=letter.fine_when_done)
    return Verdict(ok=True, advice=letter.fine)


# --- what they look at


def _kind(draft: Draft) -> str | None:
    return draft.measure.kind if draft.measure is not None else None


def _is_counted(draft: Draft) -> bool:
    return _kind(draft) in ("number", "milestones")


def _milestones(draft: Draft) -> int:
    return len(draft.measure.milestones or ()) if draft.measure is not None else 0


def _due_at(draft: Draft) -> datetime | None:
    try:
        return draft.deadline.due_at if draft.deadline is not None else None
    except ValueError:
        return None


def _left(draft: Draft, at: datetime) -> timedelta:
    """How much time is left; none without a deadline."""
    due_at = _due_at(draft)
    return due_at - at if due_at is not None else timedelta(0)


def _words(text: str | None) -> list[str]:
    return [word.lower() for word in _WORD.findall(text or "")]
