"""Kafka to agendas and to webhooks: the folds of the topics.

Delivery and failures are the intake's (`shared.intake`): exactly once in effect, by one transaction per batch.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import datetime

from services.notifier.domain.causes import Happened
from services.notifier.domain.replica import fold
from services.notifier.store import Store
from shared.clock import Clock
from shared.intake import Batch, Fold, Folded
from shared.mongo import Session

READS = {
    "goals": (
        "MentorshipStarted",
        "MentorshipChanged",
        "MentorshipPaused",
        "MentorshipResumed",
        "MentorshipEnded",
        "ExpectationsProposed",
        "ExpectationsAgreed",
        "GoalSet",
        "GoalRevised",
        "RevisionProposed",
        "RevisionDeclined",
        "GoalMet",
        "GoalMissed",
        "GoalMissRetracted",
        "MissDisputed",
        "DisputeRejected",
        "GoalDropped",
        "PersonErased",
    ),
    "checkins": ("CheckInLogged", "CheckInAcknowledged", "CheckInLapsed"),
    "support": ("HelpRequested",),
    "nudges": ("NudgeSent", "NudgeSuppressed", "NudgeFailed"),
}
PUBLISHES = ("NudgeSent", "NudgeSuppressed", "NudgeFailed")


@dataclass(frozen=True, slots=True)
class AgendaFold:
    """Folds events onto what is known of goals and mentorships, and onto people's agendas."""

    store: Store
    clock: Clock

    async def fold(self, batch: Batch, session: Session) -> Folded:
        """Fold a batch; writes only through `session`, and may run again from its start."""
        replica = await self.store.load(batch, session)
        for record in batch.records:
            fold(replica, Happened(record.data, record.id, record.time))
        await self.store.save(replica, batch, self.clock.now(), session)
        return Folded()


@dataclass(frozen=True, slots=True)
class Folds:
    """All that events lead to here, in one transaction: agendas, but for what is told of nudges, and deliveries.

    `forget` drops what an identity provider told of a person, up to an instant.
    """

    agendas: Fold
    deliveries: Fold
    forget: Callable[[str, str, datetime, Session], Awaitable[None]]

    async def fold(self, batch: Batch, session: Session) -> Folded:
        """Fold a batch; runs again from its start when the transaction does."""
        if batch.topic != "nudges":
            await self.agendas.fold(batch, session)
        for record in batch.records:
            if record.type == "PersonErased":
                await self.forget(record.org_id, record.data.person_id, record.data.at, session)
        return await self.deliveries.fold(batch, session)
