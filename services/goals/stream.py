"""Check-ins as they come in: kept as evidence, and what follows from them for goals."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field

from msgspec.structs import replace

from services.goals.domain.evidence import CheckIn
from services.goals.domain.goal import Goal
from services.goals.domain.progress import Progress
from services.goals.domain.rules import Rules
from services.goals.domain.verdict import weigh
from services.goals.store import Kept, Store
from shared.aggregates import Change
from shared.clock import Clock
from shared.events import CheckInAcknowledged, CheckInLogged
from shared.intake import Batch, Folded, Received
from shared.mongo import Session

UNKNOWN = "unknown: goal/{} is none of ours"
FOREIGN = "tenant: goal/{} belongs to another organization"
ELSEWHERE = "mentorship: goal/{} belongs to another one"


@dataclass(slots=True)
class _News:
    """What a batch says about one goal."""

    logged: list[CheckIn] = field(default_factory=list)
    acknowledged: set[str] = field(default_factory=set)


class CheckInsFold:
    """Folds CheckInLogged and CheckInAcknowledged of `onbelay.checkins.v1`.

    Delivery: exactly once in effect; check-ins, goals and their events are written in the intake's transaction,
    each goal guarded by the version that was read in it. Idempotency key: the intake's. On failure the intake
    comes again with the same batch. A record that names a goal that is not there, is another organization's, or
    belongs to another mentorship than named, is rejected: a dead letter.
    """

    def __init__(self, store: Store, clock: Clock, rules: Rules) -> None:
        self._store = store
        self._clock = clock
        self._rules = rules

    async def fold(self, batch: Batch, session: Session) -> Folded:
        """Take in a batch; what follows from a goal's check-ins is decided from all of them, at once."""
        records = [record for record in batch.records if _about_a_goal(record)]
        if not records:
            return Folded()
        goals = await self._store.goals_by_id((record.data.goal_id for record in records), session)
        news: dict[str, _News] = {}
        rejected: list[tuple[Received, str]] = []
        for record in records:
            reason = _wrong(record, goals)
            if reason is not None:
                rejected.append((record, reason))
                continue
            about = news.setdefault(record.data.goal_id, _News())
            _note(record, about, goals[record.data.goal_id].state)
        concerned = [goals[goal_id] for goal_id in news]
        changes = await self._changes(concerned, news, session)
        await self._store.take_in(
            [
                (goals[goal_id].state, check_in)
                for goal_id, about in news.items()
                for check_in in about.logged
            ],
            [id for about in news.values() for id in about.acknowledged],
            changes,
            session,
        )
        return Folded(after_commit=lambda: self._store.published(changes), rejected=rejected)

    async def _changes(
        self, goals: Iterable[Kept[Goal]], news: dict[str, _News], session: Session
    ) -> list[Change]:
        goals = list(goals)
        mentorships = await self._store.mentorships_by_id(
            (goal.state.mentorship_id for goal in goals), session
        )
        known = await self._store.check_ins_of(news, session)
        now = self._clock.now()
        changes = []
        for kept in goals:
            goal = kept.state
            about = news[goal.goal_id]
            mentorship = mentorships[goal.mentorship_id].state
            check_ins = [
                replace(check_in, acknowledged=True) if check_in.id in about.acknowledged else check_in
                for check_in in [*known.get(goal.goal_id, []), *about.logged]
            ]
            facts = weigh(goal, check_ins, grace=self._rules.grace, now=now, mentorship=mentorship)
            changes.append(self._store.change_goal(kept, facts, mentorship, check_ins, now=now, roomy=True))
        return changes


def _about_a_goal(record: Received) -> bool:
    return isinstance(record.data, CheckInLogged | CheckInAcknowledged) and record.data.goal_id is not None


def _wrong(record: Received, goals: dict[str, Kept[Goal]]) -> str | None:
    data = record.data
    kept = goals.get(data.goal_id)
    if kept is None:
        return UNKNOWN.format(data.goal_id)
    if kept.state.org_id != record.org_id:
        return FOREIGN.format(data.goal_id)
    if kept.state.mentorship_id != data.mentorship_id:
        return ELSEWHERE.format(data.goal_id)
    return None


def _note(record: Received, about: _News, goal: Goal) -> None:
    data = record.data
    if isinstance(data, CheckInAcknowledged):
        # Somebody else it was routed to may acknowledge it too; that settles nothing.
        if data.acknowledged_by == goal.counterpart_id:
            about.acknowledged.add(data.checkin_id)
        return
    progress = data.progress
    about.logged.append(
        CheckIn(
            id=data.checkin_id,
            author_id=data.author_id,
            occurred_at=data.occurred_at,
            logged_at=data.logged_at,
            progress=None
            if progress is None
            else Progress(
                value=progress.value,
                milestones=None if progress.milestones is None else tuple(progress.milestones),
                done=progress.done,
            ),
        )
    )
