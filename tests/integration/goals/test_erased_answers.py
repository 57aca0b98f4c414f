"""Erasing a person takes their words out of the answers kept for keys: theirs alone, and those stored up to then."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from typing import Any

import pytest

from services.goals.domain import expectations as e
from services.goals.domain import mentorship as m
from services.goals.domain.deadline import Deadline
from services.goals.domain.goal import Changes, Terms, Words
from services.goals.domain.progress import Measure
from services.goals.domain.rules import Rules
from services.goals.expectations import ExpectationsOfPairs
from services.goals.goals import Goals, Wanted
from services.goals.mentorships import Mentorships, StartMentorship
from services.goals.people import People
from services.goals.store import Store
from shared.clock import Clock
from shared.http import PARTICIPATE, PROGRAMS, Answer, Caller, Idem, IfMatch

pytestmark = pytest.mark.engines

MINE, THEIRS = "what the mentee wrote", "what the mentor wrote"
DEADLINE = Deadline(date=date(2026, 12, 18), time_zone="UTC")


class Ticking(Clock):
    """A second later each time that it is asked."""

    def now(self) -> datetime:
        self._latest = max(self._latest, datetime(2026, 11, 2, 9, tzinfo=UTC)) + timedelta(seconds=1)
        return self._latest


@dataclass
class Desk:
    """The use cases of a pair; who is erased is only noted until `work` is done."""

    store: Store
    mentorship_id: str = ""

    def __post_init__(self) -> None:
        self.clock = Ticking()
        self.goals = Goals(self.store, self.clock, Rules())
        self.pairs = ExpectationsOfPairs(self.store, self.clock)

    async def begin(self) -> Desk:
        facts = m.Facts(time_zone="UTC", check_in_every_days=7)
        start = StartMentorship(
            program_id="p", mentor_id="mentor", mentee_id="mentee", facts=facts, external_ref=None
        )
        answer = await Mentorships(self.store, self.clock, Rules()).start(who("hr", PROGRAMS), start, None)
        self.mentorship_id = body(answer)["mentorship_id"]
        return self

    async def sets(self, by: str, why: str, *, owner: str | None = None) -> Answer:
        """Set a goal with the key `set`."""

        def terms(_: m.Mentorship, now: datetime) -> Terms:
            return Terms(
                title="Read papers",
                measure=Measure(kind="done"),
                deadline=DEADLINE,
                check_in_every_days=7,
                why=Words(by=by, at=now, text=why),
            )

        wanted = Wanted(
            mentorship_id=self.mentorship_id,
            deadline=DEADLINE,
            terms=terms,
            owner_id=owner,
            external_ref=None,
        )
        return await self.goals.set(who(by), wanted, key("set"))

    async def revises(
        self, by: str, goal_id: str, *, why: str | None = None, title: str = "Read", reason: str | None = None
    ) -> str:
        """Ask for a change of a goal; the id of the proposal, if it is one."""
        words = None if why is None else Words(by=by, at=self.clock.now(), text=why)
        changes = Changes(names=("title",) if why is None else ("title", "why"), title=title, why=words)
        answer = await self.goals.revise(who(by), goal_id, changes, reason, IfMatch("*"))
        return str(body(answer).get("proposal_id"))

    async def accepts(self, by: str, goal_id: str, proposal_id: str) -> Answer:
        """Accept a proposal with the key `accept`."""
        return await self.goals.accept(who(by), goal_id, proposal_id, key("accept"))

    async def drops(self, goal_id: str) -> Answer:
        """Drop the mentee's goal with the key `drop`."""
        return await self.goals.say(who("mentee"), goal_id, "dropped", None, None, key("drop"))

    async def proposes(self, by: str, text: str) -> Answer:
        """Propose expectations with the key `propose`."""
        draft = e.Draft(
            items=(e.Item(role="mentor", text=text),),
            review_on=date(2026, 12, 1),
            escalate_to_coordinator=False,
            support_contact_id=None,
        )
        return await self.pairs.propose(who(by), self.mentorship_id, draft, key("propose"))

    async def signs(self, by: str) -> Answer:
        """Sign the first version with the key `sign`."""
        return await self.pairs.sign(who(by), self.mentorship_id, 1, key("sign"))

    async def erases(self, person: str) -> None:
        """Take the erasure of a person."""
        await People(self.store, self.clock).erase(who("hr", "onbelay:erase"), person, None)

    async def work(self) -> None:
        """Remove the words of who was erased."""
        for erasure in await self.store.pending_erasures(20):
            await self.store.erase_words(erasure, self.clock.now())
            await self.store.erased(erasure)


def who(person: str, scope: str = PARTICIPATE) -> Caller:
    return Caller(org_id="org-1", person_id=person, sub=person, scopes=frozenset({scope}))


