"""The ledger: what was said to whom, or not, and by which rule."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any, Literal

from msgspec import Struct

from services.notifier.domain.kinds import KINDS
from services.notifier.domain.person import Reminder
from shared import events as contract
from shared.time import format_instant

Outcome = Literal["sent", "suppressed", "failed"]
_EVENTS: dict[str, type[contract.NudgeSent]] = {
    "sent": contract.NudgeSent,
    "suppressed": contract.NudgeSuppressed,
    "failed": contract.NudgeFailed,
}


_HELP = contract.HelpRequested.__name__


class Entry(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One nudge. `about` is its subject; `because` holds ids and instants, no words of anybody's."""

    nudge_id: str
    org_id: str
    program_id: str
    mentorship_id: str
    recipient_id: str
    kind: str
    about: str
    period: str
    outcome: Outcome
    rule: str
    because: dict[str, Any]
    at: datetime
    goal_id: str | None = None
    reason: str | None = None
    message_id: str | None = None
    channel: str | None = None
    sensitive: bool = False

    def event(self) -> contract.NudgeSent | None:
        """The event that tells of it; None for a request for help, of which no event tells."""
        if KINDS[self.kind].urgent:
            return None
        return _EVENTS[self.outcome](
            org_id=self.org_id,
            program_id=self.program_id,
            mentorship_id=self.mentorship_id,
            nudge_id=self.nudge_id,
            message_id=self.message_id,
            recipient_id=self.recipient_id,
            goal_id=self.goal_id,
            kind=self.kind,
            period=self.period,
            channel=self.channel,
            reason=self.reason,
            at=self.at,
        )


def entry(
    reminder: Reminder,
    recipient_id: str,
    nudge_id: str,
    outcome: Outcome,
    now: datetime,
    *,
    reason: str | None = None,
    because: Mapping[str, Any] | None = None,
    message_id: str | None = None,
    channel: str | None = None,
) -> Entry:
    """The entry of a reminder that was decided `now`."""
    return Entry(
        nudge_id=nudge_id,
        org_id=reminder.org_id,
        program_id=reminder.program_id,
        mentorship_id=reminder.mentorship_id,
        recipient_id=recipient_id,
        kind=reminder.kind,
        about=reminder.subject,
        period=reminder.period,
        outcome=outcome,
        rule=KINDS[reminder.kind].rule,
        because={**_cause(reminder, recipient_id), **_said(reminder), **(because or {})},
        at=now,
        goal_id=reminder.goal_id,
        reason=reason,
        message_id=message_id,
        channel=channel,
        sensitive=reminder.sensitive,
    )


_CAUSE = ("event", "event_id", "event_at")
_TELLING = {"superseded": ("by", "until"), "checked_in": ("checked_in_at",)}


def shown_to_others(made: Entry) -> dict[str, Any]:
    """What decided it, as others than its recipient may read it, and those that act for them.

    Without what would tell that a sensitive check-in was logged, or when.
    """
    hidden = set(_TELLING.get(made.reason or "", ()))
    if made.because.get("event") == _HELP and not KINDS[made.kind].urgent:
        hidden.update(_CAUSE)
    return {name: fact for name, fact in made.because.items() if name not in hidden}


def _cause(reminder: Reminder, recipient_id: str) -> dict[str, Any]:
    """The event that led to it; a request for help is told to who made it, and to who is asked."""
    to_others = reminder.cause == _HELP and not KINDS[reminder.kind].urgent
    if to_others and reminder.caused_by != recipient_id:
        return {}
    facts = (reminder.cause, reminder.cause_id, format_instant(reminder.caused_at))
    return dict(zip(_CAUSE, facts, strict=True))


def _said(reminder: Reminder) -> dict[str, Any]:
    return {} if reminder.says is None else {"says": reminder.says}
