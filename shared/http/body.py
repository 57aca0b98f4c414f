"""What clients send: JSON read strictly, and the pydantic types that requests are made of."""

from __future__ import annotations

import datetime as dt
import json
import math
import re
from typing import Annotated, Any, ClassVar, NoReturn

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, StringConstraints
from pydantic.json_schema import WithJsonSchema

from shared import time
from shared.errors import FieldError, Malformed, Unprocessable
from shared.http.problems import pointer

MAX_BODY_BYTES = 1_048_576
MAX_DEPTH = 32
MOST_DIGITS = 310
_INT64 = 1 << 63
_ID = re.compile(r"[A-Za-z0-9._:-]{1,128}", re.ASCII)
SYSTEM = "system"
_AN_INSTANT = "An instant as RFC 3339 with an offset, such as 2026-12-18T16:00:00Z."


class Body(BaseModel):
    """The base of every request body.

    Unknown fields are refused, and types are meant: no "5" or `true` for a number. Use the types of this
    module for instants, dates and ids, and `Literal` rather than enums: strict validation takes no strings
    for those.
    """

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True)
    items_apart: ClassVar[bool] = False
    """Whether each of its `items` is judged by itself, as in a batch: what cannot be stored is that item's matter."""


class Params(BaseModel):
    """The base of a list's query parameters: `filters: Annotated[GoalFilters, Query()]`.

    Unknown parameters are refused by the route; values are read from their text. `limit` and `cursor` belong
    to `Page`. A parameter called `from` is a field with that alias.
    """

    model_config = ConfigDict(frozen=True, populate_by_name=True)


# --- types of fields


def valid_id(text: str) -> bool:
    """Whether `text` can be an id: 1-128 of `A-Z a-z 0-9 . _ : -`."""
    return _ID.fullmatch(text) is not None


def _id(text: str) -> str:
    if not valid_id(text):
        raise ValueError("An id: 1-128 of A-Z a-z 0-9 . _ : - .")
    return text


def _person(text: str) -> str:
    if text == SYSTEM:
        raise ValueError("`system` is nobody's id.")
    return _id(text)


def _instant(value: Any) -> dt.datetime:
    if not isinstance(value, str):
        raise ValueError(_AN_INSTANT)  # noqa: TRY004 - pydantic turns a ValueError into a refusal
    try:
        return time.parse_instant(value)
    except ValueError as error:
        raise ValueError(_AN_INSTANT) from error


def _instant_asked(value: Any) -> dt.datetime:
    # In a query, a `+` that was not percent-encoded arrives as a space.
    return _instant(re.sub(r" (?=\d\d:\d\d$)", "+", value) if isinstance(value, str) else value)


def _day(value: Any) -> dt.date:
    if not isinstance(value, str) or not re.fullmatch(r"\d{4}-\d\d-\d\d", value, re.ASCII):
        raise ValueError("A date such as 2026-12-18.")
    try:
        return dt.date.fromisoformat(value)
    except ValueError as error:
        raise ValueError("There is no such date.") from error


def _zone(name: str) -> str:
    try:
        time.zone(name)
    except ValueError as error:
        raise ValueError("A time zone of the IANA database, such as Europe/Berlin.") from error
    return name


def _one_line(text: str) -> str:
    if text and text.splitlines() != [text]:
        raise ValueError("One line.")
    if not text.strip():
        raise ValueError("Not blank.")
    return text


def _finite(number: float) -> float:
    if not math.isfinite(number):
        raise ValueError("A finite number.")
    return number


