"""The use cases: logging, reading and acknowledging check-ins."""

from __future__ import annotations

import hashlib
import time
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import Any

import msgspec

from services.checkins.domain.check_in import (
    NO_CHECK_IN,
    NO_GOAL,
    CheckIn,
    LogCheckIn,
    acknowledge,
    log,
    occurred,
    pair_of,
)
from services.checkins.domain.known import Goal, Mentorship
from services.checkins.domain.privacy import Reader, answer_without_words, exists_for, reads_words
from services.checkins.news import News, Patience
from services.checkins.shown import shown
from services.checkins.store import CheckIns, Filters, Replica, Stored
from shared import events as contract
from shared.aggregates import Duplicate, retry_stale
from shared.clock import Clock
from shared.errors import Conflict, Forbidden, NotFound, Unavailable, Unprocessable
from shared.http.auth import PARTICIPATE, PROGRAMS, Caller
from shared.http.conditional import etag
from shared.http.pages import Page, Position
from shared.idempotency import Answer, Idem
from shared.ids import uuid7
from shared.kafka import partition_of

REFUSALS = (NotFound, Forbidden, Conflict, Unprocessable)
"""What a request is refused with for reasons of its own; a kept answer goes before them."""
TRIES = 8


@dataclass(frozen=True, slots=True)
class Limits:
    """The bounds of logging.

    `backdate`: how long ago it may have occurred. `write_s`: a check-in whose write takes longer, in real seconds, is
    refused, since a watermark may have passed it. `partitions`: of the checkins topic.
    """

    backdate: timedelta
    write_s: float
    partitions: int


@dataclass(slots=True)
class _Decided:
    """A check-in that may be logged; `began` is real time, when its `logged_at` was read."""

    check_in: CheckIn
    events: list[contract.Event]
    began: float


