"""A person: their contact preferences, when they are away, and the agenda of what they are to be reminded of."""

from __future__ import annotations

from datetime import date, datetime, time
from typing import Literal

from msgspec import Struct

from services.notifier.domain.moments import Moment
from services.notifier.domain.rhythm import QuietHours, Rhythm

WEEKDAYS = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
UNKNOWN_ZONE = "UTC"
EVERYWHERE = "*"
"""The goal of a snooze that holds for all."""


DEFAULT_BUDGET = 3
"""Messages a day."""
SENDABLE = frozenset({"email", "chat"})
"""The kinds of channel that messages go by."""


class Channel(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A way to reach somebody: `email` has an address, `chat` a URL."""

    kind: Literal["email", "chat"]
    address: str | None = None
    url: str | None = None


class Recipient(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What a person chose. Wall times are `HH:MM`; quiet hours are none when both are the same.

    `put_at` is when all of it was put; `since` tells when parts were provided apart from that: `email` (the address),
    `time_zone`, `language`, `display_name`.
    """

    time_zone: str
    channels: tuple[Channel, ...] = ()
    quiet_from: str = "20:00"
    quiet_to: str = "08:00"
    workdays: tuple[str, ...] = WEEKDAYS[:5]
    daily_budget: int = DEFAULT_BUDGET
    delivery: Literal["at_once", "daily"] = "at_once"
    help_any_time: bool = False
    language: str | None = None
    display_name: str | None = None
    version: int = 1
    put_at: datetime
    since: dict[str, datetime] = {}

    def provided_at(self, part: str) -> datetime:
        """When a part was provided."""
        return self.since.get(part, self.put_at)

    @property
    def reachable(self) -> bool:
        """Whether there is a channel by which a message can go."""
        return any(channel.kind in SENDABLE for channel in self.channels)

    @property
    def leaves_time(self) -> bool:
        """Whether there is any time at all at which they do not rest. `00:00` to `24:00` is the whole day."""
        whole_day = (self.quiet_from, self.quiet_to) == ("00:00", "24:00")
        return not whole_day and self.rhythm.leaves_time()

    @property
    def rhythm(self) -> Rhythm:
        """Their own time."""
        return Rhythm(
            self.time_zone,
            frozenset(WEEKDAYS.index(day) for day in self.workdays),
            QuietHours(wall_time(self.quiet_from), wall_time(self.quiet_to)),
            self.delivery == "daily",
        )


class Absence(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """Away from one date to another, both included; told of at `made_at`."""

    absence_id: str
    first: date
    last: date
    made_at: datetime | None = None


class Reminder(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """Something to tell one person, once its time has come and unless it is pointless by then.

    `time_zone` is what counts for a person who has not told theirs. `cause` names the event that led to it, which
    was recorded at `caused_at`. The fields below are set where the kind needs them. `caused_by` is the author of the
    request for help that led to it, which is nobody else's to know of.
    """

    kind: str
    org_id: str
    program_id: str
    mentorship_id: str
    period: str
    moment: Moment
    time_zone: str
    cause: str
    cause_id: str
    caused_at: datetime
    caused_by: str | None = None
    goal_id: str | None = None
    revision: int | None = None
    version: int | None = None
    checkin_id: str | None = None
    proposal_id: str | None = None
    expected_by: datetime | None = None
    counted_from: date | None = None
    asked_by: str | None = None
    says: str | None = None
    as_role: Literal["owner", "counterpart", "coordinator"] | None = None
    sensitive: bool = False

    @property
    def subject(self) -> str:
        """What it is about: `goal/<id>`, or the mentorship."""
        return f"goal/{self.goal_id}" if self.goal_id else f"mentorship/{self.mentorship_id}"

    @property
    def key(self) -> str:
        """What it is said at most once for, per person."""
        return f"{self.kind}|{self.subject}|{self.period}"


class Attempt(Struct, frozen=True, kw_only=True):
    """A message that was decided on and perhaps sent already: what it tells, under which Message-ID.

    Stored before it is handed over, so that whoever finds it after a crash sends the same one again.
    """

    message_id: str
    keys: tuple[str, ...]
    tried: int


class Person(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One person of an organization.

    `snoozes` maps a goal's id, or `EVERYWHERE`, to the instant until which it holds, `snoozed_at` to when it was asked
    for. `erased_at` is gone once they are provided anew, `forgotten_up_to` stays. `spent` counts the messages sent per
    own date (ISO), of late. `attempt` is a message whose sending has not been recorded yet.
    """

    person_id: str
    org_id: str
    recipient: Recipient | None = None
    erased_at: datetime | None = None
    forgotten_up_to: datetime | None = None
    snoozes: dict[str, datetime] = {}
    snoozed_at: dict[str, datetime] = {}
    absences: tuple[Absence, ...] = ()
    reminders: tuple[Reminder, ...] = ()
    spent: dict[str, int] = {}
    attempt: Attempt | None = None

    @property
    def erased(self) -> bool:
        """Whether the person was erased, and nobody has provided them anew."""
        return self.erased_at is not None and self.recipient is None

    def is_spent(self, day: date) -> bool:
        """Whether no more messages go on that own date. A budget of 0 is never spent: it suppresses instead."""
        if self.recipient is None or self.recipient.daily_budget == 0:
            return False
        limit = 1 if self.recipient.delivery == "daily" else self.recipient.daily_budget
        return self.spent.get(day.isoformat(), 0) >= limit

    def rhythm_for(self, reminder: Reminder) -> Rhythm:
        """Their own time; of who told nothing, Monday to Friday in the mentorship's zone, and no quiet hours.

        Nothing can be sent to those, so nobody's rest is at stake.
        """
        return self.recipient.rhythm if self.recipient is not None else Rhythm(reminder.time_zone)


def wall_time(text: str) -> time:
    """`HH:MM` as a time; `24:00` is the day's end, which is the next one's beginning."""
    return time(0) if text == "24:00" else time.fromisoformat(text)
