"""The one-tap form: its fields as a browser sends them, read into a command."""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Literal

from services.checkins.domain.check_in import LogCheckIn
from services.checkins.domain.known import Goal
from shared import events as contract

MOST_WORDS = 4_000
Problem = Literal["number", "grouped", "measure", "confidence", "answer", "too_long", "characters"]
"""What is wrong with a field; the pages have the words for it."""
FIELD_OF = {"number": "value", "milestones": "milestones", "done": "done"}
"""The field that reports progress, by the kind of measure."""
_GROUPED = {
    ".": re.compile(r"[+-]?[1-9]\d{0,2},\d{3}", re.ASCII),
    ",": re.compile(r"[+-]?[1-9]\d{0,2}\.\d{3}", re.ASCII),
}
"""What may be a thousand, by the decimal mark."""
_YES = frozenset({"true", "yes", "on", "1"})
_NO = frozenset({"false", "no", "off", "0"})


class NotUnderstood(Exception):
    """Fields that cannot be read: in `problems` what is wrong with each, by the field's name."""

    def __init__(self, problems: Mapping[str, Problem]) -> None:
        super().__init__("some fields cannot be read")
        self.problems = dict(problems)


def entered(pairs: Iterable[tuple[str, str]]) -> dict[str, list[str]]:
    """What was filled in, by field; blanks are not."""
    found: dict[str, list[str]] = {}
    for name, value in pairs:
        if value.strip():
            found.setdefault(name, []).append(value)
    return found


def command_of(fields: Mapping[str, Sequence[str]], goal: Goal, *, decimal_mark: str = ".") -> LogCheckIn:
    """The check-in that the fields report; what was left empty is left out.

    Args:
        fields: what was filled in.
        goal: what it is about.
        decimal_mark: `.` or `,`, by the language in which the form was shown.

    Raises:
        NotUnderstood: some cannot be read.
    """
    problems: dict[str, Problem] = {}
    progress = _progress(fields, goal, decimal_mark, problems)
    confidence = _confidence(fields, problems)
    realistic = _answer(fields, "realistic", problems)
    attainable = _answer(fields, "attainable", problems)
    # A browser sends line ends as CR LF.
    note = fields.get("note", [""])[0].replace("\r\n", "\n").strip()
    if len(note) > MOST_WORDS:
        problems["note"] = "too_long"
    if "\0" in note:
        problems["note"] = "characters"
    if problems:
        raise NotUnderstood(problems)
    return LogCheckIn(
        mentorship_id=goal.mentorship_id,
        goal_id=goal.goal_id,
        progress=progress,
        confidence=confidence,
        realistic=realistic,
        attainable=attainable,
        note=note or None,
    )


def _progress(
    fields: Mapping[str, Sequence[str]], goal: Goal, decimal_mark: str, problems: dict[str, Problem]
) -> contract.Progress | None:
    kind = goal.measure.kind if goal.measure is not None else None
    field = FIELD_OF.get(kind or "")
    if any(name in fields for name in FIELD_OF.values() if name != field):
        # The measure was revised since the form was opened; what was reported is not to be lost unnoticed.
        problems[field or "value"] = "measure"
        return None
    if field is None or field not in fields:
        return None
    if kind == "milestones":
        return contract.Progress(milestones=list(dict.fromkeys(fields[field])))
    if kind == "done":
        done = _answer(fields, field, problems)
        return None if done is None else contract.Progress(done=done)
    value = _number(fields[field][0], decimal_mark, problems)
    return None if value is None else contract.Progress(value=value)


def _number(text: str, decimal_mark: str, problems: dict[str, Problem]) -> float | None:
    text = text.strip()
    grouped = _GROUPED[decimal_mark]
    if grouped.fullmatch(text):
        # A thousand to some, a fraction to others: ask rather than guess.
        problems["value"] = "grouped"
        return None
    if "," in text and "." not in text:
        text = text.replace(",", ".")
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    if not math.isfinite(value) or "_" in text:
        problems["value"] = "number"
        return None
    return value


def _confidence(fields: Mapping[str, Sequence[str]], problems: dict[str, Problem]) -> int | None:
    if "confidence" not in fields:
        return None
    text = fields["confidence"][0].strip()
    if text.isascii() and text.isdigit() and len(text) <= 2 and int(text) <= 10:
        return int(text)
    problems["confidence"] = "confidence"
    return None


def _answer(fields: Mapping[str, Sequence[str]], name: str, problems: dict[str, Problem]) -> bool | None:
    if name not in fields:
        return None
    text = fields[name][0].strip().lower()
    if text in _YES or text in _NO:
        return text in _YES
    problems[name] = "answer"
    return None
