"""A deadline: a date in a zone, up to a time of day."""

from __future__ import annotations

from datetime import date, datetime, timedelta

from msgspec import Struct
from msgspec.structs import replace

from services.goals.domain.rules import FARTHEST_YEARS
from shared import time
from shared.errors import Unprocessable


class Deadline(Struct, frozen=True, kw_only=True):
    """What a person agrees to: `date` in `time_zone`, until `cutoff` (`24:00`, the end of that day)."""

    date: date
    time_zone: str
    cutoff: str = "24:00"

    @property
    def due_at(self) -> datetime:
        """The instant that it stands for (UTC)."""
        return time.due_at(self.date, self.time_zone, self.cutoff)

    def moved(self, days: int) -> Deadline:
        """The same time of day, `days` later."""
        return replace(self, date=self.date + timedelta(days=days))

    def workdays_before(self, count: int) -> datetime:
        """The cutoff on the `count`-th workday before the date."""
        return time.due_at(time.workdays_before(self.date, count), self.time_zone, self.cutoff)


def require_ahead(deadline: Deadline, now: datetime) -> None:
    """A new deadline lies after now and within 10 years.

    Raises:
        Unprocessable: it does not; `/deadline`.
    """
    try:
        due_at = deadline.due_at
    except ValueError as error:
        raise Unprocessable.field("/deadline/date", "A date of the next ten years.") from error
    if due_at <= now:
        raise Unprocessable.field("/deadline", "A deadline lies ahead.")
    if due_at > _years_later(now, FARTHEST_YEARS):
        raise Unprocessable.field("/deadline", f"A deadline lies within {FARTHEST_YEARS} years.")


def _years_later(instant: datetime, years: int) -> datetime:
    try:
        return instant.replace(year=instant.year + years)
    except ValueError:  # the 29th of February
        return instant.replace(year=instant.year + years, day=28)
