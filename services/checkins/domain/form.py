"""The one-tap form: its fields as a browser sends them, read into a command."""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Mapping, Sequence

from services.checkins.domain.check_in import LogCheckIn
from services.checkins.domain.known import Goal
from shared import events as contract

MOST_WORDS = 4_000
FIELD_OF = {"number": "value", "milestones": "milestones", "done": "done"}
"""The field that reports progress, by the kind of measure."""
_GROUPED = re.compile(r"[+-]?[1-9]\d{0,2},\d{3}", re.ASCII)
_YES = frozenset({"true", "yes", "on", "1"})
_NO = frozenset({"false", "no", "off", "0"})


class NotUnderstood(Exception):
    """Fields that cannot be read: in `problems` a sentence for each, by the field's name."""

    def __init__(self, problems: Mapping[str, str]) -> None:
        super().__init__("some fields cannot be read")
        self.problems = dict(problems)


def entered(pairs: Iterable[tuple[str, str]]) -> dict[str, list[str]]:
    """What was filled in, by field; blanks are not."""
    found: dict[str, list[str]] = {}
    for name, value in pairs:
        if value.strip():
            found.setdefault(name, []).append(value)
    return found


def command_of(fields: Mapping[str, Sequence[str]], goal: Goal) -> LogCheckIn:
    """The check-in that the fields report; what was left empty is left out.

    Raises:
        NotUnderstood: some cannot be read.
    """
    problems: dict[str, str] = {}
    progress = _progress(fields, goal, problems)
    confidence = _confidence(fields, problems)
    realistic = _answer(fields, "realistic", problems)
    attainable = _answer(fields, "attainable", problems)
    # A browser sends line ends as CR LF.
    note = fields.get("note", [""])[0].replace("\r\n", "\n").strip()
    if len(note) > MOST_WORDS:
        problems["note"] = f"At most {MOST_WORDS} characters."
    if "\0" in note:
        problems["note"] = "This holds a character that cannot be stored."
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
    fields: Mapping[str, Sequence[str]], goal: Goal, problems: dict[str, str]
) -> contract.Progress | None:
    kind = goal.measure.kind if goal.measure is not None else None
    field = FIELD_OF.get(kind or "")
    if any(name in fields for name in FIELD_OF.values() if name != field):
        # The measure was revised since the form was opened; what was reported is not to be lost unnoticed.
        problems[field or "value"] = "This goal is measured in another way by now: please report it anew."
        return None
    if field is None or field not in fields:
        return None
    if kind == "milestones":
        return contract.Progress(milestones=list(dict.fromkeys(fields[field])))
    if kind == "done":
        done = _answer(fields, field, problems)
        return None if done is None else contract.Progress(done=done)
    value = _number(fields[field][0], problems)
    return None if value is None else contract.Progress(value=value)


def _number(text: str, problems: dict[str, str]) -> float | None:
    text = text.strip()
    if _GROUPED.fullmatch(text):
        # A thousand to some, a fraction to others: ask rather than guess.
        problems["value"] = (
            f"{text} can be read in two ways: write it without the comma, such as 1234 or 1.234."
        )
        return None
    if "," in text and "." not in text:
        text = text.replace(",", ".")
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    if not math.isfinite(value) or "_" in text:
        problems["value"] = "A number, such as 7 or 7.5."
        return None
    return value


def _confidence(fields: Mapping[str, Sequence[str]], problems: dict[str, str]) -> int | None:
    if "confidence" not in fields:
        return None
    text = fields["confidence"][0].strip()
    if text.isascii() and text.isdigit() and len(text) <= 2 and int(text) <= 10:
        return int(text)
    problems["confidence"] = "A whole number from 0 to 10."
    return None


def _answer(fields: Mapping[str, Sequence[str]], name: str, problems: dict[str, str]) -> bool | None:
    if name not in fields:
        return None
    text = fields[name][0].strip().lower()
    if text in _YES or text in _NO:
        return text in _YES
    problems[name] = "Yes or no."
    return None
