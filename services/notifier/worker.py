"""The nudge worker: attends to whoever has something due.

Delivery: each reminder is said at most once per (recipient, kind, subject, period), and ends as one entry of the
ledger; a message goes out at least once, under the same Message-ID each time, and twice only when a process dies
between handing it over and recording that. Idempotency key: the reminder's key, unique in the ledger.

A person is claimed by a lease with a fencing token; what a worker decided is recorded only while its token is the
latest. Before a message is handed over it is stored which reminders it tells, under which Message-ID. On failure a
message is tried again with exponential backoff and jitter, each time after a new look at the present state, and in
the end its reminders are recorded as failed. What fails for another reason is logged, and taken up again when the
lease has run out.
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import date, datetime

import structlog
from pymongo.errors import PyMongoError

from services.notifier.compose import Composer, people_in
from services.notifier.domain.ledger import Entry, Outcome, entry
from services.notifier.domain.person import Person, Recipient, Reminder
from services.notifier.domain.plan import begin_attempt, due_now, end_attempt, look_again_at, next_at, plan
from services.notifier.domain.reasons import World
from services.notifier.senders import NotDelivered, Senders
from services.notifier.store import Claim, LeaseLost, Store
from shared import telemetry
from shared.aggregates import Duplicate, StaleWrite
from shared.clock import Clock
from shared.ids import uuid7

log = structlog.get_logger(__name__)

POLL_S = 0.2
PAGE = 500
FIRST_BACKOFF_S = 1.0
RETRY_AWAY_S = 1.0


@dataclass(frozen=True, slots=True)
class _Ready:
    """A message that is stored as about to go."""

    person: Person
    told: Sequence[Reminder]
    world: World
    decided_on: date
    now: datetime


class Nudger:
    """Attends to people.

    Args:
        store: the notifier's documents.
        clock: domain time.
        covered: up to which domain instant all events are folded; None while that is not known.
        composer: writes messages.
        senders: send them.
        message_domain: that of the Message-IDs.
        holdout: the share of reminders held out.
        attempts: after how many a message has failed.
        backoff_max_s: the longest wait between two, in real seconds.
        workers: how many people at once.
    """

    def __init__(
        self,
        store: Store,
        clock: Clock,
        covered: Callable[[], datetime | None],
        composer: Composer,
        senders: Senders,
        *,
        message_domain: str,
        holdout: float,
        attempts: int,
        backoff_max_s: float,
        workers: int,
    ) -> None:
        self._store = store
        self._clock = clock
        self._covered = covered
        self._composer = composer
        self._senders = senders
        self._message_domain = message_domain
        self._holdout = holdout
        self._attempts = attempts
        self._backoff_max_s = backoff_max_s
        self._slots = asyncio.Semaphore(workers)
        self._busy: set[tuple[str, str]] = set()

    async def run(self) -> None:
        """Attend to people until cancelled."""
        try:
            async with asyncio.TaskGroup() as group:
                while True:
                    more = False
                    try:
                        more = await self._round(group)
                    except PyMongoError as error:
                        log.warning("agendas not read", error=repr(error))
                        await asyncio.sleep(RETRY_AWAY_S)
                    if not more:
                        await self._clock.pause(POLL_S)
        finally:
            await self._senders.close()

    async def _round(self, group: asyncio.TaskGroup) -> bool:
        """Attend to a page of those who are due; whether there are more."""
        horizon = self._horizon(self._clock.now())
        if horizon is None:
            return False
        due = await self._store.due(horizon, PAGE)
        for who in due:
            if who in self._busy:
                continue
            await self._slots.acquire()
            self._busy.add(who)
            group.create_task(self._attend(*who))
        return len(due) == PAGE

    def _horizon(self, now: datetime) -> datetime | None:
        """What came due up to here can be decided: all events up to then are known."""
        covered = self._covered()
        return None if covered is None else min(now, covered)

    async def _attend(self, org_id: str, person_id: str) -> None:
        try:
            await self.attend(org_id, person_id)
        except LeaseLost:
            log.warning("lease lost: somebody else attends", person_id=person_id)
        except (PyMongoError, StaleWrite) as error:
            log.warning("not recorded, again when the lease is over", person_id=person_id, error=repr(error))
        except Duplicate:
            log.warning("said already: it leaves the agenda the next time", person_id=person_id)
        except Exception:
            # One person's trouble must not keep the others waiting; the lease brings it back.
            log.exception("attending failed", person_id=person_id)
        finally:
            self._busy.discard((org_id, person_id))
            self._slots.release()

    async def attend(self, org_id: str, person_id: str) -> None:
        """Do what is due to one person: record what is not sent, then send the rest as one message.

        Raises:
            LeaseLost, StaleWrite, Duplicate, PyMongoError: it was not recorded.
        """
        horizon = self._horizon(self._clock.now())
        claim = await self._store.claim(org_id, person_id, horizon) if horizon is not None else None
        if claim is None:
            return
        # To the end, since what was decided by one time must not be told, or recorded, by another: a sandbox clock
        # waits, for a hand-over takes less than it has patience.
        async with self._clock.deciding():
            ready = await self._decide(claim)
            if ready is not None:
                await self._send(claim, ready)

    async def _decide(self, claim: Claim) -> _Ready | None:
        now = self._clock.now()
        horizon = self._horizon(now) or now
        person = claim.person
        world = await self._store.world(person, due_now(person, now, horizon), self._holdout)
        decided = plan(person, world, now, horizon)
        message_id = f"<{uuid7()}@{self._message_domain}>"
        entries = [
            entry(
                found.reminder, person.person_id, uuid7(), "suppressed", now,
                reason=found.reason, because=found.because,
            )
            for found in decided.not_sent
        ]  # fmt: skip
        after = await self._store.record(
            claim,
            lambda present: begin_attempt(present, decided, message_id),
            entries,
            now,
            look_again_at=lambda present: look_again_at(present, decided, now),
            keep=bool(decided.told),
        )
        _count(entries)
        if not decided.told:
            return None
        return _Ready(after, decided.told, world, person.rhythm_for(decided.told[0]).day(now), now)

    async def _send(self, claim: Claim, ready: _Ready) -> None:
        attempt, recipient = ready.person.attempt, ready.person.recipient
        assert attempt is not None  # noqa: S101 - narrows; it was stored a moment ago
        if recipient is None:
            # Deleted or erased since it was decided: the next look finds the reason.
            await self._again(claim, attempt.tried)
            return
        try:
            channel = await self._hand_over(ready, recipient, attempt.message_id)
        except NotDelivered as failure:
            log.warning("not sent", message_id=attempt.message_id, tried=attempt.tried, reason=failure.reason)
            if failure.for_good or attempt.tried >= self._attempts:
                await self._end(claim, ready, "failed", attempt.message_id, failure.channel, failure.reason)
            else:
                await self._again(claim, attempt.tried)
        else:
            await self._end(claim, ready, "sent", attempt.message_id, channel)

    async def _hand_over(self, ready: _Ready, recipient: Recipient, message_id: str) -> str:
        person = ready.person
        try:
            names = await self._store.names(person.org_id, people_in(ready.told, ready.world))
            message = self._composer.message(person, recipient, ready.told, ready.world, names, ready.now)
            return await self._senders.send(recipient, message, message_id, ready.now)
        except (NotDelivered, PyMongoError):
            raise
        except Exception as error:
            # A fault of ours: it counts as a failed attempt, for no person to be stuck with one message for ever.
            log.exception("not written", message_id=message_id)
            raise NotDelivered("internal", for_good=False) from error

    async def _end(
        self,
        claim: Claim,
        ready: _Ready,
        outcome: Outcome,
        message_id: str,
        channel: str | None,
        reason: str | None = None,
    ) -> None:
        now = self._clock.now()
        entries = [
            entry(
                reminder, claim.person.person_id, uuid7(), outcome, now,
                reason=reason, message_id=message_id, channel=channel,
            )
            for reminder in ready.told
        ]  # fmt: skip
        sent_on = ready.decided_on if outcome == "sent" else None
        await self._store.record(
            claim,
            lambda present: end_attempt(present, ready.told, sent_on),
            entries,
            now,
            look_again_at=lambda present: next_at(present, now),
        )
        _count(entries)

    async def _again(self, claim: Claim, tried: int) -> None:
        wait = min(self._backoff_max_s, FIRST_BACKOFF_S * 2 ** (tried - 1))
        now = self._clock.now()
        await self._store.record(
            claim,
            lambda present: present,
            (),
            now,
            look_again_at=lambda present: next_at(present, now),
            retry_s=wait * random.uniform(0.5, 1.0),  # noqa: S311 - jitter, no secret
        )


def _count(entries: Sequence[Entry]) -> None:
    for made in entries:
        if made.event() is not None:
            telemetry.NUDGES.labels(made.kind, made.outcome, made.reason or "").inc()
