"""What the dashboard says: the numbers, signals, kinds and events in words."""

from __future__ import annotations

from typing import Any

from services.metrics.domain.withheld import FEWEST

MEANINGS = {
    "follow_through": "Goals met in time, of all goals met in time or missed. A goal that was renegotiated before its "
    "deadline is not missed, and a miss that was taken back counts no more. A goal met after its deadline is "
    "“met late”, and still missed.",
    "check_in_rate": "Check-ins that came, of those that came or lapsed. One lapses when a goal expects a check-in by "
    "a day and neither the owner nor the counterpart logs one.",
    "engaged": "People who logged or acknowledged at least one check-in, of all mentors, mentees and leaders of the "
    "mentorships in these days.",
    "open": "Goals set and, by all that counts up to the last of these days, neither met, missed nor dropped. "
    "“Renegotiated” are revisions by people; that a pause moved a deadline is none.",
    "confidence": "The mean of the confidence, 0 to 10, that check-ins told.",
}
"""How each large number is counted, shown where it stands."""

EXPLAINED = {
    "follow_through": "follow_through",
    "check_in_rate": "check_in_rate",
    "engaged": None,
    "open": "goals.open",
    "confidence": "confidence_mean",
}
"""The name that the events behind a large number are asked for by."""

SIGNALS = {
    "due_soon": "due within a week",
    "behind_pace": "behind pace",
    "check_in_lapsed": "check-in lapsed",
    "confidence_low": "low confidence",
    "confidence_falling": "falling confidence",
    "unrealistic": "said to be unrealistic",
    "unattainable": "said to be unattainable",
}

SIGNAL_MEANINGS = {
    "due within a week": "its deadline is at most 7 days ahead",
    "behind pace": "a quarter of the time is gone, and progress is under three quarters of the share of time gone",
    "check-in lapsed": "a check-in it expected did not come, and none came since",
    "low confidence": "its owner's last confidence is 3 or less",
    "falling confidence": "its owner's last confidence is 3 or more below their best of the 28 days before",
    "said to be unrealistic or unattainable": "its owner's last answer to that question is no",
}

KINDS = {
    "agree_expectations": "Agree expectations",
    "review_expectations": "Review expectations",
    "check_in_due": "Check-in due",
    "check_in_lapsed": "Check-in lapsed",
    "goal_due_soon": "Goal due soon",
    "goal_missed": "Goal missed",
    "goal_met": "Goal met",
    "miss_withdrawn": "Miss withdrawn",
    "acknowledge_check_in": "Acknowledge a check-in",
    "proposal_waiting": "Proposal waiting",
    "dispute_waiting": "Dispute waiting",
    "renegotiate": "Renegotiate",
}

STATES = {
    "proposed": "proposed, to be accepted",
    "active": "open",
    "met": "met",
    "missed": "missed",
    "dropped": "dropped",
    "declined": "declined",
}

EVENTS = {
    "GoalSet": "set",
    "GoalRevised": "revised",
    "RevisionProposed": "change proposed",
    "RevisionDeclined": "change declined",
    "GoalMet": "met",
    "GoalMissed": "missed",
    "GoalMissRetracted": "miss taken back",
    "GoalDropped": "dropped",
    "MissDisputed": "miss disputed",
    "DisputeRejected": "dispute rejected",
    "CheckInLogged": "check-in",
    "CheckInAcknowledged": "check-in acknowledged",
    "CheckInLapsed": "check-in lapsed",
}

FEW = f"withheld: they would tell of fewer than {FEWEST} people"


def percent(share: float | None) -> str:
    """A share for people: `83 %`, or a dash over nothing."""
    return "–" if share is None else f"{share * 100:.0f} %"


def points(effect: dict[str, Any] | None) -> str:
    """A difference of shares with its interval, in percentage points."""
    if effect is None:
        return "–"
    return f"{effect['difference'] * 100:+.0f} ({effect['low'] * 100:+.0f} to {effect['high'] * 100:+.0f})"
