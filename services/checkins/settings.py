"""What can be set for checkins."""

from __future__ import annotations

from datetime import timedelta

from pydantic import Field

from shared.settings import Settings


class CheckinsSettings(Settings):
    """Settings of the checkins service, beside those of every service."""

    checkins_port: int = 8002
    """Where it listens."""

    checkins_backdate_days: int = Field(7, ge=0, le=365)
    """How long after it occurred something may still be logged (rule 4)."""

    checkins_lapse_grace_s: float = Field(60, ge=0, le=86_400)
    """How long after its end a period is decided (rule 8): time for news of the goal to arrive."""

    checkins_write_timeout_s: float = Field(5, ge=2, le=60)
    """A check-in whose write takes longer is refused, and watermarks follow the present by this much. Longer than
    any operation on the store may take, and the skew below."""

    checkins_clock_skew_s: float = Field(1, ge=0, le=30)
    """How far the clocks of two nodes may differ; taken off the write timeout."""

    checkins_watermark_every_s: float = Field(2, gt=0, le=60)
    """How often a watermark goes to each partition. Misses wait for it, and topics keep it."""

    @property
    def backdate(self) -> timedelta:
        """`checkins_backdate_days` as a duration."""
        return timedelta(days=self.checkins_backdate_days)

    @property
    def lapse_grace(self) -> timedelta:
        """`checkins_lapse_grace_s` as a duration."""
        return timedelta(seconds=self.checkins_lapse_grace_s)

    @property
    def write_timeout(self) -> timedelta:
        """`checkins_write_timeout_s` as a duration."""
        return timedelta(seconds=self.checkins_write_timeout_s)
