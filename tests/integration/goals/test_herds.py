"""Deadlines that come in herds, and the watermark that all of them wait for."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from uuid import uuid4

import pytest

from services.goals.domain import mentorship as m
from services.goals.domain.deadline import Deadline
from services.goals.domain.evidence import CheckIn
from services.goals.domain.goal import Changes, Goal, SetGoal, Terms, set_goal
from services.goals.domain.mentorship import Mentorship
from services.goals.domain.progress import Measure, Progress
from services.goals.domain.rules import Rules
from services.goals.goals import Goals
from services.goals.mentorships import Mentorships
from services.goals.misses import BATCH, Deadlines
from services.goals.store import Store
from shared.aggregates import StaleWrite
from shared.clock import SystemClock
from shared.errors import Conflict
from shared.http import PARTICIPATE, PROGRAMS, Caller, IfMatch
from shared.ids import uuid7
from shared.kafka import partition_of
from shared.mongo import Collection, Doc, Mongo, Session
from shared.time import format_instant, parse_instant
from tests.conftest import NewSystem
from tests.integration.goals.world import GRACE, Pair, refused
from tests.support.engines import Engines
from tests.support.polling import eventually

pytestmark = pytest.mark.engines
PARTITIONS = 3
HERD = 3 * BATCH
MINUTE = timedelta(minutes=1)


class Kicks:
    """A publisher that notes what it is told of."""

    def __init__(self) -> None:
        self.told: Counter[str] = Counter()

    def kick(self, collection: Collection, document: Doc) -> None:
        self.told[document["_id"]] += 1


@dataclass
class Herd:
    """Goals of some mentorships in MongoDB, all due at one instant that has passed, and who decides them."""

    mongo: Mongo
    store: Store
    due: datetime
    mentorships: dict[int, Mentorship]
    watermark: datetime

    def worker(self, *, lane: int = 0, lanes: int = 1) -> Deadlines:
        """One of the workers that decide."""

        async def watermarks() -> dict[int, datetime]:
            return dict.fromkeys(self.mentorships, self.watermark)

        return Deadlines(self.store, SystemClock(), Rules(grace=GRACE), watermarks, lane=lane, lanes=lanes)

    @property
    def terms(self) -> Terms:
        """Of each of the goals."""
        cutoff = self.due.strftime("%H:%M:%S")
        return Terms(
            title="Read seven papers",
            measure=Measure(kind="done"),
            deadline=Deadline(date=self.due.date(), time_zone="UTC", cutoff=cutoff),
            check_in_every_days=7,
        )

    async def grow(self, count: int) -> list[Goal]:
        """Set so many goals, by turns in each mentorship."""
        set_at = self.due - timedelta(days=7)
        changes = []
        goals = []
        for number in range(count):
            mentorship = self.mentorships[number % len(self.mentorships)]
            command = SetGoal(
                goal_id=uuid7(), proposal_id="", by="mentee", owner_id="mentee", terms=self.terms, at=set_at
            )
            goal, facts = set_goal(mentorship, command)
            goals.append(goal)
            changes.append(self.store.new_goal(goal, facts, mentorship, now=set_at))
        await self.store.commit(*changes)
        return goals

    async def checked_in(self, goals: list[Goal]) -> None:
        """Take in a check-in in time on each."""
        at = self.due - MINUTE
        done = Progress(done=True)
        logged = [
            (
                goal,
                CheckIn(id=uuid7(), author_id="mentee", occurred_at=at, logged_at=at, progress=done),
            )
            for goal in goals
        ]
        await self.mongo.transaction(lambda session: self.store.take_in(logged, [], [], session))

    async def documents(self) -> list[Doc]:
        """All goals as they are stored."""
        return await self.store.goals.collection.find().to_list(None)


@pytest.fixture
async def herd(engines: Engines) -> AsyncIterator[Herd]:
    mongo = Mongo.connect(engines.mongo)
    name = f"t{uuid4().hex[:12]}_goals"
    store = Store(mongo, mongo.database(name), Kicks(), partitions=PARTITIONS, grace=GRACE)
    due = datetime.now(UTC).replace(microsecond=0) - timedelta(days=1)
    mentorships: dict[int, Mentorship] = {}
    while len(mentorships) < PARTITIONS:
        state = Mentorship(
            org_id="org-1",
            program_id="program",
            mentorship_id=uuid7(),
            mentor_id="mentor",
            mentee_id="mentee",
            facts=m.Facts(time_zone="UTC", check_in_every_days=7),
            started_at=due,
        )
        mentorships[partition_of(state.mentorship_id, PARTITIONS)] = state
    try:
        await store.make_indexes()
        for state in mentorships.values():
            await store.commit(store.new_mentorship(state, [m.Started(at=due)], now=due))
        yield Herd(mongo, store, due, mentorships, due + timedelta(hours=1))
    finally:
        await mongo.drop_database(name)
        await mongo.close()


def caller(person: str, scope: str = PARTICIPATE) -> Caller:
    return Caller(org_id="org-1", person_id=person, sub=person, scopes=frozenset({scope}))


def types(document: Doc) -> list[str]:
    return [event["type"] for event in document["events"]]


Meanwhile = Callable[[Callable[[], Awaitable[None]]], None]


class TestAHerd:
    async def test_is_decided_by_500_at_once_each_once_and_by_its_own_evidence(self, herd: Herd) -> None:
        goals = await herd.grow(HERD)
        in_time = goals[::100]
        await herd.checked_in(in_time)
        worker = herd.worker()
        assert [await worker.decide_due() for _ in range(4)] == [BATCH, BATCH, BATCH, 0]
        met = {goal.goal_id for goal in in_time}
        for document in await herd.documents():
            outcome = "GoalMet" if document["_id"] in met else "GoalMissed"
            assert types(document) == ["GoalSet", outcome]

    async def test_is_decided_once_by_however_many_processes(self, herd: Herd) -> None:
        await herd.grow(60)
        workers = [herd.worker() for _ in range(3)]
        await asyncio.gather(*(worker.decide_due() for worker in workers))
        assert {tuple(types(document)) for document in await herd.documents()} == {("GoalSet", "GoalMissed")}

    async def test_is_shared_by_lanes_each_of_which_decides_its_own_partitions(self, herd: Herd) -> None:
        await herd.grow(60)
        lanes = [herd.worker(lane=lane, lanes=PARTITIONS) for lane in range(PARTITIONS)]
        for lane, worker in enumerate(lanes):
            assert await worker.decide_due() == 20
            decided = {each["part"] for each in await herd.documents() if each["state"] == "missed"}
            assert decided == set(range(lane + 1))

    async def test_the_most_overdue_come_first(self, herd: Herd) -> None:
        await herd.grow(BATCH)
        herd.due -= timedelta(hours=1)
        (earlier,) = await herd.grow(1)
        assert await herd.worker().decide_due() == BATCH
        document = await herd.store.goals.collection.find_one({"_id": earlier.goal_id})
        assert document is not None
        assert document["state"] == "missed"

    async def test_of_one_partition_is_recorded_in_the_order_in_which_it_was_due(self, herd: Herd) -> None:
        """As after an outage: one goal after the other, also where they are more than are decided at once."""
        dues = [herd.due - number * MINUTE for number in range(40)]
        for herd.due in [*dues[1::2], *dues[::2]]:
            await herd.grow(PARTITIONS)
        for lane in range(PARTITIONS):
            worker = herd.worker(lane=lane, lanes=PARTITIONS)
            worker._batch = 1
            while await worker.decide_due():
                pass
        documents = sorted(await herd.documents(), key=lambda each: each["due_at"])
        for mentorship in herd.mentorships.values():
            misses = [
                each["events"][-1] for each in documents if each["mentorship_id"] == mentorship.mentorship_id
            ]
            recorded = [each["time"] for each in misses]
            assert (len(recorded), recorded) == (len(dues), sorted(recorded))
            assert [parse_instant(each["data"]["missed_at"]) for each in misses] == recorded

    async def test_what_is_decided_is_published(self, herd: Herd) -> None:
        goals = await herd.grow(3)
        kicks = herd.store.goals._outbox
        assert isinstance(kicks, Kicks)
        kicks.told.clear()
        await herd.worker().decide_due()
        assert kicks.told.keys() >= {goal.goal_id for goal in goals}


class TestAHerdAmongPeople:
    async def test_is_decided_while_people_do_other_things_in_its_mentorships(self, herd: Herd) -> None:
        """Each write of theirs would have a transaction begin again that is about their mentorships."""
        await herd.grow(BATCH)
        done = False

        async def busy(mentorship: Mentorship) -> int:
            times = 0
            while not done:
                kept = await herd.store.mentorship("org-1", mentorship.mentorship_id)
                assert kept is not None
                await herd.store.commit(herd.store.touch(kept))
                times += 1
            return times

        people = [asyncio.create_task(busy(mentorship)) for mentorship in herd.mentorships.values()]
        assert await herd.worker().decide_due() == BATCH
        done = True
        assert all(times > 0 for times in await asyncio.gather(*people))

    async def test_is_decided_while_people_write_to_its_very_goals(self, herd: Herd) -> None:
        goals = await herd.grow(120)
        done = False

        async def busy(goal: Goal) -> None:
            while not done:
                kept = await herd.store.goal("org-1", goal.goal_id)
                assert kept is not None
                mentorship = herd.mentorships[kept.doc["part"]]
                now = herd.due + MINUTE
                with suppress(StaleWrite):
                    await herd.store.commit(herd.store.change_goal(kept, [], mentorship, [], now=now))

        people = [asyncio.create_task(busy(goal)) for goal in goals[::30]]
        worker = herd.worker()
        while await worker.decide_due():
            pass
        done = True
        await asyncio.gather(*people)
        assert {tuple(types(document)) for document in await herd.documents()} == {("GoalSet", "GoalMissed")}

    async def test_an_end_and_a_decision_at_the_same_moment_exclude_each_other(self, herd: Herd) -> None:
        goals = await herd.grow(PARTITIONS)
        services = Mentorships(herd.store, SystemClock(), Rules(grace=GRACE))
        turns = (services.end(caller("hr", PROGRAMS), goal.mentorship_id, None) for goal in goals)
        await asyncio.gather(herd.worker().decide_due(), *turns)
        while await herd.worker().decide_due():
            pass
        # All were due before the end, and so are missed as ever: once, and never dropped as well.
        assert {tuple(types(document)) for document in await herd.documents()} == {("GoalSet", "GoalMissed")}


class TestWhatComesBetweenReadingAndStoring:
    """A decision by what was read is not stored once it is another; the others of its batch are."""

    @pytest.fixture
    def meanwhile(self, herd: Herd, monkeypatch: pytest.MonkeyPatch) -> Meanwhile:
        """Has something done once, as soon as goals, mentorships and check-ins are read."""
        read = herd.store.check_ins_of

        def arrange(deed: Callable[[], Awaitable[None]]) -> None:
            async def then(ids: Iterable[str], session: Session | None = None) -> dict[str, list[CheckIn]]:
                monkeypatch.undo()
                found = await read(ids, session)
                await deed()
                return found

            monkeypatch.setattr(herd.store, "check_ins_of", then)

        return arrange

    async def test_evidence(self, herd: Herd, meanwhile: Meanwhile) -> None:
        goal, *others = await herd.grow(3)
        kicks = herd.store.goals._outbox
        assert isinstance(kicks, Kicks)
        kicks.told.clear()

        async def take_in() -> None:
            at = herd.due - MINUTE
            check_in = CheckIn(
                id=uuid7(), author_id="mentee", occurred_at=at, logged_at=at, progress=Progress(done=True)
            )
            kept = await herd.store.goal("org-1", goal.goal_id)
            assert kept is not None
            mentorship = herd.mentorships[kept.doc["part"]]
            change = herd.store.change_goal(kept, [], mentorship, [check_in], now=herd.due + MINUTE)
            await herd.mongo.transaction(
                lambda session: herd.store.take_in([(goal, check_in)], [], [change], session)
            )

        meanwhile(take_in)
        worker = herd.worker()
        assert await worker.decide_due() == 3
        states = {each["_id"]: each["state"] for each in await herd.documents()}
        assert states == {goal.goal_id: "active"} | {each.goal_id: "missed" for each in others}
        assert kicks.told.keys() >= {each.goal_id for each in others}
        assert await worker.decide_due() == 1
        states = {each["_id"]: each["state"] for each in await herd.documents()}
        assert states[goal.goal_id] == "met"

    async def test_a_pause(self, herd: Herd, meanwhile: Meanwhile) -> None:
        """One that began before the deadline, told when it had passed."""
        goal, *others = await herd.grow(PARTITIONS)
        at = herd.due - MINUTE

        async def pause() -> None:
            kept = await herd.store.mentorship("org-1", goal.mentorship_id)
            its_goal = await herd.store.goal("org-1", goal.goal_id)
            assert kept is not None
            assert its_goal is not None
            paused = herd.store.change_mentorship(kept, [m.Paused(at=at)], now=at)
            state = m.evolve(kept.state, m.Paused(at=at))
            await herd.store.commit(paused, herd.store.change_goal(its_goal, [], state, [], now=at))

        meanwhile(pause)
        worker = herd.worker()
        await worker.decide_due()
        states = {each["_id"]: each["state"] for each in await herd.documents()}
        assert states == {goal.goal_id: "active"} | {each.goal_id: "missed" for each in others}
        assert await worker.decide_due() == 0


class TestAPauseThatComesInBetween:
    """What is decided by a mentorship as it was read is not stored once it is another."""

    @pytest.fixture
    def goals(self, herd: Herd, monkeypatch: pytest.MonkeyPatch) -> Goals:
        """The use cases; the mentorship is paused as soon as the first of them has read it and its goal."""
        read = herd.store.check_ins

        async def paused_first(goal_id: str) -> list[CheckIn]:
            monkeypatch.undo()
            services = Mentorships(herd.store, SystemClock(), Rules())
            await services.pause(caller("hr", PROGRAMS), herd.mentorships[0].mentorship_id, None)
            return await read(goal_id)

        monkeypatch.setattr(herd.store, "check_ins", paused_first)
        herd.due += timedelta(days=30)
        return Goals(herd.store, SystemClock(), Rules())

    async def test_is_seen_by_who_revises_a_goal(self, herd: Herd, goals: Goals) -> None:
        """The pause has written it, as every active goal."""
        (goal,) = await herd.grow(1)
        changes = Changes(names=("title",), title="Read nine papers")
        with pytest.raises(Conflict, match="paused"):
            await goals.revise(caller("mentee"), goal.goal_id, changes, None, IfMatch("*"))
        (document,) = await herd.documents()
        assert document["revision"] == 1

    async def test_is_seen_by_who_accepts_one(self, herd: Herd, goals: Goals) -> None:
        """The pause has written no goal that is but proposed: it is the mentorship that tells."""
        mentorship, now = herd.mentorships[0], herd.due - timedelta(days=29)
        command = SetGoal(
            goal_id=uuid7(), proposal_id="p-1", by="mentor", owner_id="mentee", terms=herd.terms, at=now
        )
        goal, facts = set_goal(mentorship, command)
        await herd.store.commit(herd.store.new_goal(goal, facts, mentorship, now=now))
        with pytest.raises(Conflict, match="paused"):
            await goals.accept(caller("mentee"), goal.goal_id, "p-1", None)
        (document,) = await herd.documents()
        assert document["state"] == "proposed"


class TestTheWatermarkOfAPartition:
    async def test_holds_its_misses_until_it_has_passed_deadline_and_grace(self, herd: Herd) -> None:
        await herd.grow(PARTITIONS)
        millisecond = timedelta(milliseconds=1)
        herd.watermark = herd.due + GRACE - millisecond
        assert await herd.worker().decide_due() == 0
        herd.watermark += millisecond
        assert await herd.worker().decide_due() == PARTITIONS

    async def test_holds_no_other_partitions(self, herd: Herd) -> None:
        await herd.grow(PARTITIONS)
        behind = herd.mentorships.pop(0)
        assert await herd.worker().decide_due() == PARTITIONS - 1
        (waiting,) = [each for each in await herd.documents() if each["state"] == "active"]
        assert waiting["mentorship_id"] == behind.mentorship_id

    async def test_a_goal_of_a_mentorship_that_changed_meanwhile_is_decided_by_what_it_is_then(
        self, herd: Herd
    ) -> None:
        """Paused after the deadline: decided as ever; paused before it: not."""
        goals = await herd.grow(2)
        for goal, at in zip(goals, (herd.due, herd.due - MINUTE), strict=True):
            kept = await herd.store.mentorship("org-1", goal.mentorship_id)
            assert kept is not None
            await herd.store.commit(herd.store.change_mentorship(kept, [m.Paused(at=at)], now=at))
        await herd.worker().decide_due()
        states = {each["_id"]: each["state"] for each in await herd.documents()}
        assert [states[goal.goal_id] for goal in goals] == ["missed", "active"]
        assert await herd.worker().decide_due() == 0


class TestACrash:
    async def test_misses_wait_for_a_checkins_service_that_died_with_one_unpublished(
        self, new_system: NewSystem
    ) -> None:
        """A check-in answered 201 in time never ends in a miss, whatever crashed in between."""
        system = await new_system(("goals", "checkins"), env={"ONBELAY_GOALS_MISS_GRACE_S": "1"})
        pair = await Pair(system).begin()
        warm = await pair.sets()
        await pair.checks_in(warm)
        due = await pair.in_(timedelta(seconds=4))
        in_time, without = await pair.sets(due=due), await pair.sets(due=due)
        await pair.checks_in(in_time)
        system.kill("checkins")
        await system.ended("checkins")

        async def passed() -> bool:
            return bool(await system.now() > due + timedelta(seconds=2))

        await eventually(passed)
        states = {goal_id: (await pair.sees(goal_id))["state"] for goal_id in (in_time, without)}
        assert states[without] == "active"
        assert states[in_time] in ("active", "met")
        waiting = await pair.says(without, "dropped")
        refused(waiting, 409)
        assert int(waiting.headers["retry-after"]) > 0
        await system.start("checkins")
        await pair.becomes(without, "missed")
        goal = await pair.becomes(in_time, "met")
        assert parse_instant(goal["met_at"]) < due
        assert await pair.types(in_time) == ["GoalSet", "GoalMet"]
        assert await pair.types(without) == ["GoalSet", "GoalMissed"]
        assert (await pair.sees(without))["due_at"] == format_instant(due)
