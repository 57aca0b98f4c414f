"""The numbers found beside the expected ones, as tables; and what differs."""

from __future__ import annotations

import math
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from rich.table import Table
from rich.text import Text

from shared.events import Decoded

ROWS = {
    "goals.set": "goals set",
    "goals.met": "met in time",
    "goals.met_late": "met late",
    "goals.missed": "missed",
    "goals.retracted": "misses taken back",
    "goals.dropped": "dropped",
    "goals.revised": "revised",
    "goals.eased": "eased",
    "goals.open": "open",
    "follow_through": "follow-through",
    "check_ins.logged": "check-ins logged",
    "check_ins.lapsed": "lapsed",
    "check_ins.acknowledged": "acknowledged",
    "check_in_rate": "check-in rate",
    "confidence_mean": "mean confidence",
    "unrealistic": "said unrealistic",
    "unattainable": "said unattainable",
    "people": "people",
    "engaged": "engaged",
    "engaged_share": "share engaged",
}
WITHHELD = "withheld"
_MISSING = object()

Columns = Mapping[str, tuple[Mapping[str, Any], Mapping[str, Any]]]
"""By title, what was found and what was expected."""


def table(title: str, columns: Columns) -> Table:
    """A table of numbers, each `found = expected`, or `found ≠ expected` where they differ."""
    made = Table(
        title=title, title_justify="left", title_style="bold", caption="found = expected from the file"
    )
    made.add_column("")
    for name in columns:
        made.add_column(name, justify="right")
    for path, label in ROWS.items():
        cells = [_cell(path, found, expected) for found, expected in columns.values()]
        if any(cell.plain for cell in cells):
            made.add_row(label, *cells)
    return made


def differences(columns: Columns) -> Iterator[str]:
    """Every number that is not what was expected, in words."""
    for name, (found, expected) in columns.items():
        for path, wanted in _leaves(expected):
            value = _at(found, path)
            if not _same(value, wanted):
                yield f"{name}: {path} is {_shown(value)}, expected {_shown(wanted)}"


def parts(title: str, found: Mapping[str, Any], expected: Mapping[str, Any]) -> dict[str, Any]:
    """The columns of a whole and of its roles."""
    columns = {title: (_without_roles(found), _without_roles(expected))}
    for role, wanted in expected.get("by_role", {}).items():
        columns[f"{role}s"] = (found.get("by_role", {}).get(role, {}), wanted)
    return columns


def _without_roles(numbers: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in numbers.items() if name != "by_role"}


def _cell(path: str, found: Mapping[str, Any], expected: Mapping[str, Any]) -> Text:
    if WITHHELD in expected:
        first = path == next(iter(ROWS))
        same = found == expected
        return Text(
            f"{WITHHELD} {'=' if same else '≠'} {WITHHELD}" if first else "", "dim" if same else "bold red"
        )
    wanted = _at(expected, path)
    if wanted is _MISSING:
        return Text()
    value = _at(found, path)
    same = _same(value, wanted)
    return Text(f"{_shown(value)} {'=' if same else '≠'} {_shown(wanted)}", "" if same else "bold red")


def _leaves(numbers: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
    for name, value in numbers.items():
        if isinstance(value, Mapping):
            yield from _leaves(value, f"{prefix}{name}.")
        else:
            yield prefix + name, value


def _at(numbers: Any, path: str) -> Any:
    for name in path.split("."):
        if not isinstance(numbers, Mapping) or name not in numbers:
            return _MISSING
        numbers = numbers[name]
    return numbers


def _same(found: Any, wanted: Any) -> bool:
    if isinstance(found, int | float) and isinstance(wanted, int | float):
        return math.isclose(found, wanted, rel_tol=1e-9)
    return bool(found == wanted)


def _shown(value: Any) -> str:
    if value is _MISSING:
        return "nothing"
    if value is None:
        return "–"
    return f"{value:.3f}" if isinstance(value, float) else str(value)


def reminders(events: Iterable[Decoded]) -> Table:
    """What was sent and what was not, and why, by kind."""
    sent: Counter[str] = Counter()
    unsent: dict[str, Counter[str]] = defaultdict(Counter)
    for event in events:
        if event.type == "NudgeSent":
            sent[event.data.kind] += 1
        elif event.type in ("NudgeSuppressed", "NudgeFailed"):
            unsent[event.data.kind][event.data.reason or event.type] += 1
    made = Table(title="Reminders", title_justify="left", title_style="bold")
    made.add_column("kind")
    made.add_column("sent", justify="right")
    made.add_column("not sent, and why")
    for kind in sorted({*sent, *unsent}):
        why = ", ".join(f"{count} {reason}" for reason, count in sorted(unsent[kind].items()))
        made.add_row(kind, str(sent[kind]), why)
    return made
