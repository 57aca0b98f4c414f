"""What can be set of the goals service."""

from __future__ import annotations

from datetime import timedelta

from pydantic import Field

from services.goals.domain.rules import Rules
from shared.settings import Settings


class GoalsSettings(Settings):
    """The goals service's own settings; the rules' are the same for all of its processes."""

    goals_port: int = 8001

    goals_miss_grace_s: int = Field(60, ge=0, le=86_400)
    """How long after a deadline a check-in may still be logged in time: people press the button at the last
    moment, and clocks differ."""

    goals_ease_horizon_workdays: int = Field(2, ge=0, le=30)
    """How many workdays before its date a deadline may no longer be eased by the owner alone."""

    checkins_backdate_days: int = Field(7, ge=0, le=365)
    """How long after it occurred something may be reported; the same as the checkins service's."""

    @property
    def rules(self) -> Rules:
        """What of the rules of accountability is set."""
        return Rules(
            grace=timedelta(seconds=self.goals_miss_grace_s),
            ease_workdays=self.goals_ease_horizon_workdays,
            backdate=timedelta(days=self.checkins_backdate_days),
        )
