"""What can be set for metrics."""

from __future__ import annotations

from pydantic import Field

from shared.settings import Settings


class MetricsSettings(Settings):
    """The settings of the metrics service."""

    metrics_port: int = Field(8004, ge=0, le=65_535)
    """Where it listens."""
