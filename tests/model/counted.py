"""What the pure rules of metrics make of all that a `Domain` told."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date
from typing import Any

from services.metrics.domain.answer import of_few
from services.metrics.domain.days import Asked, Window
from services.metrics.domain.explain import contributions
from shared import events as contract
from tests.model.domain import Published
from tests.unit.metrics.folded import Folded
from tests.unit.metrics.histories import Happened

SPAN = ("scope", "id", "from", "to", "as_of")


class Counted:
    """Everything that was published, folded; the goals topic after that of check-ins, as may happen."""

    def __init__(self, published: Sequence[Published]) -> None:
        self._folded = Folded()
        happened = [_happened(number, each) for number, each in enumerate(published)]
        for topic in ("checkins", "goals"):
            self._folded.take(topic, [each for each in happened if contract.topic_of(each.type) == topic])

    def numbers(self, scope: str, id_: str, first: date, last: date, as_of: date) -> dict[str, Any]:
        """The numbers of a goal, mentorship or person."""
        asked = Asked(Window(first.toordinal(), last.toordinal()), as_of.toordinal())
        found = contributions(self._folded.items(scope, id_), asked.as_of)
        answer = of_few(scope, id_, asked, None, found)
        return {name: value for name, value in answer.items() if name not in SPAN}


def _happened(number: int, each: Published) -> Happened:
    name, subject = type(each.event).__name__, contract.subject_of(each.event)
    return Happened(name, f"event-{number}", subject, each.time, each.event)
