"""The numbers of nudges: how many were sent, and how often the recipient did what was asked for.

A nudge is *answered* when, within 48 hours of it, its recipient did what it asks for. The same is told of those
held out at random, so that the effect of reminding can be seen; what chance alone would do is told by intervals at
95 %. A kind over 1 to 4 recipients is withheld and, where it is the only one, the smallest other too. Whom a nudge was
for is its recipient, also where it was not sent: a kind that all but came to nothing hides another as well as any, and
shown as zeros would leave the totals to it.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any, Literal

from msgspec import Struct
from msgspec import field as renamed

from services.metrics.domain.diary import Entry
from services.metrics.domain.goal import Line
from services.metrics.domain.mentorship import Deed
from services.metrics.domain.numbers import share
from services.metrics.domain.withheld import FEWEST, NOTICE

AT_ONCE, ANSWERED_WITHIN = timedelta(0), timedelta(hours=48)
CONFIDENCE_LEVEL = 0.95
HOLDOUT = "holdout"

Outcome = Literal["sent", "suppressed", "failed"]
OUTCOMES: dict[str, Outcome] = {
    "NudgeSent": "sent",
    "NudgeSuppressed": "suppressed",
    "NudgeFailed": "failed",
}


class Nudge(Struct, kw_only=True):
    """A nudge, as the last event of it tells."""

    nudge_id: str = renamed(name="_id")
    org_id: str
    program_id: str
    mentorship_id: str
    goal_id: str | None
    recipient_id: str
    kind: str
    period: str
    outcome: Outcome
    reason: str | None
    at: datetime


@dataclass(slots=True)
class Deeds:
    """What people did, by what it was done to: a goal's check-ins, a goal's own events, a mentorship's signatures."""

    entries: Mapping[str, Sequence[Entry]] = field(default_factory=dict)
    lines: Mapping[str, Sequence[Line]] = field(default_factory=dict)
    signatures: Mapping[str, Sequence[Deed]] = field(default_factory=dict)
    acknowledgements: Mapping[str, Sequence[Entry]] = field(default_factory=dict)


def numbers(nudges: Iterable[Nudge], deeds: Deeds) -> dict[str, Any]:
    """The answer for some nudges."""
    outcomes: Counter[str] = Counter()
    reasons: Counter[str] = Counter()
    kinds: dict[str, _Kind] = {}
    for nudge in nudges:
        outcomes[nudge.outcome] += 1
        kind = kinds.setdefault(nudge.kind, _Kind())
        kind.recipients.add(nudge.recipient_id)
        if nudge.outcome == "suppressed":
            reasons[nudge.reason or "unknown"] += 1
        if nudge.outcome == "sent" or nudge.reason == HOLDOUT:
            kind.count(nudge, answered(nudge, deeds))
    hidden = _withheld(kinds)
    return {
        "sent": outcomes["sent"],
        "failed": outcomes["failed"],
        "suppressed": dict(sorted(reasons.items())),
        "kinds": {
            name: dict(NOTICE) if name in hidden else kind.shown() for name, kind in sorted(kinds.items())
        },
    }


def to_few(nudges: Iterable[Nudge]) -> bool:
    """Whether these went to, or were meant for, 1 to 4 people."""
    return 0 < len({nudge.recipient_id for nudge in nudges}) < FEWEST


@dataclass(slots=True)
class _Kind:
    sent: int = 0
    answered: int = 0
    held_out: int = 0
    held_out_answered: int = 0
    recipients: set[str] = field(default_factory=set)

    def count(self, nudge: Nudge, was_answered: bool) -> None:
        if nudge.outcome == "sent":
            self.sent += 1
            self.answered += was_answered
        else:
            self.held_out += 1
            self.held_out_answered += was_answered

    def shown(self) -> dict[str, Any]:
        return {
            "sent": self.sent,
            "answered": self.answered,
            "answered_share": share(self.answered, self.sent),
            "held_out": self.held_out,
            "held_out_answered": self.held_out_answered,
            "held_out_share": share(self.held_out_answered, self.held_out),
            "answered_interval": interval(self.answered, self.sent),
            "held_out_interval": interval(self.held_out_answered, self.held_out),
            "effect": effect(self.answered, self.sent, self.held_out_answered, self.held_out),
        }


def interval(some: int, of: int) -> list[float] | None:
    """Wilson's score interval of a share at 95 %, as `[low, high]`; None over nothing."""
    if not of:
        return None
    # Its import takes most of a second, which a service that nobody asks for nudges need not spend.
    from scipy.stats import binomtest

    found = binomtest(some, of).proportion_ci(CONFIDENCE_LEVEL, method="wilson")
    return [float(found.low), float(found.high)]


