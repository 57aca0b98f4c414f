"""What can be done with goals: read, decide, store, answer."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal

from services.goals import shown
from services.goals.access import (
    NO_GOAL,
    NO_MENTORSHIP,
    reads_words_of_goal,
    require_participant,
    require_reader,
    takes_part,
)
from services.goals.domain import dispute as disputes
from services.goals.domain import outcome as outcomes
from services.goals.domain import revision as revisions
from services.goals.domain.deadline import Deadline, require_ahead
from services.goals.domain.evidence import CheckIn, Step, track
from services.goals.domain.goal import (
    Changes,
    Fact,
    Goal,
    Proposal,
    RevisionProposed,
    SetGoal,
    Terms,
    evolved,
    set_goal,
)
from services.goals.domain.mentorship import Mentorship
from services.goals.domain.rules import Rules
from services.goals.store import Kept, Store, steps
from shared.clock import Clock
from shared.errors import Conflict, NotFound
from shared.http import PROGRAMS, Answer, Caller, Idem, IfMatch, Page, Position
from shared.ids import uuid7

Outcome = Literal["met", "dropped", "missed"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Wanted:
    """A goal to set; what is None has a default that depends on who asks, and where."""

    mentorship_id: str
    deadline: Deadline
    terms: Callable[[Mentorship, datetime], Terms]
    owner_id: str | None
    external_ref: str | None


@dataclass(frozen=True, slots=True)
class _Read:
    """A goal with all that decisions about it need."""

    goal: Kept[Goal]
    mentorship: Kept[Mentorship]
    check_ins: list[CheckIn]


@dataclass(frozen=True, slots=True)
class _Done:
    """What a command makes of a goal."""

    facts: Sequence[Fact]
    said: CheckIn | None = None
    status: int = 200


class Goals:
    """The use cases of goals."""

    def __init__(self, store: Store, clock: Clock, rules: Rules) -> None:
        self._store = store
        self._clock = clock
        self._rules = rules

    # -- setting

    async def set(
        self, caller: Caller, wanted: Wanted, idem: Idem | None, *, dry_run: bool = False
    ) -> Answer:
        """Set a goal of one's own, or propose one to another participant."""

        async def work() -> Answer:
            require_ahead(wanted.deadline, self._clock.now())
            kept = await self._store.mentorship(caller.org_id, wanted.mentorship_id)
            if kept is None:
                raise NotFound(NO_MENTORSHIP)
            require_participant(caller, kept.state)
            now = self._clock.now()
            owner_id, ref = wanted.owner_id or caller.person_id, wanted.external_ref
            # Storing it tells whether a reference is taken, unless something else that comes after that is wrong.
            if ref is not None and (dry_run or kept.state.role_of(owner_id) is None):
                taken = {"org_id": caller.org_id, "external_ref": ref}
                if await self._store.goals.collection.find_one(taken):
                    raise Conflict("This external_ref names something else already.")
            command = SetGoal(
                goal_id=uuid7(),
                proposal_id=uuid7(),
                by=caller.person_id,
                owner_id=owner_id,
                terms=wanted.terms(kept.state, now),
                external_ref=ref,
                at=now,
            )
            goal, facts = set_goal(kept.state, command)
            answer = self._set_answer(caller, kept.state, evolved(goal, facts), facts, now)
            if not dry_run:
                await self._store.commit(
                    self._store.touch(kept),
                    self._store.new_goal(goal, facts, kept.state, now=now, idem=idem, answer=answer),
                )
            return answer

        return await self._store.once(self._store.goals, idem, self._clock.now(), work)

    def _set_answer(
        self, caller: Caller, mentorship: Mentorship, goal: Goal, facts: Sequence[Fact], now: datetime
    ) -> Answer:
        location = f"/v1/goals/{goal.goal_id}"
        waiting = _waiting(facts)
        if waiting is not None:
            body = {
                "goal_id": goal.goal_id,
                "proposal_id": waiting.proposal_id,
                "waits_for": waiting.waits_for,
                "state": "proposed",
            }
            return Answer(202, body, {"Location": location})
        return _answer(caller, mentorship, goal, (), now, status=201, location=location)

    # -- reading

    async def read(self, caller: Caller, goal_id: str) -> Answer:
        """A goal, for the participants of its mentorship and for coordinators."""
        goal, mentorship = await self._readable(caller, goal_id)
        return _answer(caller, mentorship, goal.state, steps(goal), self._clock.now())

    async def find(self, caller: Caller, filters: Mapping[str, Any], page: Page) -> dict[str, Any]:
        """Goals, newest first: all for coordinators, those of one's own mentorships for participants."""
        ids = None
        if not caller.has(PROGRAMS):
            ids = await self._store.mentorship_ids_of(caller.org_id, caller.person_id)
        rows = await self._store.list_goals(caller.org_id, page, filters, ids)
        mentorships = await self._store.mentorships_by_id(row.state.mentorship_id for row in rows)
        now = self._clock.now()

        def one(row: Kept[Goal]) -> dict[str, Any]:
            mentorship = mentorships[row.state.mentorship_id].state
            words = reads_words_of_goal(caller, mentorship, row.state)
            return shown.goal(row.state, steps(row), now, words=words)

        return page.listing(rows, lambda row: Position(row.state.created_at, row.state.goal_id), one)

    async def history(self, caller: Caller, goal_id: str, page: Page) -> dict[str, Any]:
        """What happened to a goal, newest first."""
        goal, mentorship = await self._readable(caller, goal_id)
        words = reads_words_of_goal(caller, mentorship, goal.state)
        events = goal.doc["events"]
        items = shown.history(goal.state, events, goal.doc["story"], words=words)
        rows = [
            (Position(event["time"], f"{number:06d}"), item)
            for number, (event, item) in enumerate(zip(events, items, strict=True))
        ]
        return _paged(rows, page)

    async def proposals(self, caller: Caller, goal_id: str, page: Page) -> dict[str, Any]:
        """The proposals that were made about a goal, newest first."""
        goal, mentorship = await self._readable(caller, goal_id)
        words = reads_words_of_goal(caller, mentorship, goal.state)
        rows = [
            (Position(proposal.proposed_at, f"{number:06d}"), shown.proposal(proposal, words=words))
            for number, proposal in enumerate(goal.state.proposals)
        ]
        return _paged(rows, page)

    # -- changing

    async def revise(
        self, caller: Caller, goal_id: str, changes: Changes, reason: str | None, if_match: IfMatch
    ) -> Answer:
        """Change a goal at once (200), or propose to (202)."""

        async def work() -> Answer:
            read = await self._read(caller, goal_id)
            now = self._clock.now()
            before = read.goal.state
            revisions.require_reviser(before, caller.person_id)
            if_match.check(shown.tag(shown.goal(before, steps(read.goal), now, words=True)))
            command = revisions.Revise(
                by=caller.person_id, changes=changes, reason=reason, proposal_id=uuid7(), at=now
            )
            facts = revisions.revise(
                before, read.mentorship.state, command, read.check_ins, rules=self._rules
            )
            return await self._stored(caller, read, _Done(facts), now, None)

        return await self._store.once(self._store.goals, None, self._clock.now(), work)

    async def accept(self, caller: Caller, goal_id: str, proposal_id: str, idem: Idem | None) -> Answer:
        """Agree to a proposal."""

        def decide(read: _Read, now: datetime) -> _Done:
            facts = revisions.accept(
                read.goal.state,
                read.mentorship.state,
                proposal_id,
                read.check_ins,
                by=caller.person_id,
                now=now,
                rules=self._rules,
            )
            return _Done(facts)

        return await self._decided(caller, goal_id, idem, decide)

    async def decline(self, caller: Caller, goal_id: str, proposal_id: str, idem: Idem | None) -> Answer:
        """Decline a proposal, or take it back."""

        def decide(read: _Read, now: datetime) -> _Done:
            by = caller.person_id
            return _Done(
                revisions.decline(read.goal.state, read.mentorship.state, proposal_id, by=by, now=now)
            )

        return await self._decided(caller, goal_id, idem, decide)

    async def say(
        self,
        caller: Caller,
        goal_id: str,
        outcome: Outcome,
        occurred_at: datetime | None,
        note: str | None,
        idem: Idem | None,
    ) -> Answer:
        """Say of a goal that it is met, dropped, or will be missed."""

        def require(now: datetime) -> None:
            if occurred_at is not None:
                outcomes.require_reportable(occurred_at, now, self._rules.backdate)

        def decide(read: _Read, now: datetime) -> _Done:
            goal, mentorship, by = read.goal.state, read.mentorship.state, caller.person_id
            grace = self._rules.grace
            if outcome == "dropped":
                return _Done(outcomes.drop(goal, mentorship, by=by, note=note, now=now, grace=grace))
            if outcome == "missed":
                return _Done(
                    outcomes.say_missed(
                        goal, mentorship, read.check_ins, by=by, note=note, now=now, grace=grace
                    )
                )
            said, facts = outcomes.say_met(
                goal,
                mentorship,
                read.check_ins,
                id=uuid7(),
                by=by,
                occurred_at=occurred_at or now,
                note=note,
                now=now,
                rules=self._rules,
            )
            return _Done(facts, said)

        return await self._decided(caller, goal_id, idem, decide, require)

    async def dispute(
        self, caller: Caller, goal_id: str, occurred_at: datetime, reason: str, idem: Idem | None
    ) -> Answer:
        """Hold against a miss that it was done in time."""

        def decide(read: _Read, now: datetime) -> _Done:
            facts = disputes.dispute(
                read.goal.state, by=caller.person_id, occurred_at=occurred_at, reason=reason, now=now
            )
            return _Done(facts, status=202)

        return await self._decided(caller, goal_id, idem, decide)

    async def uphold(self, caller: Caller, goal_id: str, idem: Idem | None) -> Answer:
        """Rule for the owner."""

        def decide(read: _Read, now: datetime) -> _Done:
            return _Done(disputes.uphold(read.goal.state, by=caller.person_id, now=now))

        return await self._decided(caller, goal_id, idem, decide)

    async def reject(self, caller: Caller, goal_id: str, idem: Idem | None) -> Answer:
        """Rule that the miss stands."""

        def decide(read: _Read, now: datetime) -> _Done:
            return _Done(disputes.reject(read.goal.state, by=caller.person_id, now=now))

        return await self._decided(caller, goal_id, idem, decide)

    # -- how

    async def _decided(
        self,
        caller: Caller,
        goal_id: str,
        idem: Idem | None,
        decide: Callable[[_Read, datetime], _Done],
        require: Callable[[datetime], None] | None = None,
    ) -> Answer:
        """`require` refuses what is wrong by itself: no sooner than it is known that the key answers nothing."""

        async def work() -> Answer:
            if require is not None:
                require(self._clock.now())
            read = await self._read(caller, goal_id)
            now = self._clock.now()
            return await self._stored(caller, read, decide(read, now), now, idem)

        return await self._store.once(self._store.goals, idem, self._clock.now(), work)

    async def _read(self, caller: Caller, goal_id: str) -> _Read:
        """A goal in the caller's own mentorship. The goal before its check-ins: it guards them."""
        goal, mentorship = await self._found(caller, goal_id)
        require_participant(caller, mentorship.state, NO_GOAL)
        return _Read(goal, mentorship, await self._store.check_ins(goal_id))

    async def _readable(self, caller: Caller, goal_id: str) -> tuple[Kept[Goal], Mentorship]:
        goal, mentorship = await self._found(caller, goal_id)
        require_reader(caller, mentorship.state, NO_GOAL)
        return goal, mentorship.state

    async def _found(self, caller: Caller, goal_id: str) -> tuple[Kept[Goal], Kept[Mentorship]]:
        goal = await self._store.goal(caller.org_id, goal_id)
        if goal is None:
            raise NotFound(NO_GOAL)
        mentorship = await self._store.mentorship(caller.org_id, goal.state.mentorship_id)
        if mentorship is None:
            raise NotFound(NO_GOAL)
        return goal, mentorship

    async def _stored(
        self, caller: Caller, read: _Read, done: _Done, now: datetime, idem: Idem | None
    ) -> Answer:
        """Store what was decided, unless the mentorship that allowed it was changed meanwhile, and answer."""
        mentorship = read.mentorship.state
        after = evolved(read.goal.state, done.facts)
        check_ins = read.check_ins if done.said is None else [*read.check_ins, done.said]
        waiting = _waiting(done.facts)
        if waiting is not None:
            body = {
                "goal_id": after.goal_id,
                "proposal_id": waiting.proposal_id,
                "waits_for": waiting.waits_for,
            }
            answer = Answer(202, body)
        else:
            shown_track = track(check_ins, after.terms.measure, now)
            answer = _answer(caller, mentorship, after, shown_track, now, status=done.status)
        if done.facts or done.said is not None:
            change = self._store.change_goal(
                read.goal, done.facts, mentorship, check_ins, now=now, idem=idem, answer=answer
            )
            changes = [change]
            if read.goal.state.state != "active":
                # A pause or an end writes every active goal, and so excludes this; of others it knows nothing.
                changes.append(self._store.touch(read.mentorship))
            await self._store.commit(*changes, said=done.said, goal=after)
        return answer


def _waiting(facts: Sequence[Fact]) -> Proposal | None:
    return next((fact.proposal for fact in facts if isinstance(fact, RevisionProposed)), None)


def _answer(
    caller: Caller,
    mentorship: Mentorship,
    goal: Goal,
    progress: Sequence[Step],
    now: datetime,
    *,
    status: int = 200,
    location: str | None = None,
) -> Answer:
    whole = shown.goal(goal, progress, now, words=True)
    words = takes_part(caller, mentorship) and reads_words_of_goal(caller, mentorship, goal)
    body = whole if words else shown.goal(goal, progress, now, words=False)
    return Answer(status, body, shown.headers(whole, location))


def _paged(rows: Sequence[tuple[Position, dict[str, Any]]], page: Page) -> dict[str, Any]:
    """A page of rows that are all at hand, given oldest first."""
    newest = list(reversed(rows))
    if page.after is not None:
        after = (page.after.at, page.after.id)
        newest = [row for row in newest if (row[0].at, row[0].id) < after]
    return page.listing(newest, lambda row: row[0], lambda row: row[1])
