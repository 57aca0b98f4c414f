"""What is withheld of numbers over few people, so that nobody's own can be read off, or worked out by subtraction.

Numbers over fewer than 5 people are withheld. So are parts of a whole over 1 to 4, and while those withheld
together are over fewer than 5 (each person counted once), the smallest other part with them. A part over nobody
is zeros and counts for nothing.
"""

from __future__ import annotations

from collections.abc import Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass

FEWEST = 5
NOTICE = {"withheld": f"fewer than {FEWEST} people"}


@dataclass(frozen=True, slots=True)
class Crowd:
    """The people behind a part: how many, and, where fewer than 5, who."""

    size: int
    few: frozenset[str] = frozenset()

    @classmethod
    def of(cls, people: AbstractSet[str]) -> Crowd:
        """The crowd of these people."""
        return cls(len(people), frozenset(people) if len(people) < FEWEST else frozenset())


NOBODY = Crowd(0)


def too_few(crowd: Crowd) -> bool:
    """Whether a whole over these people is withheld."""
    return crowd.size < FEWEST


def withheld_parts(parts: Sequence[Crowd], already: AbstractSet[int] = frozenset()) -> set[int]:
    """The indices of the parts to withhold of a whole that is shown.

    Of equals the first goes. `already`: parts that are withheld for another reason, and hide as well as any.
    """
    withheld = {index for index, crowd in enumerate(parts) if 0 < crowd.size < FEWEST} | set(already)
    hidden = [parts[index] for index in withheld]
    if any(crowd.size >= FEWEST for crowd in hidden):
        return withheld
    together = frozenset[str]().union(*(crowd.few for crowd in hidden))
    if not 0 < len(together) < FEWEST:
        return withheld
    others = [index for index, crowd in enumerate(parts) if index not in withheld and crowd.size]
    if others:
        withheld.add(min(others, key=lambda index: (parts[index].size, index)))
    return withheld