class Logbook:
    """Check-ins, as requests see them. Every method's `Refused` are those of the contract."""

    def __init__(
        self, check_ins: CheckIns, replica: Replica, news: News, clock: Clock, limits: Limits
    ) -> None:
        self._check_ins = check_ins
        self._replica = replica
        self._news = news
        self._clock = clock
        self._limits = limits

    # -- logging

    def patience(self) -> Patience:
        """How long a request that comes now waits for news."""
        return self._news.patience()

    async def log(
        self,
        caller: Caller,
        command: LogCheckIn,
        idem: Idem | None,
        *,
        patience: Patience | None = None,
        dry_run: bool = False,
    ) -> Answer:
        """Log a check-in of the acting person: one look-up and one write.

        The write tells whether the idempotency key was used, so that a new key costs no look-up of its own. A kept
        answer goes before a refusal: what has changed since does not change it.

        Raises:
            Unavailable: the write took too long to promise that no deadline passes it over.
        """
        try:
            decided = await self._decided(
                caller.org_id, caller.person_id, command, patience or self.patience()
            )
            if dry_run:
                return await self._would_answer(caller, command, idem)
            return await self._stored(caller, decided, idem)
        except REFUSALS:
            kept = await self._check_ins.replay(idem, self._clock.now())
            if kept is None:
                raise
            return _told_to(caller, kept)

    async def _decided(
        self, org_id: str, person_id: str, command: LogCheckIn, patience: Patience
    ) -> _Decided:
        if command.occurred_at is not None:
            occurred(command, self._clock.now(), self._limits.backdate)
        try:
            return await self._decide(org_id, person_id, command, patience)
        except REFUSALS:
            # Perhaps for a reason that has passed already, and the news of it is on its way.
            caught_up = await self._news.caught_up(command.mentorship_id, patience)
            try:
                return await self._decide(org_id, person_id, command, patience, fresh=True)
            except REFUSALS:
                if not caught_up:
                    self._news.refuse_late(command.mentorship_id)
                raise

    async def _decide(
        self, org_id: str, person_id: str, command: LogCheckIn, patience: Patience, *, fresh: bool = False
    ) -> _Decided:
        mentorship, goal = await self._news.find(
            org_id, command.mentorship_id, command.goal_id, patience, fresh=fresh
        )
        began, now = time.monotonic(), self._clock.now()
        check_in, events = log(
            command,
            person_id,
            mentorship,
            goal,
            occurred_at=occurred(command, now, self._limits.backdate),
            now=now,
            checkin_id=uuid7(),
        )
        return _Decided(check_in, events, began)

    async def _would_answer(self, caller: Caller, command: LogCheckIn, idem: Idem | None) -> Answer:
        kept = await self._check_ins.replay(idem, self._clock.now())
        if kept is not None:
            return _told_to(caller, kept)
        if command.goal_id is not None:
            self._check_ins.give_back(command.goal_id, await self._check_ins.number(command.goal_id))
        return Answer(201)

    async def _stored(self, caller: Caller, decided: _Decided, idem: Idem | None) -> Answer:
        check_in = decided.check_in
        answer = _created(check_in, caller)
        for _ in range(TRIES):
            try:
                await self._add(decided, idem=idem, answer=answer)
            except Duplicate as duplicate:
                if duplicate.field == "goal_id":
                    continue
                kept = await self._check_ins.replay(idem, check_in.logged_at)
                if kept is not None:
                    return _told_to(caller, kept)
                continue
            return answer
        raise Conflict("Others keep logging on this goal; try again.", retry_after=1)

    async def _add(
        self,
        decided: _Decided,
        *,
        idem: Idem | None = None,
        answer: Answer | None = None,
        link: str | None = None,
    ) -> None:
        """Store a check-in in time, or not at all as far as its author is told.

        Raises:
            Duplicate: as `CheckIns.add`.
            Conflict: the goal is full.
            Unavailable: it took too long.
        """
        check_in = decided.check_in
        number = await self._check_ins.number(check_in.goal_id) if check_in.goal_id is not None else None
        self._in_time(decided)
        try:
            await self._check_ins.add(
                check_in,
                decided.events,
                partition=partition_of(check_in.mentorship_id, self._limits.partitions),
                number=number,
                link=link,
                idem=idem,
                answer=answer,
            )
        except Duplicate as duplicate:
            if check_in.goal_id is not None and number is not None:
                if duplicate.field == "goal_id":
                    self._check_ins.forget_numbers(check_in.goal_id)
                else:
                    self._check_ins.give_back(check_in.goal_id, number)
            raise
        self._in_time(decided)

    def _in_time(self, decided: _Decided) -> None:
        if time.monotonic() - decided.began > self._limits.write_s:
            raise Unavailable("Storing this took too long; try again.", retry_after=1)

    # -- by a one-tap link

    async def about(self, org_id: str, goal_id: str, person_id: str) -> tuple[Mentorship, Goal]:
        """What a link of a person is about.

        Raises:
            NotFound: it is not there, or not theirs.
            Unavailable: it is not there, but this service knows that it is behind.
        """
        mentorship, goal = await self._news.find_goal(org_id, goal_id, self.patience())
        if person_id not in pair_of(goal, mentorship):
            raise NotFound(NO_GOAL)
        return mentorship, goal

    async def logged_by_link(self, token: str) -> CheckIn | None:
        """What was logged by a token, if something was."""
        return await self._check_ins.by_link(_link(token))

    async def latest_progress(self, goal: Goal) -> contract.Progress | None:
        """The goal's progress by the last check-in that reports it."""
        if goal.measure is None:
            return None
        return await self._check_ins.latest_progress(goal.goal_id, goal.measure.kind)

    async def log_by_link(self, org_id: str, person_id: str, command: LogCheckIn, token: str) -> CheckIn:
        """Log a check-in by a token, once: whoever comes second is shown what the first did."""
        decided = await self._decided(org_id, person_id, command, self.patience())
        for _ in range(TRIES):
            try:
                await self._add(decided, link=_link(token))
            except Duplicate as duplicate:
                before = await self.logged_by_link(token) if duplicate.field == "link" else None
                if before is not None:
                    return before
                continue
            return decided.check_in
        raise Conflict("Others keep logging on this goal; try again.", retry_after=1)

    # -- reading

    async def read(self, caller: Caller, checkin_id: str) -> Answer:
        """A check-in, with its private words for those who may read them."""
        reader = _reader(caller)
        stored, _ = await self._existing(caller, reader, checkin_id)
        body = shown(stored.check_in, words=reads_words(stored.check_in, reader))
        return Answer(200, body, {"ETag": etag(stored.version)})

    async def list(self, caller: Caller, filters: Filters, page: Page) -> Mapping[str, Any]:
        """The check-ins that exist for the caller, newest first."""
        reader = _reader(caller)
        mine: list[str] = []
        if not reader.coordinates and filters.mentorship_id is not None:
            mentorship = await self._replica.mentorship(caller.org_id, filters.mentorship_id)
            if mentorship is not None and mentorship.role_of(caller.person_id) is not None:
                mine = [mentorship.mentorship_id]
        elif not reader.coordinates:
            mine = await self._replica.mentorships_of(caller.org_id, caller.person_id)
        rows = await self._check_ins.page(caller.org_id, reader, mine, filters, page)
        return page.listing(
            rows,
            lambda row: Position(row.check_in.occurred_at, row.check_in.checkin_id),
            lambda row: shown(row.check_in, words=reads_words(row.check_in, reader)),
        )

    # -- acknowledging

    async def acknowledge(
        self, caller: Caller, checkin_id: str, comment: str | None, idem: Idem | None
    ) -> Answer:
        """Take notice of a check-in as the acting person; answers the check-in."""
        kept = await self._check_ins.replay(idem, self._clock.now())
        if kept is not None:
            return await self._acknowledged(caller, checkin_id, kept)
        return await retry_stale(lambda: self._acknowledge(caller, checkin_id, comment, idem))

    async def _acknowledge(
        self, caller: Caller, checkin_id: str, comment: str | None, idem: Idem | None
    ) -> Answer:
        reader = _acting(caller)
        stored, mentorship = await self._existing(caller, reader, checkin_id)
        now = self._clock.now()
        after, events = acknowledge(stored.check_in, mentorship, caller.person_id, comment, now)
        body = shown(after, words=reads_words(after, reader))
        answer = Answer(200, body, {"ETag": etag(stored.version + 1)})
        try:
            await self._check_ins.change(stored, after, events, now=now, idem=idem, answer=answer)
        except Duplicate:
            kept = await self._check_ins.replay(idem, now)
            if kept is None:
                raise Conflict("The same request is still running.", retry_after=1) from None
            return await self._acknowledged(caller, checkin_id, kept)
        return answer

    async def _acknowledged(self, caller: Caller, checkin_id: str, kept: Answer) -> Answer:
        """A kept answer as the caller may read it: one given to a person is more than an integration sees."""
        if not caller.acts_as or kept.body is None:
            return kept
        reader = _acting(caller)
        stored, _ = await self._existing(caller, reader, checkin_id)
        if reads_words(stored.check_in, reader):
            return kept
        return msgspec.structs.replace(kept, body=answer_without_words(kept.body))

    async def _existing(
        self, caller: Caller, reader: Reader, checkin_id: str
    ) -> tuple[Stored, Mentorship | None]:
        """A check-in that exists for the reader, and its mentorship as far as it is known."""
        stored = await self._check_ins.find(caller.org_id, checkin_id)
        if stored is None:
            raise NotFound(NO_CHECK_IN)
        mentorship = await self._replica.mentorship(caller.org_id, stored.check_in.mentorship_id)
        participant = mentorship is not None and mentorship.role_of(caller.person_id) is not None
        if not exists_for(stored.check_in, reader, participant=participant):
            raise NotFound(NO_CHECK_IN)
        return stored, mentorship


