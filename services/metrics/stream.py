"""Kafka: batches of the event topics, folded into what numbers are read from."""

from __future__ import annotations

from services.metrics.domain.fold import fold_checkins, fold_goals, fold_nudges, touched
from services.metrics.store import Folding
from shared.intake import Batch, Folded
from shared.mongo import Session

TOPICS = ("goals", "checkins", "nudges")
"""Not support: requests for help are in no number, and the notifier's alone to read."""


class Projection:
    """The fold of metrics.

    Delivery: exactly once in effect; everything is written through the intake's session, in the transaction that
    moves the offset, and increments rely on that. Idempotency key: (subject, topic, `ce_sequence`), the intake's.
    On failure nothing is stored and the batch is folded again from what is stored.
    """

    def __init__(self, store: Folding) -> None:
        self._store = store

    async def fold(self, batch: Batch, session: Session) -> Folded:
        """Fold a batch: at most one read and one bulk write per collection."""
        if batch.topic == "goals":
            goal_ids, mentorship_ids = touched(batch.records)
            goals = await self._store.goals(goal_ids, session) if goal_ids else {}
            mentorships = await self._store.mentorships(mentorship_ids, session) if mentorship_ids else {}
            changes = fold_goals(batch.records, goals, mentorships)
        elif batch.topic == "checkins":
            changes = fold_checkins(batch.records)
        else:
            changes = fold_nudges(batch.records)
        await self._store.write(changes, f"{batch.topic}/{batch.partition}", session)
        return Folded()