def key(name: str) -> Idem:
    return Idem(k=name, fp="the same body")


def body(answer: Answer) -> dict[str, Any]:
    assert answer.body is not None
    return answer.body


def kept(answer: Answer) -> dict[str, Any]:
    """The body of an answer that was kept."""
    assert answer.replayed
    return body(answer)


@pytest.fixture
async def desk(store: Store) -> Desk:
    return await Desk(store).begin()


class TestAnswersKeptBeforeItIsDone:
    async def test_show_no_expectations_that_were_written_before(self, desk: Desk) -> None:
        await desk.proposes("mentee", MINE)
        await desk.erases("mentee")
        assert MINE in str(await desk.signs("mentor"))
        await desk.work()
        assert "items" not in kept(await desk.signs("mentor"))
        assert "items" not in kept(await desk.proposes("mentee", MINE))

    async def test_show_no_why_that_was_written_before(self, desk: Desk) -> None:
        goal_id = body(await desk.sets("mentee", MINE))["goal_id"]
        proposal_id = await desk.revises("mentor", goal_id)
        await desk.erases("mentee")
        assert body(await desk.accepts("mentee", goal_id, proposal_id))["why"] == MINE
        await desk.work()
        assert "why" not in kept(await desk.accepts("mentee", goal_id, proposal_id))
        assert "why" not in kept(await desk.sets("mentee", MINE))

    async def test_show_what_was_written_afterwards(self, desk: Desk) -> None:
        goal_id = body(await desk.sets("mentee", "before"))["goal_id"]
        await desk.erases("mentee")
        await desk.revises("mentee", goal_id, why="after")
        assert body(await desk.drops(goal_id))["why"] == "after"
        await desk.work()
        assert kept(await desk.drops(goal_id))["why"] == "after"
        assert "why" not in kept(await desk.sets("mentee", "before"))

    async def test_show_it_also_when_it_was_written_over_since(self, desk: Desk) -> None:
        goal_id = body(await desk.sets("mentee", "before"))["goal_id"]
        await desk.erases("mentee")
        await desk.revises("mentee", goal_id, why="after")
        proposal_id = await desk.revises("mentor", goal_id, title="Read nine papers")
        assert body(await desk.accepts("mentee", goal_id, proposal_id))["why"] == "after"
        await desk.revises("mentee", goal_id, why="last")
        await desk.work()
        assert kept(await desk.accepts("mentee", goal_id, proposal_id))["why"] == "after"


class TestKeptAnswers:
    async def test_show_what_another_wrote(self, desk: Desk) -> None:
        goal_id = body(await desk.sets("mentee", MINE))["goal_id"]
        await desk.revises("mentor", goal_id, reason=THEIRS)
        await desk.erases("mentor")
        await desk.work()
        assert kept(await desk.sets("mentee", MINE))["why"] == MINE

    async def test_show_no_why_of_theirs_that_another_accepted_and_wrote_over(self, desk: Desk) -> None:
        goal_id = body(await desk.sets("mentee", MINE))["goal_id"]
        proposal_id = await desk.revises("mentor", goal_id, why=THEIRS)
        assert body(await desk.accepts("mentee", goal_id, proposal_id))["why"] == THEIRS
        await desk.revises("mentee", goal_id, why="last")
        await desk.erases("mentor")
        await desk.work()
        assert "why" not in kept(await desk.accepts("mentee", goal_id, proposal_id))
        assert kept(await desk.sets("mentee", MINE))["why"] == MINE

    async def test_show_it_when_only_who_accepted_it_is_erased(self, desk: Desk) -> None:
        goal_id = body(await desk.sets("mentee", MINE))["goal_id"]
        proposal_id = await desk.revises("mentor", goal_id, why=THEIRS)
        await desk.accepts("mentee", goal_id, proposal_id)
        await desk.revises("mentee", goal_id, why="last")
        await desk.erases("mentee")
        await desk.work()
        assert kept(await desk.accepts("mentee", goal_id, proposal_id))["why"] == THEIRS
        assert "why" not in kept(await desk.sets("mentee", MINE))

    async def test_of_a_goal_set_for_another_show_no_why_of_who_set_it(self, desk: Desk) -> None:
        answer = body(await desk.sets("mentor", THEIRS, owner="mentee"))
        goal_id, proposal_id = answer["goal_id"], answer["proposal_id"]
        assert body(await desk.accepts("mentee", goal_id, proposal_id))["why"] == THEIRS
        await desk.revises("mentee", goal_id, why=MINE)
        await desk.erases("mentor")
        await desk.work()
        assert "why" not in kept(await desk.accepts("mentee", goal_id, proposal_id))
