"""Check-ins over HTTP."""

from __future__ import annotations

from typing import Annotated, Literal

from fastapi import Query
from pydantic import Field, model_validator

from services.checkins.answers import CheckInOut, CheckInsOut, LoggedOut
from services.checkins.domain.check_in import Help, LogCheckIn
from services.checkins.logbook import Logbook
from services.checkins.plain import plain_command
from services.checkins.store import Filters
from shared import events as contract
from shared.errors import Unprocessable
from shared.http import (
    ACT_AS,
    PARTICIPATE,
    PROGRAMS,
    Answer,
    BatchIn,
    Body,
    Caller,
    Edge,
    Id,
    Idem,
    Instant,
    Note,
    Number,
    Page,
    Params,
    PersonId,
    QueryInstant,
    Reply,
    Router,
    Thin,
    Title,
    Words,
    run_batch,
)

PATH = "/v1/checkins"


class ProgressIn(Body):
    """What was reached, in the goal's measure: exactly one of the three."""

    value: Number | None = None
    milestones: Annotated[list[Title], Field(max_length=50)] | None = None
    done: bool | None = None

    @model_validator(mode="after")
    def _one(self) -> ProgressIn:
        if (self.value, self.milestones, self.done).count(None) != 2:
            raise ValueError("Exactly one of value, milestones and done.")
        return self


class HelpIn(Body):
    """A call for help; by default it goes to the author's counterpart."""

    text: Words | None = None
    route_to: PersonId | None = None


class CheckInIn(Body):
    """What a participant reports about a goal, or about the mentorship."""

    mentorship_id: Id
    goal_id: Id | None = None
    occurred_at: Instant | None = None
    progress: ProgressIn | None = None
    confidence: Annotated[int, Field(ge=0, le=10)] | None = None
    realistic: bool | None = None
    attainable: bool | None = None
    feeling: Literal["great", "good", "ok", "hard", "bad"] | None = None
    note: Note | None = None
    help: HelpIn | None = None
    sensitive: bool = False


class AcknowledgementIn(Body):
    """Notice taken of a check-in."""

    comment: Words | None = None


class CheckInFilters(Params):
    """What a list is narrowed to; `from` and `to` are instants of `occurred_at`, `to` exclusive."""

    mentorship_id: Id | None = None
    goal_id: Id | None = None
    author_id: Id | None = None
    from_: QueryInstant | None = Field(None, alias="from")
    to: QueryInstant | None = None


def routes(logbook: Logbook) -> Router:
    """The routes of check-ins."""
    router = Router(tags=["checkins"])

    @router.post(
        PATH,
        scopes=[PARTICIPATE],
        status_code=201,
        answers=LoggedOut,
        refusals=(404, 409),
        thin=Thin(plain_command, logbook.log),
    )
    async def log_check_in(body: CheckInIn, caller: Caller, idem: Idem | None) -> Answer:
        """Log a check-in. What is not known yet is waited for up to 2 s; a sensitive one is always routed."""
        return await logbook.log(caller, command_of(body), idem)

    @router.post(
        f"{PATH}/batch",
        scopes=[PARTICIPATE, ACT_AS],
        gated=False,
        timeout_s=None,
        summary=f"Many of POST {PATH}",
    )
    async def log_batch(body: BatchIn, caller: Caller, edge: Edge) -> Reply:
        """Each item with the status that it would have got alone; `key` is its idempotency key.

        What is not known yet is waited for once for all of them.
        """
        patience = logbook.patience()

        async def one(acting: Caller, item: CheckInIn, idem: Idem, dry_run: bool) -> Answer:
            return await logbook.log(acting, command_of(item), idem, patience=patience, dry_run=dry_run)

        return await run_batch(
            edge,
            caller,
            body,
            path=PATH,
            scopes=[PARTICIPATE],
            model=CheckInIn,
            one=one,
            id_field="checkin_id",
        )

    @router.get(PATH, scopes=[PARTICIPATE, PROGRAMS], answers=CheckInsOut)
    async def list_check_ins(
        filters: Annotated[CheckInFilters, Query()], page: Page, caller: Caller
    ) -> Reply:
        """The check-ins that exist for the caller, newest first by when they occurred."""
        return await logbook.list(
            caller,
            Filters(
                mentorship_id=filters.mentorship_id,
                goal_id=filters.goal_id,
                author_id=filters.author_id,
                since=filters.from_,
                until=filters.to,
            ),
            page,
        )

    @router.get(f"{PATH}/{{checkin_id}}", scopes=[PARTICIPATE, PROGRAMS], answers=CheckInOut, refusals=(404,))
    async def read_check_in(checkin_id: str, caller: Caller) -> Answer:
        """A check-in, with its private words for those who may read them."""
        return await logbook.read(caller, checkin_id)

    @router.post(
        f"{PATH}/{{checkin_id}}/acknowledgement",
        scopes=[PARTICIPATE],
        answers=CheckInOut,
        refusals=(404, 409),
    )
    async def acknowledge_check_in(
        checkin_id: str, body: AcknowledgementIn, caller: Caller, idem: Idem | None
    ) -> Answer:
        """Take notice of a check-in: once each, and never the author."""
        return await logbook.acknowledge(caller, checkin_id, body.comment, idem)

    return router


def command_of(body: CheckInIn) -> LogCheckIn:
    """The command of a body.

    Raises:
        Unprocessable: progress about nothing, or in a sensitive check-in.
    """
    if body.progress is not None and body.sensitive:
        raise Unprocessable.field("/progress", "A sensitive check-in carries no progress.")
    if body.progress is not None and body.goal_id is None:
        raise Unprocessable.field("/progress", "Progress is about a goal: name it in goal_id.")
    return LogCheckIn(
        mentorship_id=body.mentorship_id,
        goal_id=body.goal_id,
        occurred_at=body.occurred_at,
        progress=contract.Progress(
            value=body.progress.value, milestones=body.progress.milestones, done=body.progress.done
        )
        if body.progress
        else None,
        confidence=body.confidence,
        realistic=body.realistic,
        attainable=body.attainable,
        feeling=body.feeling,
        note=body.note,
        help=Help(body.help.text, body.help.route_to) if body.help else None,
        sensitive=body.sensitive,
    )
