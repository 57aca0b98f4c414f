"""Random weeks of random people: whatever happens and whenever, the promises to them hold.

Zones, hours, workdays, budgets, absences, snoozes, pauses, outages and moves are drawn, over the two weekends on
which clocks change; what people do is drawn too, in an order that the other services would let them.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from typing import Any

import msgspec
from hypothesis import given, settings
from hypothesis import strategies as st

from services.notifier.domain.kinds import KINDS
from services.notifier.domain.person import EVERYWHERE, WEEKDAYS, Absence, Person, Reminder
from shared import events as contract
from shared.time import due_at, local_date
from tests.unit.notifier.story import COORDINATOR, LEADER, MENTEE, MENTOR, Story

STARTS = (datetime(2026, 10, 19, 7, tzinfo=UTC), datetime(2027, 3, 8, 7, tzinfo=UTC))
"""The weeks after these have the ends of summer time of Europe, America and Australia, and their beginnings."""
DAYS = 35
ZONES = ("Europe/Berlin", "America/New_York", "Australia/Lord_Howe", "Asia/Kathmandu", "Pacific/Apia", "UTC")
PEOPLE = (MENTEE, MENTOR, LEADER, COORDINATOR)
DECISIONS = {"active": ("met", "drop", "revise"), "missed": ("met", "dispute", "retract", "revise")}
"""What can be decided about a goal in a state."""
HOUR = timedelta(hours=1)
DAY = timedelta(days=1)


@dataclass(frozen=True)
class Said:
    """A message: when, to whom (as they were a moment before), what it tells, and after how many events."""

    at: datetime
    after: int
    person: Person
    told: tuple[Reminder, ...]

    @property
    def only_help(self) -> bool:
        return all(KINDS[reminder.kind].urgent for reminder in self.told)


@dataclass
class Weeks(Story):
    """A story that keeps what was said and done, to be held against each other."""

    said_all: list[Said] = field(default_factory=list)
    due_all: set[tuple[str, str]] = field(default_factory=set)
    done: list[tuple[datetime, contract.Event]] = field(default_factory=list)

    def arrives(self, at: datetime, *events: contract.Event) -> None:
        super().arrives(at, *events)
        self.done += [(at, event) for event in events]
        self.due_all |= {(id_, r.key) for id_, person in self.people.items() for r in person.reminders}

    def attend(self, person_id: str) -> list[Reminder]:
        before, at = self.people[person_id], self.now
        told = super().attend(person_id)
        if told:
            self.said_all.append(Said(at, len(self.done), before, tuple(told)))
        return told

    def happened(self, said: Said, type_: type, goal_id: str | None) -> Iterator[tuple[datetime, Any]]:
        """Events of a type about a goal that were known when a message went, each with its instant."""
        for at, event in self.done[: said.after]:
            if type(event) is type_ and getattr(event, "goal_id", None) == goal_id:
                yield at, event


# --- what may happen


@dataclass
class Life:
    """Draws what happens next, of what could."""

    story: Weeks
    draw: Any
    goals: dict[str, contract.GoalSet] = field(default_factory=dict)
    state: dict[str, str] = field(default_factory=dict)
    unanswered: list[contract.CheckInLogged] = field(default_factory=list)
    paused: bool = False

    def goes_on(self, end: datetime) -> None:
        story = self.story
        while story.now < end:
            step = timedelta(minutes=self.draw(st.integers(1, 2 * 24 * 60)))
            if self.draw(st.integers(0, 19)) == 0:
                story.sleeps(story.now + timedelta(days=self.draw(st.integers(1, 21))))
            self._until(story.now + step)
            self._something()

    def _until(self, instant: datetime) -> None:
        """Time passes; deadlines that fall into it are missed."""
        for goal_id, goal in sorted(self.goals.items(), key=lambda pair: pair[1].due_at):
            if self.state[goal_id] == "active" and goal.due_at <= instant and not self.paused:
                at = max(self.story.now, goal.due_at + timedelta(minutes=1))
                self.story.happens(
                    at, contract.GoalMissed(**self._of(goal), due_at=goal.due_at, missed_at=at, fraction=0.0)
                )
                self.state[goal_id] = "missed"
        self.story.passes(max(instant, self.story.now))

    def _something(self) -> None:
        can = [self._put, self._away, self._snooze, self._ask_for_help]
        if self.paused:
            can += [self._pause_or_resume] * 6
        else:
            can += [self._set] * 4
            if self.goals:
                can += [self._decide] * 4
        if self.goals:
            can += [self._check_in] * 8
        if self.unanswered:
            can += [self._acknowledge] * 2
        if self.draw(st.sampled_from([False] * 15 + [True])):
            can = [self._erase, self._pause_or_resume]
        self.draw(st.sampled_from(can))()

    def _put(self) -> None:
        put_somebody(self.story, self.draw(st.sampled_from(PEOPLE)), self.draw)

    def _away(self) -> None:
        first = self.story.now.date() + DAY * self.draw(st.integers(-1, 5))
        absence = Absence(absence_id="a", first=first, last=first + DAY * self.draw(st.integers(0, 6)))
        self.story.change(
            self.draw(st.sampled_from(PEOPLE)),
            lambda person: msgspec.structs.replace(person, absences=(absence,)),
        )

    def _snooze(self) -> None:
        about = self.draw(st.sampled_from([EVERYWHERE, *self.goals]))
        until = self.story.now + HOUR * self.draw(st.integers(1, 100))
        self.story.change(
            self.draw(st.sampled_from(PEOPLE)),
            lambda person: msgspec.structs.replace(person, snoozes={about: until}),
        )

    def _pause_or_resume(self) -> None:
        self.paused = not self.paused
        event = contract.MentorshipPaused if self.paused else contract.MentorshipResumed
        self.story.happens(self.story.now, event(**self.story.pair.common, at=self.story.now))

    def _erase(self) -> None:
        person_id = self.draw(st.sampled_from(PEOPLE))
        self.story.happens(
            self.story.now,
            contract.PersonErased(org_id=self.story.pair.org_id, person_id=person_id, at=self.story.now),
        )

    def _ask_for_help(self) -> None:
        author = self.draw(st.sampled_from([MENTEE, MENTOR]))
        self.story.happens(
            self.story.now,
            contract.HelpRequested(
                **self.story.pair.common,
                checkin_id=f"help-{len(self.story.done)}",
                goal_id=self.draw(st.sampled_from([None, *self.goals])),
                author_id=author,
                route_to=self.draw(st.sampled_from([MENTOR if author == MENTEE else MENTEE, COORDINATOR])),
                sensitive=self.draw(st.booleans()),
            ),
        )

    def _set(self) -> None:
        owner, role, counterpart = self.draw(
            st.sampled_from(
                [(MENTEE, "mentee", MENTOR), (MENTOR, "mentor", MENTEE), (LEADER, "leader", MENTEE)]
            )
        )
        set_ = self.story.pair.goal_set(
            f"goal-{len(self.goals)}",
            owner_id=owner,
            owner_role=role,
            counterpart_id=counterpart,
            check_in_every_days=self.draw(st.integers(1, 10)),
            **self._deadline(),
        )
        self.goals[set_.goal_id], self.state[set_.goal_id] = set_, "active"
        self.story.happens(self.story.now, set_)

    def _deadline(self) -> dict[str, Any]:
        zone = self.draw(st.sampled_from(ZONES))
        day = local_date(self.story.now, zone) + DAY * self.draw(st.integers(1, 20))
        cutoff = self.draw(st.sampled_from(["02:30", "12:00", "24:00"]))
        deadline = contract.Deadline(date=day.isoformat(), time_zone=zone, cutoff=cutoff)
        return {"deadline": deadline, "due_at": due_at(day, zone, cutoff)}

    def _check_in(self) -> None:
        goal = self._some_goal()
        author = self.draw(st.sampled_from([goal.owner_id, goal.owner_id, goal.counterpart_id]))
        logged = self.story.pair.logged(
            f"checkin-{len(self.story.done)}",
            goal_id=goal.goal_id,
            author_id=author,
            author_role="mentee" if author == MENTEE else "mentor",
            occurred_at=self.story.now,
            logged_at=self.story.now,
            confidence=self.draw(st.sampled_from([None, *range(11)])),
            realistic=self.draw(st.sampled_from([None, True, False])),
        )
        self.unanswered.append(logged)
        self.story.happens(self.story.now, logged)

    def _acknowledge(self) -> None:
        logged = self.unanswered.pop()
        goal = self.goals[str(logged.goal_id)]
        by = goal.counterpart_id if logged.author_id == goal.owner_id else goal.owner_id
        self.story.happens(
            self.story.now,
            contract.CheckInAcknowledged(
                **self.story.pair.common,
                checkin_id=logged.checkin_id,
                goal_id=goal.goal_id,
                acknowledged_by=by,
                acknowledged_at=self.story.now,
            ),
        )

    def _decide(self) -> None:
        """A goal is met, dropped or revised; a miss is disputed, or taken back."""
        goal = self._some_goal()
        now, common = self.story.now, self.story.pair.common
        of_goal = self._of(goal)
        state = self.state[goal.goal_id]
        met = contract.GoalMet(**of_goal, met_at=now, due_at=goal.due_at, days_early=0.0)
        what = self.draw(st.sampled_from(DECISIONS.get(state, ("nothing",))))
        if what == "met":
            self.state[goal.goal_id] = "met"
            self.story.happens(now, met)
        elif what == "drop":
            self.state[goal.goal_id] = "dropped"
            self.story.happens(now, contract.GoalDropped(**of_goal, dropped_at=now))
        elif what == "dispute":
            self.story.happens(
                now,
                contract.MissDisputed(
                    **common, goal_id=goal.goal_id, revision=goal.revision, by=goal.owner_id, at=now
                ),
            )
        elif what == "retract":
            self.state[goal.goal_id] = "met"
            retracted = contract.GoalMissRetracted(
                **of_goal, due_at=goal.due_at, missed_at=now, retracted_at=now, because="late_evidence"
            )
            self.story.happens(now, retracted, met)
        elif what == "revise":
            fields = {name: getattr(goal, name) for name in contract.GoalSet.__struct_fields__}
            changes = {**fields, **self._deadline(), "revision": goal.revision + 1}
            revised = contract.GoalRevised(
                **changes,
                changed=["deadline"],
                eased=False,
                revised_by=goal.owner_id,
                agreed_by=[goal.owner_id],
            )
            self.goals[goal.goal_id], self.state[goal.goal_id] = revised, "active"
            self.story.happens(now, revised)

    def _some_goal(self) -> contract.GoalSet:
        return self.goals[self.draw(st.sampled_from(sorted(self.goals)))]

    def _of(self, goal: contract.GoalSet) -> dict[str, Any]:
        return {
            **self.story.pair.common, "goal_id": goal.goal_id, "owner_id": goal.owner_id,
            "owner_role": goal.owner_role, "revision": goal.revision,
        }  # fmt: skip


def put_somebody(story: Story, person_id: str, draw: Any) -> None:
    """A person of random habits, or with other ones than before."""
    start, end = (
        draw(st.sampled_from(["20:00", "22:30", "00:00", "13:00"])),
        draw(st.sampled_from(["08:00", "02:30", "10:00", "14:00"])),
    )
    story.somebody(
        person_id,
        time_zone=draw(st.sampled_from(ZONES)),
        quiet_from=start,
        quiet_to=end,
        workdays=draw(st.sampled_from([WEEKDAYS[:5], WEEKDAYS, ("sun", "mon", "tue"), ("thu",)])),
        daily_budget=draw(st.sampled_from([3, 3, 2, 1, 0])),
        delivery=draw(st.sampled_from(["at_once", "daily"])),
        help_any_time=draw(st.booleans()),
    )


@st.composite
def weeks(draw: Any) -> Weeks:
    """Some weeks, played to their end, and on until nothing is left to say."""
    story = Weeks(now=draw(st.sampled_from(STARTS)))
    for person_id in PEOPLE:
        if draw(st.integers(0, 9)) > 0:
            put_somebody(story, person_id, draw)
    if draw(st.booleans()):
        story.holdout = 0.3
    story.begins(story.now, leader_id=LEADER, coordinator_id=COORDINATOR)
    story.happens(
        story.now,
        contract.ExpectationsAgreed(
            **story.pair.common,
            version=1,
            agreed_by=[MENTOR, MENTEE],
            review_on=(story.now.date() + DAY * draw(st.integers(1, 30))).isoformat(),
            escalate_to_coordinator=draw(st.booleans()),
        ),
    )
    Life(story, draw).goes_on(story.now + DAYS * DAY)
    if draw(st.booleans()):
        story.happens(story.now, contract.MentorshipEnded(**story.pair.common, at=story.now))
    story.passes(story.now + 90 * DAY)
    return story


# --- what must hold


@settings(max_examples=60, deadline=None)
@given(story=weeks())
def test_the_promises_to_people_hold(story: Weeks) -> None:
    for said in story.said_all:
        nobody_is_disturbed(said)
        nobody_is_told_of_what_was_done(story, said)
        nobody_is_told_too_late(story, said)
    budgets_hold(story)
    each_is_said_once(story)
    everything_due_has_ended(story)


def nobody_is_disturbed(said: Said) -> None:
    recipient = said.person.recipient
    assert recipient is not None, "written to somebody without a channel"
    at_any_time = recipient.help_any_time and said.only_help
    assert at_any_time or not recipient.rhythm.rests(said.at), "in quiet hours, or on a day off"
    today = recipient.rhythm.day(said.at)
    for reminder in said.told:
        if reminder.kind == "help_requested":
            continue
        assert not any(away.first <= today <= away.last for away in said.person.absences), "in an absence"
        for about in (EVERYWHERE, reminder.goal_id):
            until = said.person.snoozes.get(str(about))
            assert until is None or until <= said.at, "in a snooze"
        assert recipient.daily_budget > 0, "with a budget of nothing"


def nobody_is_told_of_what_was_done(story: Weeks, said: Said) -> None:
    for reminder in said.told:
        goal_id = reminder.goal_id
        assert not stands_still(story, said), "while the mentorship is paused, or after it ended"
        sets = [
            *story.happened(said, contract.GoalSet, goal_id),
            *story.happened(said, contract.GoalRevised, goal_id),
        ]
        revision = max((event.revision for _, event in sets), default=None)
        ends = [
            *story.happened(said, contract.GoalMet, goal_id),
            *story.happened(said, contract.GoalDropped, goal_id),
        ]
        over = [event.revision for _, event in ends]
        if reminder.kind in ("goal_due_soon", "check_in_due", "renegotiate"):
            assert revision not in over, f"{reminder.kind} of a goal that is over"
        if reminder.kind in ("goal_due_soon", "goal_missed", "renegotiate"):
            assert reminder.revision == revision, f"{reminder.kind} of a revision that is past"
        if reminder.kind == "check_in_due":
            _, set_ = max(sets, key=lambda pair: pair[1].revision)
            zone, every = set_.deadline.time_zone, set_.check_in_every_days
            for logged_at, event in story.happened(said, contract.CheckInLogged, goal_id):
                if event.author_id in (set_.owner_id, set_.counterpart_id):
                    answered = local_date(logged_at, zone) + DAY * every > date.fromisoformat(reminder.period)
                    assert not answered, "a check-in is asked for that was there"
        if reminder.kind == "goal_missed":
            gone = [
                event
                for type_ in (contract.GoalMissRetracted, contract.GoalMet, contract.MissDisputed)
                for _, event in story.happened(said, type_, goal_id)
            ]
            assert all(event.revision != reminder.revision for event in gone), "a miss that does not stand"
        if reminder.kind == "acknowledge_check_in":
            by = [
                event.acknowledged_by
                for _, event in story.happened(said, contract.CheckInAcknowledged, goal_id)
                if event.checkin_id == reminder.checkin_id
            ]
            assert said.person.person_id not in by, "acknowledged already"


def nobody_is_told_too_late(story: Weeks, said: Said) -> None:
    for reminder in said.told:
        if reminder.kind == "check_in_due":
            assert reminder.expected_by is not None
            assert said.at < reminder.expected_by, "asked for a check-in after its day"
        elif reminder.kind == "goal_due_soon":
            due = max(
                (event.revision, event.due_at)
                for type_ in (contract.GoalSet, contract.GoalRevised)
                for _, event in story.happened(said, type_, reminder.goal_id)
            )[1]
            assert said.at < due, "due soon, after it was due"
        elif reminder.kind != "review_expectations":
            # Two to four workdays after its cause, for who has one workday a week, are a month.
            assert said.at < reminder.caused_at + (4 * 7 + 7) * DAY, "old news"


def budgets_hold(story: Weeks) -> None:
    messages = Counter((said.person.person_id, said.at) for said in story.said_all)
    assert max(messages.values(), default=1) == 1, "all that is due at once is one message"
    for index, said in enumerate(story.said_all):
        recipient = said.person.recipient
        if recipient is None or said.only_help:
            continue
        limit = 1 if recipient.delivery == "daily" else recipient.daily_budget
        earlier = [
            other for other in story.said_all[:index]
            if other.person.person_id == said.person.person_id and not other.only_help
            and other.person.recipient is not None
            and other.person.recipient.rhythm.day(other.at) == recipient.rhythm.day(said.at)
        ]  # fmt: skip
        assert len(earlier) < limit, "over budget"


def each_is_said_once(story: Weeks) -> None:
    entries = Counter((made.recipient_id, made.kind, made.about, made.period) for made in story.ledger)
    assert [what for what, times in entries.items() if times > 1] == []


def everything_due_has_ended(story: Weeks) -> None:
    ended = {(made.recipient_id, f"{made.kind}|{made.about}|{made.period}") for made in story.ledger}
    # A withdrawal is for those alone who were told of the miss; it leaves the agenda without a word.
    left = {(who, key) for who, key in story.due_all - ended if not key.startswith("miss_withdrawn")}
    assert left == set()
    assert all(person.reminders == () for person in story.people.values())


def stands_still(story: Weeks, said: Said) -> bool:
    turns = [
        event
        for _, event in story.done[: said.after]
        if isinstance(
            event, contract.MentorshipPaused | contract.MentorshipResumed | contract.MentorshipEnded
        )
    ]
    return bool(turns) and type(turns[-1]) is not contract.MentorshipResumed
