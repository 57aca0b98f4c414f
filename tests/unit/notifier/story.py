"""A story told to the pure rules: events happen, time passes, and the ledger says who was told what, and when.

It does what the fold and the worker do, without store and mail: each person is attended to at every instant at
which their agenda is due, and all that is told at once is one message.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from services.notifier.domain.causes import Happened
from services.notifier.domain.ledger import Entry, Outcome, entry
from services.notifier.domain.person import Channel, Person, Recipient, Reminder
from services.notifier.domain.plan import begin_attempt, due_now, end_attempt, next_at, plan
from services.notifier.domain.reasons import World
from services.notifier.domain.recipients import erased, provided
from services.notifier.domain.replica import Replica, fold, put
from shared import events as contract
from shared.ids import uuid7
from shared.time import local_instant, zone
from tests.builders import Pair

BERLIN = "Europe/Berlin"
MENTOR, MENTEE, LEADER, COORDINATOR = "mentor-1", "mentee-1", "leader-1", "coordinator-1"


def berlin(text: str) -> datetime:
    """`2026-11-02 09:00` on the clocks of Berlin."""
    wall = datetime.fromisoformat(text)
    return local_instant(wall.date(), wall.time(), BERLIN)


@dataclass
class Story:
    """Events and time."""

    pair: Pair = field(default_factory=Pair)
    replica: Replica = field(default_factory=Replica)
    people: dict[str, Person] = field(default_factory=dict)
    ledger: list[Entry] = field(default_factory=list)
    messages: list[tuple[str, tuple[str, ...]]] = field(default_factory=list)
    """(person, kinds) of each message, in order."""
    now: datetime = datetime(2026, 1, 1, tzinfo=UTC)
    holdout: float = 0.0

    def somebody(self, person_id: str, **changes: Any) -> None:
        """A person who can be written to; in Berlin, unless said otherwise."""
        values: dict[str, Any] = {
            "time_zone": BERLIN,
            "channels": (Channel(kind="email", address=f"{person_id}@example.com"),),
            "put_at": self.now,
        }
        self.people[person_id] = provided(self._person(person_id), Recipient(**{**values, **changes}))

    def change(self, person_id: str, changed: Any) -> None:
        """Apply a change of `domain.recipients` to a person."""
        self.people[person_id] = changed(self._person(person_id))

    def begins(self, at: datetime, **changes: Any) -> None:
        """The mentorship starts."""
        self.happens(at, self.pair.started(**changes))

    def happens(self, at: datetime, *events: contract.Event) -> None:
        """Time passes up to `at`, when these events are recorded, and taken in at once."""
        self.passes(at)
        self.arrives(at, *events)

    def arrives(self, at: datetime, *events: contract.Event) -> None:
        """Events that were recorded `at` are taken in now."""
        for event in events:
            fold(self.replica, Happened(event, uuid7(), at))
        for (_, person_id), erased_at in self.replica.erased.items():
            self.people[person_id] = erased(self._person(person_id), erased_at)
        self.replica.erased.clear()
        for addressed in self.replica.addressed:
            known = self._person(addressed.person_id)
            self.people[addressed.person_id] = put(known, [addressed.reminder])
        self.replica.addressed.clear()

    def passes(self, until: datetime) -> None:
        """Time passes, and everybody is attended to when something is due to them."""
        while True:
            due = [(at, id_) for id_, person in self.people.items() if (at := self._next(person)) is not None]
            soonest = min(due, default=None)
            if soonest is None or soonest[0] > until:
                break
            self.now = max(self.now, soonest[0])
            self.attend(soonest[1])
        self.now = max(self.now, until)

    def sleeps(self, until: datetime) -> None:
        """Nobody is attended to until then, as in an outage."""
        self.now = until

    def attend(self, person_id: str) -> list[Reminder]:
        """Do what is due to a person now; what was told."""
        person = self._person(person_id)
        assert due_now(person, self.now, self.now), "attended to, and nothing was due"
        decided = plan(person, self.world(person_id), self.now, self.now)
        for found in decided.not_sent:
            self._note(person_id, found.reminder, "suppressed", found.reason, found.because)
        person = begin_attempt(person, decided, f"<{uuid7()}@test>")
        if decided.told:
            self.messages.append((person_id, tuple(reminder.kind for reminder in decided.told)))
            for reminder in decided.told:
                self._note(person_id, reminder, "sent")
            day = person.rhythm_for(decided.told[0]).day(self.now)
            person = end_attempt(person, decided.told, day)
        self.people[person_id] = person
        return decided.told

    def world(self, person_id: str) -> World:
        """What the store would answer."""
        own = [made for made in self.ledger if made.recipient_id == person_id]
        return World(
            self.replica.mentorships,
            self.replica.goals,
            {checkin_id for checkin_id, by in self.replica.acknowledged if by == person_id},
            {f"{made.kind}|{made.about}|{made.period}" for made in own},
            {
                (made.goal_id, int(made.period))
                for made in own
                if made.kind == "goal_missed" and made.outcome == "sent" and made.goal_id
            },
            self.holdout,
        )

    def said(self, kind: str | None = None, to: str | None = None) -> list[tuple[str, str, str]]:
        """(recipient, outcome or reason, when on Berlin's clocks) of the ledger's entries, in order."""
        return [
            (made.recipient_id, made.reason or made.outcome, _clock(made.at))
            for made in self.ledger
            if kind in (None, made.kind) and to in (None, made.recipient_id)
        ]

    def kinds(self, to: str) -> list[str]:
        """The kinds that a person was sent, in order."""
        return [made.kind for made in self.ledger if made.recipient_id == to and made.outcome == "sent"]

    def _person(self, person_id: str) -> Person:
        return self.people.get(person_id) or Person(person_id=person_id, org_id=self.pair.org_id)

    def _next(self, person: Person) -> datetime | None:
        return next_at(person, self.now)

    def _note(
        self,
        person_id: str,
        reminder: Reminder,
        outcome: Outcome,
        reason: str | None = None,
        because: Any = None,
    ) -> None:
        self.ledger.append(
            entry(reminder, person_id, uuid7(), outcome, self.now, reason=reason, because=because)
        )


def _clock(instant: datetime) -> str:
    return instant.astimezone(zone(BERLIN)).strftime("%Y-%m-%d %H:%M")


def all_of(story: Story, people: Iterable[str], **changes: Any) -> None:
    """Everybody of these can be written to."""
    for person_id in people:
        story.somebody(person_id, **changes)
