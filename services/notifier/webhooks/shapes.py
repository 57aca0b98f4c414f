"""What clients send about webhooks."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field, StringConstraints

from shared.http import Body

MAX_EVENT_TYPES = 50

Description = Annotated[str, StringConstraints(max_length=500)]
EventTypes = Annotated[list[str], Field(min_length=1, max_length=MAX_EVENT_TYPES)]


class WebhookIn(Body):
    """Where events of which types go."""

    url: str
    event_types: EventTypes
    description: Description | None = None


class WebhookPatch(Body):
    """What changes; `enabled` true lets one that was switched off begin anew."""

    url: str | None = None
    event_types: EventTypes | None = None
    description: Description | None = None
    enabled: bool | None = None
