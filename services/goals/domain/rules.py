"""What an operator may set of the rules."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta


@dataclass(frozen=True, slots=True, kw_only=True)
class Rules:
    """The settings that the rules of accountability name.

    `grace`: how long after a deadline a check-in may still be logged in time (rule 2). `ease_workdays`: how many
    workdays before its date a deadline may no longer be eased alone (rule 6). `backdate`: how long after it
    occurred something may be reported (rule 4).
    """

    grace: timedelta = timedelta(seconds=60)
    ease_workdays: int = 2
    backdate: timedelta = timedelta(days=7)


AHEAD = timedelta(minutes=5)
"""How far ahead of our clock another's may be."""
DISPUTABLE = timedelta(days=14)
"""How long after a miss it may be disputed (rule 5)."""
MAX_REVISIONS = 500
FARTHEST_YEARS = 10
SYSTEM = "system"
"""Who does what no person did."""
