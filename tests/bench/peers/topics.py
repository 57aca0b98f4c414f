"""The topics that the projections' peers read."""

from __future__ import annotations


def topics(prefix: str) -> tuple[str, str]:
    """Goals and check-ins."""
    return f"{prefix}onbelay.goals.v1", f"{prefix}onbelay.checkins.v1"