def effect(answered: int, sent: int, held_out_answered: int, held_out: int) -> dict[str, float] | None:
    """How much more often those reminded did what was asked for, as a difference of shares with its interval.

    Newcombe's hybrid score interval (Statistics in Medicine 17, 1998, method 10), of the two Wilson intervals. An
    interval that holds 0 means that chance alone may explain it. None where nobody was reminded, or held out.
    """
    reminded, others = interval(answered, sent), interval(held_out_answered, held_out)
    if reminded is None or others is None:
        return None
    share_of_reminded, share_of_others = answered / sent, held_out_answered / held_out
    difference = share_of_reminded - share_of_others
    return {
        "difference": difference,
        "low": difference - math.hypot(share_of_reminded - reminded[0], others[1] - share_of_others),
        "high": difference + math.hypot(reminded[1] - share_of_reminded, share_of_others - others[0]),
    }


def _withheld(kinds: Mapping[str, _Kind]) -> set[str]:
    hidden = {name for name, kind in kinds.items() if len(kind.recipients) < FEWEST}
    if len(hidden) == 1:
        others = [name for name in kinds if name not in hidden]
        if others:
            hidden.add(min(others, key=lambda name: (len(kinds[name].recipients), name)))
    return hidden


def answered(nudge: Nudge, deeds: Deeds) -> bool:
    """Whether the recipient did what the nudge asks for, within 48 hours of it."""
    asks = _ASKS.get(nudge.kind)
    return asks is not None and any(AT_ONCE <= at - nudge.at <= ANSWERED_WITHIN for at in asks(nudge, deeds))


def _check_in(nudge: Nudge, deeds: Deeds) -> Iterable[datetime]:
    for entry in deeds.entries.get(nudge.goal_id or "", ()):
        if entry.type == "CheckInLogged" and entry.by == nudge.recipient_id:
            yield entry.time


def _acknowledgement(nudge: Nudge, deeds: Deeds) -> Iterable[datetime]:
    for entry in deeds.acknowledgements.get(nudge.period, ()):
        if entry.by == nudge.recipient_id:
            yield entry.time


def _revision(nudge: Nudge, deeds: Deeds) -> Iterable[datetime]:
    for line in deeds.lines.get(nudge.goal_id or "", ()):
        if line.type in ("GoalRevised", "RevisionProposed") and line.by == nudge.recipient_id:
            yield line.time


def _dispute(nudge: Nudge, deeds: Deeds) -> Iterable[datetime]:
    for line in deeds.lines.get(nudge.goal_id or "", ()):
        if line.type == "MissDisputed" and line.by == nudge.recipient_id:
            yield line.time


def _decision(nudge: Nudge, deeds: Deeds) -> Iterable[datetime]:
    """Of a proposal: what it proposed came about, or the recipient declined."""
    for line in deeds.lines.get(nudge.goal_id or "", ()):
        if line.of == nudge.period and (
            line.type in ("GoalSet", "GoalRevised")
            or (line.type == "RevisionDeclined" and line.by == nudge.recipient_id)
        ):
            yield line.time


def _ruling(nudge: Nudge, deeds: Deeds) -> Iterable[datetime]:
    for line in deeds.lines.get(nudge.goal_id or "", ()):
        if line.of == nudge.period and line.type in ("DisputeRejected", "GoalMissRetracted"):
            yield line.time


def _signature(nudge: Nudge, deeds: Deeds) -> Iterable[datetime]:
    for deed in deeds.signatures.get(nudge.mentorship_id, ()):
        if deed.by == nudge.recipient_id:
            yield deed.at


def _any_of(
    *asks: Callable[[Nudge, Deeds], Iterable[datetime]],
) -> Callable[[Nudge, Deeds], Iterable[datetime]]:
    return lambda nudge, deeds: (at for ask in asks for at in ask(nudge, deeds))


_ASKS: dict[str, Callable[[Nudge, Deeds], Iterable[datetime]]] = {
    "agree_expectations": _signature,
    "review_expectations": _signature,
    "check_in_due": _check_in,
    "check_in_lapsed": _check_in,
    "goal_due_soon": _any_of(_check_in, _revision),
    "goal_missed": _any_of(_check_in, _revision, _dispute),
    "acknowledge_check_in": _acknowledgement,
    "proposal_waiting": _decision,
    "dispute_waiting": _ruling,
    "renegotiate": _revision,
}
"""What each kind asks for; `goal_met` and `miss_withdrawn` tell, and ask for nothing."""