def _reader(caller: Caller) -> Reader:
    return Reader(
        caller.person_id,
        in_person=not caller.acts_as,
        participates=caller.has(PARTICIPATE),
        coordinates=caller.has(PROGRAMS),
    )


def _acting(caller: Caller) -> Reader:
    """The acting person's part alone, not what a coordinator's scope would show them."""
    return replace(_reader(caller), coordinates=False)


def _created(check_in: CheckIn, caller: Caller) -> Answer:
    """The answer to whoever logged a check-in: of a sensitive one an integration is told the id alone."""
    reader = _reader(caller)
    headers = {"Location": f"/v1/checkins/{check_in.checkin_id}", "ETag": etag(1)}
    return _told_to(caller, Answer(201, shown(check_in, words=reads_words(check_in, reader)), headers))


def _told_to(caller: Caller, answer: Answer) -> Answer:
    if answer.body is None or not (caller.acts_as and answer.body.get("sensitive")):
        return answer
    headers = {name: value for name, value in answer.headers.items() if name != "ETag"}
    return Answer(answer.status, {"checkin_id": answer.body["checkin_id"]}, headers, answer.replayed)


def _link(token: str) -> str:
    """What is kept of a one-tap token: enough to know it again, not to use it."""
    return hashlib.sha256(token.encode("utf-8", "surrogatepass")).hexdigest()
