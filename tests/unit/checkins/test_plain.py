"""The thin way takes nothing that the ordinary one refuses, and understands the same by it."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from pydantic import ValidationError

from services.checkins.api import CheckInIn, command_of
from services.checkins.domain.check_in import LogCheckIn
from services.checkins.plain import plain_command
from shared.errors import Refused
from shared.http.body import parse


def ordinary(raw: bytes) -> LogCheckIn | None:
    """What the ordinary way makes of a body; None: it is refused."""
    try:
        return command_of(CheckInIn.model_validate(parse(raw)))
    except (Refused, ValidationError):
        return None


def thin(raw: bytes) -> LogCheckIn | None:
    """What the thin way makes of it; None: it goes the ordinary way."""
    # What it does not look at itself: see `shared.http.thin`.
    if b"\\u0000" in raw:
        return None
    try:
        return plain_command(raw)
    except ValueError:
        return None


TEXTS = st.one_of(
    st.text(max_size=12),
    st.sampled_from(
        ["a b", "a\nb", "a\x00b", "\ud800", "x" * 129, "x" * 201, "x" * 4001, "", " ", "system", "\u2028"]
    ),
)
INSTANTS = st.sampled_from(
    [
        "2026-11-02T09:00:00Z",
        "2026-11-02t09:00:00.123456+01:00",
        "2026-11-02T09:00:00",
        "2026-11-02 09:00:00Z",
        "2026-11-02T09:00:00 01:00",
        "2026-11-02",
        "2026-11-02T24:00:00Z",
        "2026-11-02T09:00:60Z",
        "9999-12-31T23:59:59-14:00",
        "20261102T090000Z",
        "2026-W45-1T09:00:00Z",
    ]
)
NUMBERS = st.one_of(
    st.integers(-20, 20),
    st.floats(allow_nan=False, allow_infinity=False),
    st.sampled_from([2**63, 2**63 - 1, -(2**63), -(2**63) - 1, 10**30, 1e300, 7.0, -0.0, 1e-320]),
)
ANYTHING = st.one_of(st.none(), st.booleans(), NUMBERS, TEXTS, st.lists(TEXTS, max_size=3), st.just({}))
FIELDS = {
    "mentorship_id": st.one_of(st.just("m-1"), TEXTS, ANYTHING),
    "goal_id": st.one_of(st.just("g-1"), TEXTS, ANYTHING),
    "occurred_at": st.one_of(INSTANTS, ANYTHING),
    "progress": st.one_of(
        st.fixed_dictionaries(
            {},
            optional={
                "value": st.one_of(NUMBERS, ANYTHING),
                "milestones": st.one_of(st.lists(TEXTS, max_size=52), ANYTHING),
                "done": st.one_of(st.booleans(), ANYTHING),
            },
        ),
        ANYTHING,
    ),
    "confidence": st.one_of(st.integers(-1, 11), ANYTHING),
    "realistic": st.one_of(st.booleans(), ANYTHING),
    "attainable": st.one_of(st.booleans(), ANYTHING),
    "feeling": st.one_of(st.sampled_from(["great", "good", "ok", "hard", "bad", "meh"]), ANYTHING),
    "note": st.one_of(TEXTS, ANYTHING),
    "help": ANYTHING,
    "sensitive": ANYTHING,
    "mood": ANYTHING,
}


@st.composite
def bodies(draw: st.DrawFn) -> bytes:
    """Bodies that are nearly right, as JSON with and without escapes."""
    names = draw(st.sets(st.sampled_from(sorted(FIELDS)), max_size=4)) | {"mentorship_id"}
    body: dict[str, Any] = {name: draw(FIELDS[name]) for name in sorted(names)}
    if draw(st.booleans()):
        body["mentorship_id"] = "m-1"
    return json.dumps(body, ensure_ascii=draw(st.booleans())).encode("utf-8", "surrogatepass")


@given(bodies())
@example(b'{"mentorship_id": "m-1"}')
@example(b'{"mentorship_id": "m-1", "note": "a\x01b"}')
@example(b'{"mentorship_id": "m-1", "note": "a\x00b"}')
@example(b'{"mentorship_id": "m-1", "note": "a\tb"}')
@example(b'{"mentorship_id": "m-1", "note": "\\ud800"}')
@example(b'{"mentorship_id": "m-1", "note": "a\xffb"}')
@example(b'{"mentorship_id": "m-1\\n"}')
@example(b'{"mentorship_id": "m-1", "mentorship_id": "m-2"}')
@example(b'\xef\xbb\xbf{"mentorship_id": "m-1"}')
@example(b'{"mentorship_id": "m-1"} ')
@example(b'{"mentorship_id": "m-1"} x')
@example(b'{"mentorship_id": "m-1", "confidence": 7.0}')
@example(b'{"mentorship_id": "m-1", "confidence": 1e1}')
@example(b'{"mentorship_id": "m-1", "goal_id": "g-1", "progress": {"value": 1e400}}')
@example(b'{"mentorship_id": "m-1", "goal_id": "g-1", "progress": {"value": NaN}}')
@example(b'{"mentorship_id": "m-1", "goal_id": "g-1", "progress": {"value": 1, "done": true}}')
@example(b'{"mentorship_id": "m-1", "goal_id": "g-1", "progress": {"milestones": ["a", "a"]}}')
@example(b'{"mentorship_id": "m-1", "goal_id": "g-1", "progress": {"value": null, "done": true}}')
@example(b'{"mentorship_id": "m-1", "progress": null}')
def test_what_it_takes_the_ordinary_way_takes_as_the_same(raw: bytes) -> None:
    taken = thin(raw)
    if taken is not None:
        assert taken == ordinary(raw)


@pytest.mark.parametrize(
    "raw",
    [
        b'{"mentorship_id": "m-1", "goal_id": "g-1", "progress": {"value": 7}, "confidence": 8, "note": "so far"}',
        b'{"mentorship_id": "m-1", "goal_id": "g-1", "progress": {"milestones": ["draft"]}, "realistic": true}',
        b'{"mentorship_id": "m-1", "occurred_at": "2026-11-02T09:00:00+01:00", "feeling": "good"}',
    ],
)
def test_the_usual_ones_are_taken(raw: bytes) -> None:
    assert thin(raw) == ordinary(raw) is not None
