"""The model and the pure rules side by side: each step, arrival and passing of time has to come out the same."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import Any

from tests.model import cadence
from tests.model.accountability import Accountability
from tests.model.counted import Counted
from tests.model.domain import COMMON, WRITE_TIMEOUT, Domain
from tests.model.evidence import fraction_at
from tests.model.histories import MILLISECOND
from tests.model.numbers import by, numbers, of_goal
from tests.model.steps import Acknowledge, Log, Refusal, Step, Told, Turn

MENTORSHIP = COMMON["mentorship_id"]
PEOPLE = {"mentor": "mentor-1", "mentee": "mentee-1", "leader": "leader-1"}


@dataclass(frozen=True)
class Sent:
    """Something that checkins published and goals has not taken in yet: a check-in, or an acknowledgement of one."""

    check_in: str
    logged_at: datetime
    by: str | None = None


class Pair:
    """Both, at the same instant.

    Checkins hears what goals says at once, but of an end only when goals next decides what is due.

    `sent` is on its way to goals, `taken_in` has arrived; `lost` is a dead letter, and what came after it in its
    subject waits, `parked`, until it is replayed.
    """

    def __init__(self, now: datetime, note: Callable[[str], object] = print) -> None:
        self.now = now
        self.model = Accountability(PEOPLE)
        self.domain = Domain(PEOPLE, now)
        self.sent: list[Sent] = []
        self.lost: list[Sent] = []
        self.parked: list[Sent] = []
        self.taken_in: list[Sent] = []
        self._note = note

    # -- what happens

    def take(self, step: Step) -> int:
        """Both take a step: 200, or the status that both refuse it with."""
        self._note(f"{self.now:%a %F %T.%f} {step}")
        if self.model.end_is_heard:
            self._hear()
        expected = _outcome(self.model, step, self.now)
        found = _outcome(self.domain, step, self.now)
        if isinstance(expected, int) or isinstance(found, int):
            status = expected if isinstance(expected, int) else 200
            assert (found if isinstance(found, int) else 200) == status, f"{step} at {self.now}"
            return status
        _same(expected, found)
        if step == Turn("ended"):
            self.model.end_is_heard = False
        if isinstance(step, Log) and step.goal is not None and not step.sensitive:
            self.sent.append(Sent(step.check_in, self.now))
        if isinstance(step, Acknowledge) and self.model.check_ins[step.check_in].goal is not None:
            waits = any(each.check_in == step.check_in for each in self.lost)
            notice = Sent(step.check_in, self.model.check_ins[step.check_in].logged_at, step.by)
            (self.parked if waits else self.sent).append(notice)
        return 200

    def arrives(self, sent: Sent) -> list[Told]:
        """Goals takes in what was sent, a replayed dead letter, or once more what it has already."""
        self._note(f"{self.now:%a %F %T.%f} goals takes in {sent}")
        if sent.by is None:
            expected = self.model.reaches_goals(sent.check_in, self.now)
            found = self.domain.reaches_goals(sent.check_in, self.now)
        else:
            expected = self.model.notice_reaches_goals(sent.check_in, sent.by, self.now)
            found = self.domain.notice_reaches_goals(sent.check_in, sent.by, self.now)
        _same(expected, found)
        for waiting in (self.sent, self.lost):
            if sent in waiting:
                waiting.remove(sent)
                self.taken_in.append(sent)
        behind = [each for each in self.parked if each.check_in == sent.check_in]
        self.sent += behind
        self.parked = [each for each in self.parked if each not in behind]
        return found

    def all_arrives(self) -> None:
        """Goals takes in all that is on its way."""
        while self.sent:
            self.arrives(self.sent[0])

    def loses(self, sent: Sent) -> None:
        """A check-in becomes a dead letter."""
        self.parked += [each for each in self.sent if each.check_in == sent.check_in and each != sent]
        self.sent = [each for each in self.sent if each.check_in != sent.check_in]
        self.lost.append(sent)

    def passes(self, to: datetime | timedelta) -> None:
        """It is later."""
        self.now = to if isinstance(to, datetime) else self.now + to
        self._note(f"it is {self.now:%a %F %T.%f}")

    def decides(self) -> list[Told]:
        """Both decide what is due: goals as far as the watermark goes, checkins what it has heard all of."""
        oldest = min((each.logged_at for each in self.sent if each.by is None), default=None)
        all_known_before = self.now - WRITE_TIMEOUT
        if oldest is not None:
            all_known_before = min(all_known_before, oldest)
        expected = self.model.time_passes(self.now, all_known_before)
        found = self.domain.time_passes(self.now, oldest)
        _same(expected, found)
        self.model.end_is_heard = True
        self._hear()
        for goal in self.model.goals:
            lapsed = [
                (each.period, each.expected_by) for each in self.domain.lapse(goal, self.now, self._past)
            ]
            assert lapsed == self.lapses(goal)
        return found

    def holds(self) -> None:
        """What is so at any time."""
        for name, goal in self.model.goals.items():
            found = self.domain.goals[name]
            state = (found.state, found.revision, found.due_at, found.met_at)
            assert state == (goal.state, goal.revision, goal.due_at, goal.met_at)
            assert (found.standing_miss is not None) == goal.miss_stands
            assert (found.dispute.state if found.dispute else None) == goal.dispute
            fraction = fraction_at(goal.known, goal.terms.measure, self.now)
            assert self.domain.fraction(name, self.now) == fraction
        misses = [
            (each.subject, each.data["revision"]) for each in self.domain.told if each.type == "GoalMissed"
        ]
        assert len(misses) == len(set(misses)), "a revision was missed twice"

    # -- what came of it

    def lapses(self, goal: str) -> list[tuple[date, datetime]]:
        """The lapses of a goal so far, as the model has them."""
        found = cadence.lapses(self.model.told, goal, self._logged(goal), self._past)
        return [(each.period, each.expected_by) for each in found]

    def lapsing(self) -> list[datetime]:
        """When lapses will be decided, as things stand."""
        far = self.now + timedelta(days=20)
        coming = [
            each.expected_by + cadence.GRACE
            for goal in self.model.goals
            for each in cadence.lapses(self.model.told, goal, self._logged(goal), far)
        ]
        return [at for at in coming if at > self.now]

    def of(self, goal: str) -> list[str]:
        """The types of a goal's events so far."""
        return [each.type for each in self.domain.told if each.subject == f"goal/{goal}"]

    def counts(self, first: date, last: date, as_of: date) -> None:
        """The pure rules of metrics count what the model counts: of each goal and person, and of the mentorship."""
        told = self._told_by_model()
        counted = Counted(self.domain.published)
        window = (first, last, as_of)
        assert counted.numbers("mentorships", MENTORSHIP, *window) == numbers(told, *window)
        for goal in self.model.goals:
            assert counted.numbers("goals", goal, *window) == numbers(of_goal(told, goal), *window)
        for person in PEOPLE.values():
            expected = numbers(told, *window, by(person))
            assert counted.numbers("people", person, *window) == expected

    def _told_by_model(self) -> list[Told]:
        """All that the model told, its lapses at the instants at which they were decided."""
        decided = {
            (each.data["goal_id"], each.data["expected_by"]): each.time
            for each in self.domain.told
            if each.type == "CheckInLapsed"
        }
        lapsed = [
            Told(f"cadence/{goal}", "CheckInLapsed", decided[goal, each.expected_by], {
                "goal_id": goal,
                "owner_id": each.owner,
                "owner_role": each.role,
                "expected_by": each.expected_by,
            })
            for goal in self.model.goals
            for each in cadence.lapses(self.model.told, goal, self._logged(goal), self._past)
        ]  # fmt: skip
        return [*self.model.told, *lapsed]

    # -- how

    @property
    def _past(self) -> datetime:
        """The last instant of which all is known: what happens now may have the same millisecond."""
        return self.now - MILLISECOND

    def _hear(self) -> None:
        while self.domain.news:
            self.domain.hear()

    def _logged(self, goal: str) -> list[datetime]:
        return [each.logged_at for each in self.model.check_ins.values() if each.goal == goal]


def _outcome(of: Accountability | Domain, step: Step, now: datetime) -> list[Told] | int:
    try:
        return of.take(step, now)
    except Refusal as refusal:
        return refusal.status


def _same(expected: Sequence[Told], found: Sequence[Told]) -> None:
    assert [_comparable(each) for each in found] == [_comparable(each) for each in expected]


def _comparable(told: Told) -> dict[str, Any]:
    return {"subject": told.subject, "type": told.type, "time": told.time, **told.data}
