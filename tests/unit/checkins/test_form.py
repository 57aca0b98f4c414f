"""The one-tap form's fields, as a browser sends them."""

from __future__ import annotations

import pytest

from services.checkins.domain.form import NotUnderstood, command_of, entered
from shared import events as contract
from tests.unit.checkins.world import a_goal


def test_what_is_left_empty_is_left_out() -> None:
    read = command_of(
        entered([("value", ""), ("confidence", " "), ("realistic", ""), ("note", "\r\n")]), a_goal()
    )
    assert (read.progress, read.confidence, read.realistic, read.attainable, read.note) == (
        None,
        None,
        None,
        None,
        None,
    )
    assert (read.mentorship_id, read.goal_id) == ("m-1", "g-1")


def test_all_of_it() -> None:
    pairs = [
        ("value", "7,5"),
        ("confidence", "10"),
        ("realistic", "no"),
        ("attainable", "yes"),
        ("note", "a\r\nb"),
    ]
    read = command_of(entered(pairs), a_goal())
    assert read.progress == contract.Progress(value=7.5)
    assert (read.confidence, read.realistic, read.attainable, read.note) == (10, False, True, "a\nb")


@pytest.mark.parametrize(
    ("measure", "pairs", "progress"),
    [
        (
            contract.Measure(kind="milestones", milestones=["a", "b"]),
            [("milestones", "a"), ("milestones", "b")],
            contract.Progress(milestones=["a", "b"]),
        ),
        (contract.Measure(kind="done"), [("done", "true")], contract.Progress(done=True)),
        (contract.Measure(kind="done"), [("done", "false")], contract.Progress(done=False)),
        (contract.Measure(kind="done"), [("done", "on")], contract.Progress(done=True)),
    ],
)
def test_progress_by_the_goals_measure(
    measure: contract.Measure, pairs: list[tuple[str, str]], progress: contract.Progress
) -> None:
    assert command_of(entered(pairs), a_goal(measure=measure)).progress == progress


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("value", "many"),
        ("value", "nan"),
        ("value", "1e999"),
        ("value", "1_000"),
        ("value", "1,234"),
        ("confidence", "11"),
        ("confidence", "-1"),
        ("confidence", "7.5"),
        ("realistic", "perhaps"),
        ("note", "x" * 4_001),
        ("note", "a\0b"),
    ],
)
def test_what_cannot_be_read_is_named(name: str, value: str) -> None:
    with pytest.raises(NotUnderstood) as refused:
        command_of(entered([(name, value)]), a_goal())
    assert list(refused.value.problems) == [name]


@pytest.mark.parametrize(
    ("text", "value"),
    [(" 7 ", 7.0), ("-0,5", -0.5), ("0,125", 0.125), ("1234", 1234.0), ("12,34", 12.34), ("1e3", 1000.0)],
)
def test_a_number_is_read_as_people_write_it(text: str, value: float) -> None:
    assert command_of(entered([("value", text)]), a_goal()).progress == contract.Progress(value=value)


@pytest.mark.parametrize(
    ("measure", "sent", "told_at"),
    [
        (contract.Measure(kind="number", target=7.0), "done", "value"),
        (contract.Measure(kind="milestones", milestones=["true"]), "value", "milestones"),
        (contract.Measure(kind="done"), "milestones", "done"),
    ],
)
def test_what_fits_another_measure_is_not_lost_unnoticed(
    measure: contract.Measure, sent: str, told_at: str
) -> None:
    """The goal was revised while the form was open."""
    with pytest.raises(NotUnderstood) as refused:
        command_of(entered([(sent, "true")]), a_goal(measure=measure))
    assert list(refused.value.problems) == [told_at]


@pytest.mark.parametrize(("text", "value"), [("1,234", 1.234), ("2,5", 2.5), ("2.5", 2.5), ("1234", 1234.0)])
def test_where_the_comma_is_the_decimal_mark_it_is_read_as_such(text: str, value: float) -> None:
    read = command_of(entered([("value", text)]), a_goal(), decimal_mark=",")
    assert read.progress == contract.Progress(value=value)


def test_what_would_be_a_thousand_there_is_asked_for_again() -> None:
    with pytest.raises(NotUnderstood) as refused:
        command_of(entered([("value", "1.234")]), a_goal(), decimal_mark=",")
    assert refused.value.problems == {"value": "grouped"}
