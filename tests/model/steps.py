"""What people can do, and what the services say of it. People, goals, proposals and check-ins go by names."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import date, datetime
from typing import Any, Literal

ROLES = ("mentor", "mentee", "leader")
SYSTEM = "system"

Kind = Literal["number", "milestones", "done"]


@dataclass(frozen=True)
class Deadline:
    day: date
    zone: str
    cutoff: str


@dataclass(frozen=True)
class Measure:
    """`start` and `target` are a number's, `milestones` those of milestones."""

    kind: Kind
    start: float | None = None
    target: float | None = None
    milestones: tuple[str, ...] = ()


@dataclass(frozen=True)
class Terms:
    title: str
    measure: Measure
    deadline: Deadline
    every: int


@dataclass(frozen=True)
class Progress:
    """What was reported: a number, the milestones reached, or whether it is done, as `kind` says."""

    kind: Kind
    number: float = 0.0
    reached: tuple[str, ...] = ()
    done: bool = True


@dataclass(frozen=True)
class SetGoal:
    """`proposal` is the name of the proposal, should the goal be somebody else's."""

    by: str
    goal: str
    owner: str
    terms: Terms
    proposal: str


@dataclass(frozen=True)
class Revise:
    """What is not None is asked for."""

    by: str
    goal: str
    proposal: str
    title: str | None = None
    measure: Measure | None = None
    deadline: Deadline | None = None
    every: int | None = None


@dataclass(frozen=True)
class Answer:
    """A proposal is accepted or declined."""

    by: str
    goal: str
    proposal: str
    accepts: bool


@dataclass(frozen=True)
class Say:
    """`check_in` names the evidence that saying `met` is."""

    by: str
    goal: str
    outcome: Literal["met", "dropped", "missed"]
    check_in: str = ""
    occurred_at: datetime | None = None


@dataclass(frozen=True)
class Dispute:
    by: str
    goal: str
    occurred_at: datetime


@dataclass(frozen=True)
class Rule:
    """A dispute is upheld or rejected."""

    by: str
    goal: str
    upheld: bool


@dataclass(frozen=True)
class Log:
    """A check-in; without a goal it is about the mentorship."""

    by: str
    check_in: str
    goal: str | None
    occurred_at: datetime | None = None
    progress: Progress | None = None
    confidence: int | None = None
    realistic: bool | None = None
    attainable: bool | None = None
    sensitive: bool = False


@dataclass(frozen=True)
class Acknowledge:
    by: str
    check_in: str


@dataclass(frozen=True)
class Turn:
    """The mentorship is paused, resumed or ended."""

    to: Literal["paused", "resumed", "ended"]


Step = SetGoal | Revise | Answer | Say | Dispute | Rule | Log | Acknowledge | Turn


@dataclass(frozen=True)
class Told:
    """An event: what it is of, its type, when it was recorded, and its data without the mentorship's ids."""

    subject: str
    type: str
    time: datetime
    data: dict[str, Any] = field(hash=False)


class Refusal(Exception):
    """A step that is not allowed, by the status that a client gets."""

    def __init__(self, status: int) -> None:
        super().__init__(f"refused with {status}")
        self.status = status
