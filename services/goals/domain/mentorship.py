"""A mentorship: who takes part, and whether it runs, is paused, or has ended."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime
from typing import Literal

from msgspec import Struct
from msgspec.structs import replace

from shared.errors import Conflict, Unprocessable

Role = Literal["mentor", "mentee", "leader"]
State = Literal["active", "paused", "ended"]


class Facts(Struct, frozen=True, kw_only=True):
    """What can be changed of a mentorship."""

    leader_id: str | None = None
    coordinator_id: str | None = None
    time_zone: str
    check_in_every_days: int
    focus: str | None = None


class Mentorship(Struct, frozen=True, kw_only=True):
    """One mentor, one mentee, perhaps a leader: three different people.

    `version` is one more with each change. `paused_at` is the beginning of the present pause, or of the one that
    turned into the end. `expectations` counts the versions proposed; `proposed` waits for a signature, `agreed`
    is in force.
    """

    org_id: str
    program_id: str
    mentorship_id: str
    mentor_id: str
    mentee_id: str
    facts: Facts
    started_at: datetime
    external_ref: str | None = None
    state: State = "active"
    version: int = 0
    paused_at: datetime | None = None
    ended_at: datetime | None = None
    expectations: int = 0
    proposed: int | None = None
    agreed: int | None = None

    @property
    def leader_id(self) -> str | None:
        """The sponsor or manager who takes on goals too."""
        return self.facts.leader_id

    @property
    def participants(self) -> tuple[str, ...]:
        """Mentor, mentee, and leader if there is one."""
        return tuple(p for p in (self.mentor_id, self.mentee_id, self.leader_id) if p is not None)

    def role_of(self, person_id: str) -> Role | None:
        """What a person is in it; None: no participant."""
        if person_id == self.mentor_id:
            return "mentor"
        if person_id == self.mentee_id:
            return "mentee"
        return "leader" if self.leader_id is not None and person_id == self.leader_id else None

    def counterpart_of(self, role: Role) -> str:
        """Who accounts are given to: the mentee's is the mentor, the mentor's and the leader's the mentee."""
        return self.mentor_id if role == "mentee" else self.mentee_id

    def decides_as_ever(self, due_at: datetime) -> bool:
        """Rule 7: whether what is due then is decided as ever: not if it stood still, or had ended, before that."""
        if self.state == "active":
            return True
        stopped_at = self.paused_at or self.ended_at
        return stopped_at is not None and due_at <= stopped_at

    def require_running(self) -> None:
        """Rule 7: after the end only acknowledgements, disputes and rulings go on.

        Raises:
            Conflict: it has ended.
        """
        if self.state == "ended":
            raise Conflict("The mentorship has ended.")

    def require_active(self) -> None:
        """Rule 7: while it is paused no goal is set, revised or said missed.

        Raises:
            Conflict: it is paused or has ended.
        """
        self.require_running()
        if self.state == "paused":
            raise Conflict("The mentorship is paused.")


class Fact(Struct, frozen=True, kw_only=True):
    """Something that happened to a mentorship."""

    at: datetime


class Started(Fact, frozen=True, kw_only=True):
    """It began."""


class Changed(Fact, frozen=True, kw_only=True):
    """Some of its facts are others now."""

    facts: Facts
    changed: tuple[str, ...]


class Paused(Fact, frozen=True, kw_only=True):
    """Nothing is missed, lapses or nudges from now on."""


class Resumed(Fact, frozen=True, kw_only=True):
    """It goes on."""


class Ended(Fact, frozen=True, kw_only=True):
    """It is over."""


class ExpectationsProposed(Fact, frozen=True, kw_only=True):
    """A version waits for the other's signature."""

    version: int
    proposed_by: str
    waits_for: str
    review_on: str


class ExpectationsAgreed(Fact, frozen=True, kw_only=True):
    """Mentor and mentee have both signed: it holds."""

    version: int
    agreed_by: tuple[str, ...]
    review_on: str
    escalate_to_coordinator: bool
    support_contact_id: str | None


def evolve(mentorship: Mentorship, fact: Fact) -> Mentorship:
    """The mentorship after a fact."""
    after = replace(mentorship, version=mentorship.version + 1)
    match fact:
        case Started():
            return after
        case Changed():
            return replace(after, facts=fact.facts)
        case Paused():
            return replace(after, state="paused", paused_at=fact.at)
        case Resumed():
            return replace(after, state="active", paused_at=None)
        case Ended():
            return replace(after, state="ended", ended_at=fact.at)
        case ExpectationsProposed():
            return replace(after, expectations=fact.version, proposed=fact.version)
        case ExpectationsAgreed():
            return replace(after, proposed=None, agreed=fact.version)
    raise TypeError(f"no such fact: {type(fact).__name__}")


def evolved(mentorship: Mentorship, facts: Iterable[Fact]) -> Mentorship:
    """The mentorship after all of these facts."""
    for fact in facts:
        mentorship = evolve(mentorship, fact)
    return mentorship


def change(mentorship: Mentorship, facts: Facts, *, leader_holds_goals: bool, now: datetime) -> list[Fact]:
    """Other facts from now on; nothing when they are the same.

    Raises:
        Conflict: it has ended, or the leader who would go has open goals.
        Unprocessable: the leader would be the mentor or the mentee.
    """
    mentorship.require_running()
    names = ("leader_id", "coordinator_id", "time_zone", "check_in_every_days", "focus")
    changed = tuple(name for name in names if getattr(facts, name) != getattr(mentorship.facts, name))
    if "leader_id" in changed and leader_holds_goals:
        raise Conflict("The leader has open goals, and stays until they are closed.")
    if facts.leader_id in (mentorship.mentor_id, mentorship.mentee_id):
        raise Unprocessable.field("/leader_id", "Mentor, mentee and leader are three different people.")
    return [Changed(at=now, facts=facts, changed=changed)] if changed else []


def pause(mentorship: Mentorship, now: datetime) -> list[Fact]:
    """Rule 7: pause it.

    Raises:
        Conflict: it is paused already, or has ended.
    """
    mentorship.require_active()
    return [Paused(at=now)]


def resume(mentorship: Mentorship, now: datetime) -> list[Fact]:
    """Rule 7: let it go on.

    Raises:
        Conflict: it is not paused.
    """
    mentorship.require_running()
    if mentorship.state != "paused":
        raise Conflict("The mentorship is not paused.")
    return [Resumed(at=now)]


def end(mentorship: Mentorship, now: datetime) -> list[Fact]:
    """Rule 7: end it, paused or not.

    Raises:
        Conflict: it has ended already.
    """
    mentorship.require_running()
    return [Ended(at=now)]
