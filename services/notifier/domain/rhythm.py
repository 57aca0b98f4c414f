"""A person's own time: their zone, workdays, quiet hours, and whether they want one message a day.

Wall times are read in the person's zone at the instant itself, so that a change of the clocks can neither carry a
message into quiet hours nor lose it: whatever the wall shows twice or skips, `rests` asks what it shows then.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta

from shared.time import MON_FRI, local_date, local_instant, zone

NINE = time(9)
MIDNIGHT = time(0)
_DAY = timedelta(days=1)
_LOOK_AHEAD_DAYS = 15
"""A week holds every workday; two, whatever the clocks do."""


@dataclass(frozen=True, slots=True)
class QuietHours:
    """From a wall time to another, over midnight if `start` is the later one; nothing when they are the same."""

    start: time
    end: time

    def hold(self, wall: time) -> bool:
        """Whether a wall time lies in them; the end does not."""
        if self.start <= self.end:
            return self.start <= wall < self.end
        return wall >= self.start or wall < self.end


@dataclass(frozen=True, slots=True)
class Rhythm:
    """When a person may be written to. `workdays` are not empty; Monday is 0."""

    time_zone: str
    workdays: frozenset[int] = MON_FRI
    quiet: QuietHours | None = None
    daily: bool = False

    def wall(self, instant: datetime) -> datetime:
        """What the person's clock shows."""
        return instant.astimezone(zone(self.time_zone))

    def day(self, instant: datetime) -> date:
        """The person's date."""
        return local_date(instant, self.time_zone)

    def at(self, day: date, wall: time) -> datetime:
        """The instant of a wall time on a date."""
        return local_instant(day, wall, self.time_zone)

    def rests(self, instant: datetime) -> bool:
        """Whether it is a day off, or quiet hours."""
        wall = self.wall(instant)
        if wall.weekday() not in self.workdays:
            return True
        return self.quiet is not None and self.quiet.hold(wall.time())

    def awake(self, instant: datetime) -> datetime:
        """The first instant from `instant` on at which the person does not rest.

        Raises:
            ValueError: there is none; a recipient's settings do not allow that.
        """
        if not self.rests(instant):
            return instant
        for candidate in self._wakings(self.day(instant)):
            if candidate >= instant and not self.rests(candidate):
                return candidate
        raise ValueError("this person always rests")

    def _wakings(self, first: date) -> Iterator[datetime]:
        """The instants at which a rest can end, in order: midnights and the ends of quiet hours."""
        for offset in range(_LOOK_AHEAD_DAYS):
            day = first + offset * _DAY
            found = {self.at(day, MIDNIGHT)}
            if self.quiet is not None:
                found.add(self.at(day, self.quiet.end))
                # Where the wall shows that time twice, quiet hours end twice.
                again = datetime.combine(day, self.quiet.end, zone(self.time_zone)).replace(fold=1)
                found.add(again.astimezone(UTC))
            yield from sorted(found)

    def daily_slot(self, instant: datetime) -> datetime:
        """The first daily message at or after `instant`: at 09:00 on a workday, or when quiet hours end on it."""
        first = self.day(instant)
        for offset in range(-1, _LOOK_AHEAD_DAYS):
            day = first + offset * _DAY
            if day.weekday() in self.workdays:
                slot = self._slot_of(day)
                if slot >= instant:
                    return slot
        raise ValueError("this person always rests")

    def _slot_of(self, workday: date) -> datetime:
        nine = self.at(workday, NINE)
        if self.quiet is None or not self.rests(nine):
            return nine
        return self.awake(self.at(workday, self.quiet.end))

    def opportunity(self, instant: datetime) -> datetime:
        """The first instant from `instant` on at which a message may go: by quiet hours, days off and delivery."""
        return self.daily_slot(instant) if self.daily else self.awake(instant)

    def leaves_time(self) -> bool:
        """Whether there is any time at all at which the person does not rest."""
        if not self.workdays:
            return False
        return self.quiet is None or not all(
            self.quiet.hold(time(minute // 60, minute % 60)) for minute in range(24 * 60)
        )
