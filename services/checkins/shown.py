"""A check-in as it is answered."""

from __future__ import annotations

from typing import Any

import msgspec

from services.checkins.domain.check_in import Acknowledgement, CheckIn
from shared.time import format_instant


def shown(check_in: CheckIn, *, words: bool) -> dict[str, Any]:
    """A check-in in JSON's own types, with its private words or without; what has no value is left out."""
    body: dict[str, Any] = {
        "checkin_id": check_in.checkin_id,
        "mentorship_id": check_in.mentorship_id,
        "program_id": check_in.program_id,
        "goal_id": check_in.goal_id,
        "author_id": check_in.author_id,
        "author_role": check_in.author_role,
        "occurred_at": format_instant(check_in.occurred_at),
        "logged_at": format_instant(check_in.logged_at),
        "progress": msgspec.to_builtins(check_in.progress) if check_in.progress is not None else None,
        "confidence": check_in.confidence,
        "realistic": check_in.realistic,
        "attainable": check_in.attainable,
        "sensitive": check_in.sensitive,
        "acknowledgements": [_acknowledgement(each, words=words) for each in check_in.acknowledgements],
    }
    if words:
        body["feeling"] = check_in.feeling
        body["note"] = check_in.note
        if check_in.routed_to is not None:
            body["help"] = _present({"text": check_in.help_text, "route_to": check_in.routed_to})
    return _present(body)


def _acknowledgement(each: Acknowledgement, *, words: bool) -> dict[str, Any]:
    return _present(
        {
            "acknowledged_by": each.by,
            "acknowledger_role": each.role,
            "acknowledged_at": format_instant(each.at),
            "comment": each.comment if words else None,
        }
    )


def _present(body: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in body.items() if value is not None}
