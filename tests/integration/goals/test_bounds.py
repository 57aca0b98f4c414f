"""What a goal can grow to, and what waits for Kafka at most: clear refusals, and nothing lost."""

from __future__ import annotations

from datetime import date, timedelta

import pytest

from services.goals.domain import mentorship as m
from services.goals.domain.deadline import Deadline
from services.goals.domain.goal import Changes, Terms
from services.goals.domain.progress import Measure
from services.goals.domain.rules import MAX_REVISIONS, Rules
from services.goals.goals import Goals, Wanted
from services.goals.mentorships import Mentorships, StartMentorship
from services.goals.store import Store
from shared.aggregates import MAX_DOCUMENT_BYTES, MAX_UNPUBLISHED
from shared.clock import SystemClock
from shared.errors import Unavailable
from shared.http import PARTICIPATE, PROGRAMS, Caller, IfMatch
from shared.mongo import Mongo
from tests.integration.goals.world import GRACE, Pair, refused
from tests.support.system import System

pytestmark = pytest.mark.engines
MANY = {"kind": "milestones", "milestones": [f"{n:0200}" for n in range(50)]}
"""The largest of measures: 10 KB."""


class TestADocument:
    async def test_of_256_kb_takes_no_more_of_what_people_do_and_all_that_must_be(
        self, system: System
    ) -> None:
        pair = await Pair(system).begin()
        due = await pair.in_(timedelta(days=1))
        goal_id = await pair.sets(due=due, measure=MANY)
        for number in range(MAX_DOCUMENT_BYTES // 10_000):
            answer = await pair.revises(goal_id, title=f"Climb {number} mountains")
            if answer.status_code != 200:
                break
        refused(answer, 409)
        assert "retry-after" not in answer.headers
        goal = await pair.sees(goal_id)
        assert 10 < goal["revision"] <= MAX_DOCUMENT_BYTES // 10_000

        # Nobody may refuse a pause, a deadline that moves with it, evidence, or a miss.
        await pair.turns("pause")
        await pair.turns("resume")
        await pair.checks_in(goal_id, progress={"milestones": MANY["milestones"][:25]})
        await system.move(due + timedelta(days=1) + GRACE)
        missed = await pair.becomes(goal_id, "missed")
        assert (missed["revision"], missed["fraction"]) == (goal["revision"] + 1, 0.5)
        *_, last = await pair.history(goal_id)
        assert (last["type"], last["fraction"]) == ("GoalMissed", 0.5)

    async def test_of_500_revisions_takes_no_more(self, system: System) -> None:
        pair = await Pair(system).begin()
        goal_id = await pair.sets()
        mongo = Mongo.connect(system.mongo)
        try:
            # As after so many of them; to make them would take a minute.
            await system.database(mongo, "goals")["goals"].update_one(
                {"_id": goal_id}, {"$set": {"revision": MAX_REVISIONS - 1}}
            )
        finally:
            await mongo.close()
        answer = await pair.revises(goal_id, title="The last one")
        assert (answer.status_code, answer.json()["revision"]) == (200, MAX_REVISIONS)
        refused(await pair.revises(goal_id, title="One more"), 409)
        assert (await pair.says(goal_id, "dropped")).status_code == 200


class TestWithoutKafka:
    async def test_a_goal_takes_changes_until_100_events_wait_and_goes_on_afterwards(
        self, store: Store
    ) -> None:
        clock = SystemClock()
        hr, mentee = (
            Caller(org_id="org-1", person_id=person, sub=person, scopes=frozenset({scope}))
            for person, scope in (("hr", PROGRAMS), ("mentee", PARTICIPATE))
        )
        facts = m.Facts(time_zone="UTC", check_in_every_days=7)
        start = StartMentorship(
            program_id="p", mentor_id="mentor", mentee_id="mentee", facts=facts, external_ref=None
        )
        started = await Mentorships(store, clock, Rules()).start(hr, start, None)
        assert started.body is not None
        next_year = date(clock.now().year + 1, 12, 18)
        terms = Terms(
            title="Read papers",
            measure=Measure(kind="done"),
            deadline=Deadline(date=next_year, time_zone="UTC"),
            check_in_every_days=7,
        )
        wanted = Wanted(
            mentorship_id=started.body["mentorship_id"],
            deadline=terms.deadline,
            terms=lambda mentorship, now: terms,
            owner_id=None,
            external_ref=None,
        )
        goals = Goals(store, clock, Rules())
        answer = await goals.set(mentee, wanted, None)
        assert answer.body is not None
        goal_id = answer.body["goal_id"]

        async def revise(number: int) -> int:
            changes = Changes(names=("title",), title=f"Read {number} papers")
            return (await goals.revise(mentee, goal_id, changes, None, IfMatch("*"))).status

        for number in range(1, MAX_UNPUBLISHED):
            assert await revise(number) == 200
        with pytest.raises(Unavailable) as refusal:
            await revise(MAX_UNPUBLISHED)
        assert refusal.value.retry_after
        doc = await store.goals.collection.find_one({"_id": goal_id})
        assert doc is not None
        assert (doc["seq"], doc["published"], doc["revision"]) == (MAX_UNPUBLISHED, 0, MAX_UNPUBLISHED)
        await store.goals.collection.update_one({"_id": goal_id}, {"$set": {"published": MAX_UNPUBLISHED}})
        assert await revise(MAX_UNPUBLISHED) == 200


def test_the_bounds_are_those_of_the_design() -> None:
    assert (MAX_REVISIONS, MAX_DOCUMENT_BYTES, MAX_UNPUBLISHED) == (500, 256 * 1024, 100)
