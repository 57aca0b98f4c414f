"""`/v1/nudges`: the ledger."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from fastapi import Query
from pydantic import Field

from services.notifier.domain.kinds import KINDS
from services.notifier.domain.ledger import Entry, shown_to_others
from services.notifier.store import Store
from shared.http import (
    PARTICIPATE,
    PROGRAMS,
    Caller,
    Id,
    Page,
    Params,
    PersonId,
    Position,
    QueryInstant,
    Reply,
    Router,
)
from shared.mongo import Doc
from shared.time import format_instant

_URGENT = [kind.name for kind in KINDS.values() if kind.urgent]
_OPTIONAL = ("goal_id", "reason", "message_id", "channel")


class NudgeFilters(Params):
    """By whom, about what, how it ended, and when (`to` is exclusive)."""

    recipient_id: PersonId | None = None
    goal_id: Id | None = None
    outcome: Literal["sent", "suppressed", "failed"] | None = None
    since: QueryInstant | None = Field(None, alias="from")
    to: QueryInstant | None = None


def routes(store: Store) -> Router:
    """The routes of the ledger."""
    router = Router(tags=["nudges"])

    @router.get("/v1/nudges", scopes=[PARTICIPATE, PROGRAMS])
    async def list_nudges(filters: Annotated[NudgeFilters, Query()], page: Page, caller: Caller) -> Reply:
        """What was said or not, and by which rule: one's own, or with `onbelay:programs` everybody's."""
        asked: Doc = {
            name: value
            for name in ("recipient_id", "goal_id", "outcome")
            if (value := getattr(filters, name)) is not None
        }
        bounds = {"$gte": filters.since, "$lt": filters.to}
        when = {operator: instant for operator, instant in bounds.items() if instant is not None}
        if when:
            asked["at"] = when
        rows = await store.nudges(caller.org_id, {"$and": [asked, visible_to(caller)]}, page)
        return page.listing(rows, lambda row: Position(row.at, row.nudge_id), lambda row: shown(row, caller))

    return router


def visible_to(caller: Caller) -> Doc:
    """The filter of what a caller may see.

    A request for help is its recipient's alone, and a sensitive one is not for an integration that acts as them.
    """
    own: Doc = {"recipient_id": caller.person_id}
    if caller.acts_as:
        own["sensitive"] = {"$ne": True}
    if not caller.has(PROGRAMS):
        return own
    others: Doc = {"kind": {"$nin": _URGENT}}
    return {"$or": [own, others]} if caller.has(PARTICIPATE) else others


def shown(entry: Entry, caller: Caller) -> dict[str, Any]:
    """An entry as the ledger tells it; to its recipient, with a token of their own, all that decided it."""
    own = entry.recipient_id == caller.person_id and caller.has(PARTICIPATE) and not caller.acts_as
    body = {
        "nudge_id": entry.nudge_id,
        "recipient_id": entry.recipient_id,
        "mentorship_id": entry.mentorship_id,
        "kind": entry.kind,
        "period": entry.period,
        "outcome": entry.outcome,
        "rule": entry.rule,
        "because": entry.because if own else shown_to_others(entry),
        "at": format_instant(entry.at),
    }
    body |= {name: value for name in _OPTIONAL if (value := getattr(entry, name)) is not None}
    return body
