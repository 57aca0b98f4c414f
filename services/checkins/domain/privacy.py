"""Rule 10: for whom a check-in exists, who reads its private words, and what erasing a person removes."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from msgspec.structs import replace

from services.checkins.domain.check_in import CheckIn
from shared.time import parse_instant


@dataclass(frozen=True, slots=True)
class Reader:
    """Who wants to read.

    `in_person`: with a token of their own, not by an integration that acts as them. `participates` and
    `coordinates`: the token's scopes say so.
    """

    person_id: str
    in_person: bool
    participates: bool
    coordinates: bool


def exists_for(check_in: CheckIn, reader: Reader, *, participant: bool) -> bool:
    """Whether a check-in exists for a reader; `participant`: they are one of its mentorship.

    A sensitive one exists for its author and for whom it went to, in person, and for nobody else.
    """
    own = reader.person_id in (check_in.author_id, check_in.routed_to)
    if check_in.sensitive:
        return own and reader.in_person
    return own or reader.coordinates or (reader.participates and participant)


def reads_words(check_in: CheckIn, reader: Reader) -> bool:
    """Whether a reader, for whom the check-in exists, reads its private words too."""
    if reader.in_person and reader.person_id in (check_in.author_id, check_in.routed_to):
        return True
    return reader.participates and reader.person_id in check_in.pair


def without_words_of(check_in: CheckIn, person_id: str, until: datetime) -> CheckIn:
    """The check-in less the private words that a person stored up to `until`."""
    if check_in.author_id == person_id and check_in.logged_at <= until:
        check_in = replace(check_in, note=None, feeling=None, help_text=None)
    acknowledgements = tuple(
        replace(each, comment=None) if each.by == person_id and each.at <= until else each
        for each in check_in.acknowledgements
    )
    return replace(check_in, acknowledgements=acknowledgements)


def answer_without_words(answer: Mapping[str, Any]) -> dict[str, Any]:
    """A kept answer (a check-in as it was shown) as it is shown to who does not read its private words."""
    kept = {name: value for name, value in answer.items() if name not in ("note", "feeling", "help")}
    kept["acknowledgements"] = [
        {name: value for name, value in each.items() if name != "comment"}
        for each in answer["acknowledgements"]
    ]
    return kept


def answer_without_words_of(answer: Mapping[str, Any], person_id: str, until: datetime) -> dict[str, Any]:
    """A kept answer (a check-in as it was shown) less the private words that a person stored up to `until`."""
    kept = dict(answer)
    if kept.get("author_id") == person_id and parse_instant(kept["logged_at"]) <= until:
        kept.pop("note", None)
        kept.pop("feeling", None)
        if "help" in kept:
            kept["help"] = {name: value for name, value in kept["help"].items() if name != "text"}
    if "acknowledgements" in kept:
        kept["acknowledgements"] = [
            {name: value for name, value in each.items() if name != "comment"}
            if each["acknowledged_by"] == person_id and parse_instant(each["acknowledged_at"]) <= until
            else each
            for each in kept["acknowledgements"]
        ]
    return kept