_ID_SCHEMA = WithJsonSchema({"type": "string", "pattern": "^[A-Za-z0-9._:-]{1,128}$"})
Id = Annotated[str, AfterValidator(_id), _ID_SCHEMA]
"""An id of anything."""
PersonId = Annotated[str, AfterValidator(_person), _ID_SCHEMA]
"""An id of a person; `system` is nobody's."""
Instant = Annotated[
    dt.datetime, BeforeValidator(_instant), WithJsonSchema({"type": "string", "format": "date-time"})
]
"""RFC 3339 with any offset; UTC, truncated to milliseconds, when validated."""
QueryInstant = Annotated[
    dt.datetime, BeforeValidator(_instant_asked), WithJsonSchema({"type": "string", "format": "date-time"})
]
"""The same in a query, where `+` may have become a space."""
Day = Annotated[dt.date, BeforeValidator(_day), WithJsonSchema({"type": "string", "format": "date"})]
"""A calendar date, `2026-12-18`."""
TimeZone = Annotated[str, AfterValidator(_zone)]
"""The name of an IANA time zone."""
Title = Annotated[str, StringConstraints(min_length=1, max_length=200), AfterValidator(_one_line)]
"""1-200 characters on one line: a goal's title, a milestone."""
Unit = Annotated[str, StringConstraints(min_length=1, max_length=40), AfterValidator(_one_line)]
"""The unit of a measure."""
Note = Annotated[str, StringConstraints(max_length=4000)]
"""A check-in's note: private words."""
Words = Annotated[str, StringConstraints(max_length=2000)]
"""All other private words."""
Number = Annotated[float, AfterValidator(_finite)]
"""A finite number."""
ExternalRef = Annotated[str, StringConstraints(min_length=1, max_length=128)]
"""What another system calls the thing; unique in the organization."""
Days90 = Annotated[int, Field(ge=1, le=90)]
"""`check_in_every_days`."""


# --- strict JSON


def parse(raw: bytes, *, items_apart: bool = False) -> Any:
    """The JSON value of a body; an empty one is an empty object, so that what is missing can be named.

    `items_apart`: of its `items` nothing is looked at but their keys; see `require_storable`.

    Raises:
        Malformed: it is not JSON in UTF-8, or holds NaN or Infinity, which JSON has not (400).
        Unprocessable: a number or a string in it cannot be stored; the pointer says which (422).
    """
    if not raw.strip():
        return {}
    try:
        value = json.loads(raw.decode("utf-8"), parse_int=_int, parse_constant=_constant)
    except UnicodeDecodeError as error:
        raise Malformed("The body is not UTF-8.") from error
    except RecursionError as error:
        raise Malformed("The body is nested too deeply.") from error
    except ValueError as error:
        raise Malformed(f"The body is not JSON: {error}.") from error
    require_storable(_without_items(value) if items_apart else value)
    return value


def require_storable(value: Any) -> None:
    """Refuse what JSON can say and a store cannot keep.

    Raises:
        Unprocessable: a number or a string in it cannot be stored; the pointer says which (422).
    """
    errors: list[FieldError] = []
    _inspect(value, (), errors)
    if errors:
        raise Unprocessable(errors[0].detail, errors=errors[:20])


def _without_items(value: Any) -> Any:
    """A batch with nothing of its items but their keys, which are answered."""
    if not isinstance(value, dict) or not isinstance(value.get("items"), list):
        return value
    keys = [item.get("key") if isinstance(item, dict) else item for item in value["items"]]
    return {**value, "items": [{"key": key} for key in keys]}


def _int(text: str) -> int | float:
    # Longer ones are out of range whatever they are, and cost quadratic time to read.
    number = int(text) if len(text) <= MOST_DIGITS else math.inf
    if -_INT64 <= number < _INT64:
        return number
    # A finite number all the same, if not one that is kept digit by digit: as `1e20` is.
    try:
        return float(number)
    except OverflowError:
        return math.inf


def _constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is no number")


def _inspect(value: Any, path: tuple[str | int, ...], errors: list[FieldError]) -> None:
    if isinstance(value, str):
        if not _storable(value):
            errors.append(FieldError("Text without NUL and unpaired surrogates.", pointer=pointer(*path)))
    elif isinstance(value, float):
        if not math.isfinite(value):
            errors.append(FieldError("A finite number.", pointer=pointer(*path)))
    elif isinstance(value, dict | list):
        if len(path) >= MAX_DEPTH:
            errors.append(FieldError("Nested too deeply.", pointer=pointer(*path)))
            return
        for key, item in value.items() if isinstance(value, dict) else enumerate(value):
            if isinstance(key, str) and not _storable(key):
                errors.append(
                    FieldError("Names without NUL and unpaired surrogates.", pointer=pointer(*path))
                )
            else:
                _inspect(item, (*path, key), errors)


def _storable(text: str) -> bool:
    if text.isascii():
        return "\0" not in text
    try:
        text.encode("utf-8")
    except UnicodeEncodeError:
        return False
    return "\0" not in text
