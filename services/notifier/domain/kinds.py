"""The table of kinds: what is reminded of, when, and which of the reasons can make it pointless.

`rule` is what the ledger tells of why a reminder came about. The rest says how a kind behaves; `causes` says what
puts one on whose agenda, and `reasons` reads this table.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum


class Stale(Enum):
    """From when on a reminder is of no use any more."""

    AFTER_EXPECTED_BY = "after expected_by"
    AFTER_DUE_AT = "after due_at"
    AFTER_A_WEEK = "7 days after its time"


@dataclass(frozen=True, slots=True)
class Kind:
    """One row.

    Args:
        name: as in the contract.
        rule: when it is said, in the contract's words.
        met_ends_it: whether a goal that was met needs it no more.
        of_revision: whether it is about one revision of a goal, and over with the next.
        held_back: whether a request to renegotiate takes its place for a while.
        stale: when it is of no use any more.
        offers_check_in: whether its message links to the one-tap form.
        comes_again: whether more of it follows about the same goal: its message offers quiet about that goal.
        urgent: help: exempt from absence, snooze, budget and holdout, and in no number.
    """

    name: str
    rule: str
    met_ends_it: bool = False
    of_revision: bool = False
    held_back: bool = False
    stale: Stale = Stale.AFTER_A_WEEK
    offers_check_in: bool = False
    comes_again: bool = False
    urgent: bool = False


KINDS = {
    kind.name: kind
    for kind in (
        Kind("agree_expectations", "2 workdays after it began or a version was proposed, if not signed"),
        Kind("review_expectations", "09:00 on the review date"),
        Kind(
            "check_in_due",
            "09:00 on the last own workday up to the period's date",
            met_ends_it=True,
            held_back=True,
            stale=Stale.AFTER_EXPECTED_BY,
            offers_check_in=True,
            comes_again=True,
        ),
        Kind(
            "check_in_lapsed",
            "at the lapse to the owner; 2 workdays later to the counterpart if none came",
            met_ends_it=True,
            offers_check_in=True,
            comes_again=True,
        ),
        Kind(
            "goal_due_soon",
            "09:00, 2 workdays before the deadline's date",
            met_ends_it=True,
            of_revision=True,
            held_back=True,
            stale=Stale.AFTER_DUE_AT,
            offers_check_in=True,
            comes_again=True,
        ),
        Kind(
            "goal_missed",
            "at the miss to the owner; if it stands, 2 workdays later to the counterpart, 4 to the coordinator",
            met_ends_it=True,
            of_revision=True,
        ),
        Kind("goal_met", "at once", of_revision=True),
        Kind("miss_withdrawn", "at the retraction, to those who were told of the miss"),
        Kind(
            "acknowledge_check_in",
            "1 workday after an owner's check-in, if not acknowledged",
            comes_again=True,
        ),
        Kind("proposal_waiting", "at once", met_ends_it=True),
        Kind("dispute_waiting", "at once", of_revision=True),
        Kind(
            "renegotiate",
            "at a check-in of the owner's that says unrealistic or unattainable, or falls in confidence",
            met_ends_it=True,
            of_revision=True,
        ),
        Kind("help_requested", "at once", urgent=True),
    )
}
