"""The one-tap form: its fields as a browser sends them, read into a command."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence

from services.checkins.domain.check_in import LogCheckIn
from services.checkins.domain.known import Goal
from shared import events as contract

MOST_WORDS = 4_000
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
    if kind == "number" and "value" in fields:
        value = _number(fields["value"][0])
        if value is None:
            problems["value"] = "A number, such as 7 or 7.5."
            return None
        return contract.Progress(value=value)
    if kind == "milestones" and "milestones" in fields:
        return contract.Progress(milestones=list(dict.fromkeys(fields["milestones"])))
    if kind == "done" and "done" in fields:
        done = _answer(fields, "done", problems)
        return None if done is None else contract.Progress(done=done)
    return None


def _number(text: str) -> float | None:
    text = text.strip()
    if "," in text and "." not in text:
        text = text.replace(",", ".")
    try:
        value = float(text)
    except ValueError:
        return None
    return value if math.isfinite(value) and "_" not in text else None


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
