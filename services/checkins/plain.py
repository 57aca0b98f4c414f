"""A check-in as nearly all come: read by msgspec at once, for the thin way (`shared.http.thin`).

It takes a part of what `api.CheckInIn` takes, and nothing else; a call for help, a sensitive check-in and all that is
not surely right go the ordinary way.
"""

from __future__ import annotations

from typing import Annotated, Literal

import msgspec
from msgspec import Meta

from services.checkins.domain.check_in import LogCheckIn
from shared import events as contract
from shared.time import parse_instant

_Id = Annotated[str, Meta(pattern=r"^[A-Za-z0-9._:-]{1,128}$(?!\n)")]
_MOST = 2.0**63


class _Progress(msgspec.Struct, forbid_unknown_fields=True):
    value: float | None = None
    milestones: Annotated[list[Annotated[str, Meta(max_length=200)]], Meta(max_length=50)] | None = None
    done: bool | None = None


class _CheckIn(msgspec.Struct, forbid_unknown_fields=True):
    mentorship_id: _Id
    goal_id: _Id | None = None
    occurred_at: str | None = None
    progress: _Progress | None = None
    confidence: Annotated[int, Meta(ge=0, le=10)] | None = None
    realistic: bool | None = None
    attainable: bool | None = None
    feeling: Literal["great", "good", "ok", "hard", "bad"] | None = None
    note: Annotated[str, Meta(max_length=4000)] | None = None


_decode = msgspec.json.Decoder(_CheckIn).decode


def plain_command(raw: bytes) -> LogCheckIn:
    """The command of a raw body.

    Raises:
        ValueError: it is not surely right.
    """
    said = _decode(raw)
    return LogCheckIn(
        mentorship_id=said.mentorship_id,
        goal_id=said.goal_id,
        occurred_at=parse_instant(said.occurred_at) if said.occurred_at is not None else None,
        progress=_progress(said),
        confidence=said.confidence,
        realistic=said.realistic,
        attainable=said.attainable,
        feeling=said.feeling,
        note=said.note,
    )


def _progress(said: _CheckIn) -> contract.Progress | None:
    progress = said.progress
    if progress is None:
        return None
    if said.goal_id is None or (progress.value is not None and not -_MOST < progress.value < _MOST):
        raise ValueError
    if not all(text.isprintable() and text.strip() for text in progress.milestones or ()):
        raise ValueError
    return contract.Progress(value=progress.value, milestones=progress.milestones, done=progress.done)
