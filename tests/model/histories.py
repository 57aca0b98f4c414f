"""Random steps that make sense now and then: who draws them decides how (Hypothesis, or a seed)."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from random import Random
from typing import Protocol, TypeVar

from tests.model import instants
from tests.model.accountability import DISPUTABLE, Accountability
from tests.model.decisions import Goal
from tests.model.evidence import GRACE
from tests.model.steps import (
    Acknowledge,
    Answer,
    Deadline,
    Dispute,
    Log,
    Measure,
    Progress,
    Revise,
    Rule,
    Say,
    SetGoal,
    Step,
    Terms,
    Turn,
)
from tests.model.terms import AHEAD, BACKDATE, EASE_WORKDAYS, due_at

T = TypeVar("T")

MINUTE = timedelta(minutes=1)
HOUR = timedelta(hours=1)
MILLISECOND = timedelta(milliseconds=1)
ZONES = ("UTC", "Europe/Berlin", "America/New_York", "Australia/Lord_Howe", "Asia/Beirut")
CUTOFFS = ("24:00", "17:00", "02:30", "00:20:30")
MILESTONES = ("draft", "review", "final", "print")
MOST_GOALS = 8


class Draws(Protocol):
    """Where chance comes from."""

    def one_of(self, choices: Sequence[T]) -> T: ...

    def number(self, low: int, high: int) -> int: ...


class Seeded:
    """Chance that comes of a seed."""

    def __init__(self, seed: int | str) -> None:
        self._random = Random(seed)

    def one_of(self, choices: Sequence[T]) -> T:
        return self._random.choice(choices)

    def number(self, low: int, high: int) -> int:
        return self._random.randint(low, high)


class Drawn:
    """Steps for a model as it stands.

    `exact`: instants may lie a millisecond beside those that matter; without, they keep a distance that a real
    clock, which goes on meanwhile, does not bridge.
    """

    def __init__(self, draws: Draws, model: Accountability, *, prefix: str = "", exact: bool = True) -> None:
        self._draws = draws
        self._model = model
        self._prefix = prefix
        self._exact = exact
        self._named = 0

    # -- steps

    def set_goal(self, now: datetime) -> SetGoal:
        people = list(self._model.people.values())
        by = self._one_of(people)
        owner = by if self._chance(3, 4) else self._one_of(people)
        terms = Terms(
            self._name("title"), self._measure(), self._deadline(now), self._one_of((1, 1, 2, 3, 7))
        )
        return SetGoal(by, self._name("goal"), owner, terms, self._name("proposal"))

    def revise(self, now: datetime) -> Revise:
        goal = self._goal()
        asks = self._one_of(("deadline", "deadline", "measure", "every", "title", "both"))
        return Revise(
            by=self._of_pair(goal),
            goal=goal.name,
            proposal=self._name("proposal"),
            title=self._name("title") if asks == "title" else None,
            measure=self._measure(goal.terms.measure) if asks in ("measure", "both") else None,
            deadline=self._deadline(now, goal.terms.deadline) if asks in ("deadline", "both") else None,
            every=self._one_of((1, 2, 3, 7)) if asks == "every" else None,
        )

    def answer(self, now: datetime) -> Answer:
        made = [(goal, each) for goal in self._goals() for each in goal.proposals]
        waiting = [(goal, each) for goal, each in made if each.open]
        goal, proposal = self._one_of(waiting if waiting and self._chance(9, 10) else made)
        by = proposal.waits_for if self._chance(4, 5) else self._anybody()
        return Answer(by, goal.name, proposal.name, accepts=self._chance(3, 4))

    def say(self, now: datetime) -> Say:
        goal = self._goal()
        outcome = self._one_of(("met", "met", "dropped", "missed"))
        by = self._of_pair(goal)
        if outcome == "met":
            return Say(by, goal.name, "met", self._name("said"), self._occurred_at(goal, now))
        return Say(by, goal.name, "dropped" if outcome == "dropped" else "missed")

    def dispute(self, now: datetime) -> Dispute:
        goal = self._one_of([each for each in self._goals() if each.miss_stands] or self._goals())
        by = goal.owner if self._chance(5, 6) else self._anybody()
        latest = min(goal.due_at, now)
        before = self._one_of((MILLISECOND, HOUR, 3 * instants.DAY))
        occurred_at = latest - before if self._chance(5, 6) else goal.due_at
        return Dispute(by, goal.name, min(occurred_at, now))

    def rule(self, now: datetime) -> Rule:
        goal = self._one_of([each for each in self._goals() if each.dispute == "open"] or self._goals())
        by = goal.counterpart if self._chance(5, 6) else self._anybody()
        return Rule(by, goal.name, upheld=self._chance(1, 2))

    def log(self, now: datetime) -> Log:
        goal = self._goal() if self._model.goals and self._chance(7, 8) else None
        sensitive = self._chance(1, 12)
        progress = None
        if goal is not None and not sensitive and self._chance(5, 6):
            progress = self._progress(goal.terms.measure if self._chance(9, 10) else self._measure())
        return Log(
            by=self._of_pair(goal) if goal is not None else self._anybody(),
            check_in=self._name("check-in"),
            goal=goal.name if goal is not None else None,
            occurred_at=self._occurred_at(goal, now),
            progress=progress,
            confidence=None if sensitive else self._one_of((None, 0, 3, 7, 10)),
            realistic=None if sensitive else self._one_of((None, None, True, False)),
            attainable=None if sensitive else self._one_of((None, None, True, False)),
            sensitive=sensitive,
        )

    def acknowledge(self, now: datetime) -> Acknowledge:
        check_ins = list(self._model.check_ins.values())
        waiting = [each for each in check_ins if not each.acknowledged_by and not each.sensitive]
        check_in = self._one_of(waiting if waiting and self._chance(4, 5) else check_ins)
        by = self._anybody()
        if check_in.goal is not None and self._chance(4, 5):
            goal = self._model.goals[check_in.goal]
            by = goal.counterpart if check_in.author == goal.owner else goal.owner
        return Acknowledge(by, check_in.name)

    def turn(self, now: datetime) -> Turn:
        if self._model.state == "paused":
            return Turn(self._one_of(("resumed", "resumed", "resumed", "paused", "ended")))
        if any(self._model.is_being_decided(goal, now) for goal in self._goals()):
            return Turn(self._one_of(("paused", "ended")))
        return Turn(self._one_of(("paused",) * 10 + ("resumed", "ended")))

    def any(self, now: datetime) -> Step:
        """Some step that the model's state allows to be thought of."""
        return self._one_of([*self._decisions(), *self._reports()])(now)

    def decision(self, now: datetime) -> Step:
        """Some step that goals answers at once, from what it knows."""
        return self._one_of(self._decisions())(now)

    def report(self, now: datetime) -> Step | None:
        """Some step that checkins answers, if there is something to report on."""
        reports = self._reports()
        return self._one_of(reports)(now) if reports else None

    def _decisions(self) -> list[Callable[[datetime], Step]]:
        model = self._model
        goals = list(model.goals.values())
        kinds: list[Callable[[datetime], Step]] = []
        if len(goals) < MOST_GOALS:
            alive = [goal for goal in goals if goal.state == "active"]
            kinds += [self.set_goal] * (12 if len(alive) < 2 else 2)
        if goals:
            kinds += [self.revise] * 7 + [self.say] * 2
            kinds += [self.turn] * (6 if model.state == "paused" else 1)
        if any(goal.proposals for goal in goals):
            kinds += [self.answer] * 5
        if any(goal.miss_stands for goal in goals):
            kinds += [self.dispute] * 5
        if any(goal.dispute == "open" for goal in goals):
            kinds += [self.rule] * 10
        return kinds

    def _reports(self) -> list[Callable[[datetime], Step]]:
        model = self._model
        kinds: list[Callable[[datetime], Step]] = []
        if model.goals:
            kinds += [self.log] * (17 if any(goal.miss_stands for goal in model.goals.values()) else 12)
        if model.check_ins:
            kinds += [self.acknowledge] * 5
        return kinds

    def later(self, now: datetime, lapses_at: Sequence[datetime] = ()) -> datetime:
        """An instant after `now`: soon, or where something is decided, or beside it."""
        plain = [now + 20 * MINUTE, now + 5 * HOUR, now + instants.DAY, now + 3 * instants.DAY]
        besides = [
            timedelta(),
            MILLISECOND,
            -MILLISECOND,
            GRACE,
            GRACE - MILLISECOND,
            GRACE + 5 * MILLISECOND * 1000,
        ]
        farthest = now + 30 * instants.DAY
        if not self._exact:
            besides = [timedelta(seconds=15), -2 * MINUTE, 5 * MINUTE]
            plain, farthest = plain[:3], now + 3 * instants.DAY
        mattering: list[datetime] = [*lapses_at]
        for goal in self._model.goals.values():
            deadline = goal.terms.deadline
            horizon = instants.workdays_before(deadline.day, EASE_WORKDAYS)
            mattering += [goal.due_at, instants.due_at(horizon, deadline.zone, deadline.cutoff)]
            if goal.missed_at is not None:
                mattering.append(goal.missed_at + DISPUTABLE)
        beside = self._one_of(besides)
        coming = sorted(at + beside for at in mattering if now < at + beside <= farthest)
        return self._one_of(coming[:3]) if coming and self._chance(2, 3) else self._one_of(plain)

    # -- parts

    def _measure(self, like: Measure | None = None) -> Measure:
        kind = (
            like.kind
            if like is not None and self._chance(3, 4)
            else self._one_of(("number", "milestones", "done"))
        )
        if kind == "number":
            start, target = self._one_of(((None, 4.0), (None, 8.0), (2.0, 6.0), (10.0, 5.0), (None, -3.0)))
            return Measure("number", start=start, target=target)
        if kind == "milestones":
            return Measure("milestones", milestones=MILESTONES[: self._draws.number(1, 4)])
        return Measure("done")

    def _progress(self, measure: Measure) -> Progress:
        if measure.kind == "number":
            numbers = (measure.target or 0.0, measure.target or 0.0, 3.0, 5.5, -1.0, 100.0)
            return Progress("number", number=self._one_of(numbers))
        if measure.kind == "milestones":
            most = len(measure.milestones) if self._chance(7, 8) else len(MILESTONES)
            reached = measure.milestones if self._chance(1, 2) else MILESTONES[: self._draws.number(0, most)]
            return Progress("milestones", reached=reached)
        return Progress("done", done=self._chance(4, 5))

    def _deadline(self, now: datetime, present: Deadline | None = None) -> Deadline:
        if present is not None and self._chance(1, 2):
            days = self._one_of((-1, 1, 1, 2, 2, 5, 0))
            other = replace(present, day=present.day + days * instants.DAY, cutoff=self._one_of(CUTOFFS))
            if due_at(other) > now or self._chance(1, 10):
                return other
        zone = self._one_of(ZONES)
        ahead = self._one_of((0, 1, 1, 2, 2, 3, 3, 4, 6, 9, 15, -1))
        return Deadline(instants.day_in(zone, now) + ahead * instants.DAY, zone, self._one_of(CUTOFFS))

    def _occurred_at(self, goal: Goal | None, now: datetime) -> datetime | None:
        if self._chance(1, 10):
            edges = [now - BACKDATE, now - BACKDATE - MILLISECOND, now + AHEAD, now + AHEAD + MILLISECOND]
            return self._one_of(edges if self._exact else [now - 8 * instants.DAY, now + 2 * HOUR])
        choices: list[datetime | None] = [None, None, now - HOUR, now - 2 * instants.DAY, now + 3 * MINUTE]
        if goal is not None:
            besides = [-MILLISECOND, timedelta(), -HOUR] * 2
            near = [goal.due_at + beside for beside in besides]
            choices += [at for at in near if now - BACKDATE + HOUR < at <= now]
        return self._one_of(choices)

    def _goals(self) -> list[Goal]:
        return list(self._model.goals.values())

    def _goal(self) -> Goal:
        goals = self._goals()
        alive = [goal for goal in goals if goal.state in ("active", "missed")]
        return self._one_of(alive if alive and self._chance(4, 5) else goals)

    def _of_pair(self, goal: Goal) -> str:
        return (
            self._one_of((goal.owner, goal.owner, goal.counterpart))
            if self._chance(9, 10)
            else self._anybody()
        )

    def _anybody(self) -> str:
        return self._one_of(list(self._model.people.values()))

    def _name(self, what: str) -> str:
        self._named += 1
        return f"{self._prefix}{what}-{self._named}"

    def _chance(self, some: int, of: int) -> bool:
        return self._draws.number(1, of) <= some

    def _one_of(self, choices: Sequence[T]) -> T:
        return self._draws.one_of(choices)
