"""Numbers found beside numbers expected."""

from __future__ import annotations

from typing import Any

import pytest
from rich.console import Console

from deploy.local.demo.expected import WITHHELD
from deploy.local.demo.program import NUMBERS
from deploy.local.demo.tables import ROWS, differences, parts, table

EXPECTED: dict[str, Any] = {
    "goals": {"set": 2, "met": 1},
    "follow_through": 1 / 3,
    "confidence_mean": None,
    "by_role": {"mentor": {"goals": {"set": 2}}, "leader": WITHHELD},
}


def found(**changes: Any) -> dict[str, Any]:
    return {**EXPECTED, "id": "spring", **changes}


class TestDifferences:
    def test_what_agrees_has_none_whatever_else_is_answered(self) -> None:
        assert list(differences({"it": (found(follow_through=0.333333333333), EXPECTED)})) == []

    @pytest.mark.parametrize(
        ("changes", "told"),
        [
            ({"goals": {"set": 3, "met": 1}}, "it: goals.set is 3, expected 2"),
            ({"goals": {"set": 2}}, "it: goals.met is nothing, expected 1"),
            ({"follow_through": None}, "it: follow_through is –, expected 0.333"),
            ({"confidence_mean": 0}, "it: confidence_mean is 0, expected –"),
            ({"goals": {"set": 2, "met": None}}, "it: goals.met is –, expected 1"),
            (
                {"by_role": {"mentor": {"goals": {"set": 2}}, "leader": {"goals": {"set": 0}}}},
                "it: by_role.leader.withheld is nothing, expected fewer than 5 people",
            ),
            (WITHHELD | {"goals": {}, "by_role": {}}, "it: by_role.mentor.goals.set is nothing, expected 2"),
        ],
    )
    def test_every_one_is_told(self, changes: dict[str, Any], told: str) -> None:
        assert told in list(differences({"it": (found(**changes), EXPECTED)}))

    def test_what_is_shown_though_it_is_to_be_withheld_is_one(self) -> None:
        assert list(differences({"it": ({"goals": {"set": 1}}, WITHHELD)}))


class TestTable:
    def shown(self, answer: dict[str, Any]) -> str:
        console = Console(width=120, file=None)
        with console.capture() as capture:
            console.print(table("Numbers", parts("all", answer, EXPECTED)))
        return " ".join(capture.get().split())

    def test_each_number_stands_beside_the_expected_one(self) -> None:
        shown = self.shown(found(goals={"set": 2, "met": 5}))
        assert "│ goals set │ 2 = 2 │ 2 = 2 │ withheld = withheld │" in shown
        assert "│ met in time │ 5 ≠ 1 │" in shown
        assert "│ follow-through │ 0.333 = 0.333 │" in shown

    def test_it_has_every_number_there_is(self) -> None:
        assert set(ROWS) == NUMBERS
