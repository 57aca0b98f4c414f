"""What can be done with mentorships: read, decide, store, answer."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from services.goals import shown
from services.goals.access import NO_MENTORSHIP, require_reader
from services.goals.domain import mentorship as m
from services.goals.domain import pause as pauses
from services.goals.domain.evidence import CheckIn
from services.goals.domain.goal import Fact as GoalFact
from services.goals.domain.goal import Goal
from services.goals.domain.mentorship import Mentorship
from services.goals.domain.rules import Rules
from services.goals.store import Kept, Store
from shared.aggregates import Change
from shared.clock import Clock
from shared.errors import Conflict, NotFound
from shared.http import PROGRAMS, Answer, Caller, Idem, IfMatch, Page, Position
from shared.ids import uuid7
from shared.mongo import Session


@dataclass(frozen=True, slots=True, kw_only=True)
class StartMentorship:
    """A mentorship to begin."""

    program_id: str
    mentor_id: str
    mentee_id: str
    facts: m.Facts
    external_ref: str | None


class Mentorships:
    """The use cases of mentorships."""

    def __init__(self, store: Store, clock: Clock, rules: Rules) -> None:
        self._store = store
        self._clock = clock
        self._rules = rules

    async def start(
        self, caller: Caller, command: StartMentorship, idem: Idem | None, *, dry_run: bool = False
    ) -> Answer:
        """Begin a mentorship."""

        async def work() -> Answer:
            now = self._clock.now()
            ref = command.external_ref
            taken = {"org_id": caller.org_id, "external_ref": ref}
            if dry_run and ref is not None and await self._store.mentorships.collection.find_one(taken):
                raise Conflict("This external_ref names something else already.")
            state = Mentorship(
                org_id=caller.org_id,
                program_id=command.program_id,
                mentorship_id=uuid7(),
                mentor_id=command.mentor_id,
                mentee_id=command.mentee_id,
                facts=command.facts,
                started_at=now,
                external_ref=ref,
            )
            facts = [m.Started(at=now)]
            body = shown.mentorship(m.evolved(state, facts))
            answer = Answer(201, body, shown.headers(body, f"/v1/mentorships/{state.mentorship_id}"))
            if not dry_run:
                change = self._store.new_mentorship(state, facts, now=now, idem=idem, answer=answer)
                await self._store.commit(change)
            return answer

        return await self._store.once(self._store.mentorships, idem, self._clock.now(), work)

    async def read(self, caller: Caller, mentorship_id: str) -> Answer:
        """A mentorship, for its participants and for coordinators."""
        kept = await self._found(caller, mentorship_id)
        require_reader(caller, kept.state)
        return _answer(kept.state)

    async def find(self, caller: Caller, filters: Mapping[str, Any], page: Page) -> dict[str, Any]:
        """Mentorships, newest first: all for coordinators, one's own for participants."""
        participant = None if caller.has(PROGRAMS) else caller.person_id
        rows = await self._store.list_mentorships(caller.org_id, page, filters, participant)
        return page.listing(rows, lambda row: Position(row.started_at, row.mentorship_id), shown.mentorship)

    async def change(
        self, caller: Caller, mentorship_id: str, given: Mapping[str, Any], if_match: IfMatch
    ) -> Answer:
        """Change some of its facts; a leader with open goals stays."""

        async def work() -> Answer:
            kept = await self._found(caller, mentorship_id)
            if_match.check(shown.tag(shown.mentorship(kept.state)))
            now = self._clock.now()
            before = kept.state.facts
            values = {
                name: given.get(name, getattr(before, name))
                for name in ("leader_id", "coordinator_id", "time_zone", "check_in_every_days", "focus")
            }
            facts = m.change(
                kept.state,
                m.Facts(**values),
                leader_holds_goals=await self._leader_holds_goals(kept.state),
                now=now,
            )
            if facts:
                await self._store.commit(self._store.change_mentorship(kept, facts, now=now))
            return _answer(m.evolved(kept.state, facts))

        return await self._store.once(self._store.mentorships, None, self._clock.now(), work)

    async def pause(self, caller: Caller, mentorship_id: str, idem: Idem | None) -> Answer:
        """Nothing is missed, lapses or nudges from now on."""

        def of_goal(
            goal: Goal, check_ins: Sequence[CheckIn], before: Mentorship, now: datetime
        ) -> Sequence[GoalFact] | None:
            # No facts, but what falls due from now on is not to be decided.
            return [] if goal.state == "active" else None

        return await self._turn(caller, mentorship_id, idem, m.pause, of_goal)

    async def resume(self, caller: Caller, mentorship_id: str, idem: Idem | None) -> Answer:
        """It goes on: deadlines move by the days paused."""

        def of_goal(
            goal: Goal, check_ins: Sequence[CheckIn], before: Mentorship, now: datetime
        ) -> Sequence[GoalFact] | None:
            if goal.state != "active" and not goal.open_proposals:
                return None
            assert before.paused_at is not None  # noqa: S101 - `resume` has made sure that it was paused
            return pauses.resume(goal, before.paused_at, check_ins, grace=self._rules.grace, now=now)

        return await self._turn(caller, mentorship_id, idem, m.resume, of_goal)

    async def end(self, caller: Caller, mentorship_id: str, idem: Idem | None) -> Answer:
        """It is over: what is proposed is withdrawn, active goals are dropped once their check-ins are in."""

        def of_goal(
            goal: Goal, check_ins: Sequence[CheckIn], before: Mentorship, now: datetime
        ) -> Sequence[GoalFact] | None:
            facts = pauses.end(goal, now)
            return facts if facts or goal.state == "active" else None

        return await self._turn(caller, mentorship_id, idem, m.end, of_goal)

    async def _turn(
        self,
        caller: Caller,
        mentorship_id: str,
        idem: Idem | None,
        decide: Callable[[Mentorship, datetime], list[m.Fact]],
        of_goal: _OfGoal,
    ) -> Answer:
        """Store a turn of a mentorship and what it does to its goals, in one transaction.

        Every active goal is written, also where nothing happens to it: that excludes what is decided about it
        at the same moment.
        """

        async def work() -> Answer:
            answers: list[Answer] = []

            async def write(session: Session) -> list[Change]:
                answers.clear()
                kept = await self._store.mentorship(caller.org_id, mentorship_id, session=session)
                if kept is None:
                    raise NotFound(NO_MENTORSHIP)
                now = self._clock.now()
                facts = decide(kept.state, now)
                after = m.evolved(kept.state, facts)
                answers.append(_answer(after))
                changes = [
                    self._store.change_mentorship(
                        kept, facts, now=now, idem=idem, answer=answers[0], roomy=True
                    )
                ]
                goals = await self._store.goals_of(caller.org_id, mentorship_id, session)
                reported = await self._store.check_ins_of((goal.state.goal_id for goal in goals), session)
                for goal in goals:
                    check_ins = reported.get(goal.state.goal_id, [])
                    goal_facts = of_goal(goal.state, check_ins, kept.state, now)
                    if goal_facts is not None:
                        changes.append(
                            self._store.change_goal(goal, goal_facts, after, check_ins, now=now, roomy=True)
                        )
                return changes

            await self._store.in_transaction(write, of=mentorship_id)
            return answers[0]

        return await self._store.once(self._store.mentorships, idem, self._clock.now(), work)

    async def _found(self, caller: Caller, mentorship_id: str) -> Kept[Mentorship]:
        kept = await self._store.mentorship(caller.org_id, mentorship_id)
        if kept is None:
            raise NotFound(NO_MENTORSHIP)
        return kept

    async def _leader_holds_goals(self, mentorship: Mentorship) -> bool:
        goals = await self._store.goals_of(mentorship.org_id, mentorship.mentorship_id)
        return any(goal.state.owner_id == mentorship.leader_id and goal.state.undecided for goal in goals)


_OfGoal = Callable[[Goal, Sequence[CheckIn], Mentorship, datetime], Sequence[GoalFact] | None]
"""What a turn does to a goal, given its check-ins and the mentorship before; None: it is not even written."""


def _answer(state: Mentorship, status: int = 200) -> Answer:
    body = shown.mentorship(state)
    return Answer(status, body, shown.headers(body))
