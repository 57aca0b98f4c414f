"""When each part of a user was provided: an erasure takes what was there, and leaves what came after it. Pure.

A part is an attribute, an attribute of an attribute, or an item of a list as a whole. Ages have the shape of what
they are the ages of, with an instant for each part.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any

Plain = Mapping[str, Any]


def aged(
    user: Plain, now: datetime, before: Plain | None = None, ages: Plain | None = None, told: Any = None
) -> dict[str, Any]:
    """The ages of a user: `now`, but for what is as it was.

    Args:
        user: as it is.
        now: domain time.
        before, ages: as it was; None: it is all new.
        told: what was told now, whether that is as it was or not.
    """
    was, had, new = (each if isinstance(each, Mapping) else {} for each in (before, ages, told))
    return {
        name: _aged(part, now, was.get(name), had.get(name), new.get(name)) for name, part in user.items()
    }


def _aged(value: Any, now: datetime, before: Any, ages: Any, told: Any) -> Any:
    if isinstance(value, Mapping):
        return aged(value, now, before, ages, told)
    if isinstance(value, list):
        known = zip(before, ages, strict=True) if isinstance(before, list) else ()
        old = [(item, age) for item, age in known if item not in (told or ())]
        return [next((age for item, age in old if item == part), now) for part in value]
    return ages if value == before and value != told else now


def later(value: Any, ages: Any, at: datetime) -> tuple[Any, Any] | None:
    """What of a user, or of a part, was provided after an instant, and its ages; None: nothing."""
    if isinstance(value, Mapping):
        parts = {name: later(part, ages[name], at) for name, part in value.items()}
        left = {name: part for name, part in parts.items() if part is not None}
        return ({n: p[0] for n, p in left.items()}, {n: p[1] for n, p in left.items()}) if left else None
    if isinstance(value, list):
        items = [(item, age) for item, age in zip(value, ages, strict=True) if age > at]
        return ([item for item, _ in items], [age for _, age in items]) if items else None
    return (value, ages) if ages > at else None
