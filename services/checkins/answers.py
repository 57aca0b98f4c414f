"""What check-ins are answered as: for OpenAPI and who generates clients from it. Answers are made in `shown`."""

from __future__ import annotations

from datetime import datetime
from typing import Literal

from pydantic import BaseModel, Field, RootModel

from shared.events.types import Role

ONLY_WORDS = "Private words: for who may read them."


class ProgressOut(BaseModel):
    """What was reached, in the goal's measure: one of the three."""

    value: float | None = None
    milestones: list[str] | None = None
    done: bool | None = None


class HelpOut(BaseModel):
    """A call for help."""

    text: str | None = None
    route_to: str


class AcknowledgementOut(BaseModel):
    """Notice taken of a check-in."""

    acknowledged_by: str
    acknowledger_role: Role | None = Field(None, description="Left out of who is no participant.")
    acknowledged_at: datetime
    comment: str | None = Field(None, description=ONLY_WORDS)


class CheckInOut(BaseModel):
    """A check-in; what has no value is left out."""

    checkin_id: str
    mentorship_id: str
    program_id: str
    goal_id: str | None = None
    author_id: str
    author_role: Role
    occurred_at: datetime
    logged_at: datetime
    progress: ProgressOut | None = None
    confidence: int | None = Field(None, ge=0, le=10)
    realistic: bool | None = None
    attainable: bool | None = None
    feeling: Literal["great", "good", "ok", "hard", "bad"] | None = Field(None, description=ONLY_WORDS)
    note: str | None = Field(None, description=ONLY_WORDS)
    help: HelpOut | None = Field(None, description=ONLY_WORDS)
    sensitive: bool
    acknowledgements: list[AcknowledgementOut]


class IdOut(BaseModel):
    """All that an integration is answered of a sensitive check-in."""

    checkin_id: str


class LoggedOut(RootModel[CheckInOut | IdOut]):
    """A check-in that was logged."""


class CheckInsOut(BaseModel):
    """A page of check-ins, newest first by `occurred_at`."""

    items: list[CheckInOut]
    next_cursor: str | None = Field(None, description="Where to go on; left out on the last page.")
