"""The check-in of the HTTP peers: the same body that the product takes, as a pydantic model."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field

from shared.ids import uuid7

__all__ = ["CheckIn", "Created", "Progress", "uuid7"]

Id = Annotated[str, Field(min_length=1, max_length=128)]


class Progress(BaseModel):
    """What was reached."""

    model_config = ConfigDict(extra="forbid")

    value: float | None = None
    milestones: list[str] | None = None
    done: bool | None = None


class CheckIn(BaseModel):
    """What a participant reports."""

    model_config = ConfigDict(extra="forbid")

    mentorship_id: Id
    goal_id: Id | None = None
    progress: Progress | None = None
    confidence: Annotated[int, Field(ge=0, le=10)] | None = None
    realistic: bool | None = None
    attainable: bool | None = None
    feeling: Literal["great", "good", "ok", "hard", "bad"] | None = None
    note: Annotated[str, Field(max_length=4000)] | None = None


class Created(CheckIn):
    """A check-in with its id."""

    checkin_id: str
