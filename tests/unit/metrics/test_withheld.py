"""What is withheld, by tables: parts over few people, and what would give them away."""

from __future__ import annotations

from typing import Any

import pytest

from services.metrics.domain.answer import of_many
from services.metrics.domain.days import Asked, Granularity, Window
from services.metrics.domain.mentorship import Crew, End, Mentorship
from services.metrics.domain.numbers import Contribution
from services.metrics.domain.withheld import NOTICE, Crowd, withheld_parts


def crowd(*people: str) -> Crowd:
    return Crowd.of(set(people))


def many(size: int, name: str = "p") -> Crowd:
    return Crowd.of({f"{name}{number}" for number in range(size)})


class TestWithheldParts:
    @pytest.mark.parametrize(
        ("parts", "withheld"),
        [
            ([many(5), many(9), many(7)], set()),
            ([], set()),
            ([many(0), many(5), many(0)], set()),
            # One part over few: the smallest other goes with it, of equals the first.
            ([many(9), many(7), many(1)], {1, 2}),
            ([many(7), many(7), many(1)], {0, 2}),
            ([many(1), many(7), many(7)], {0, 1}),
            # A part over nobody hides nothing and is not picked.
            ([many(0), many(7), many(1)], {1, 2}),
            ([many(0), many(0), many(3)], {2}),
            # Two over few that hold five together hide each other.
            ([many(8), crowd("a", "b", "c"), crowd("d", "e")], {1, 2}),
            # Each person counted once: these are four together.
            ([many(8), crowd("a", "b", "c"), crowd("c", "d")], {0, 1, 2}),
        ],
    )
    def test_few_are_withheld_with_what_would_tell_them(self, parts: list[Crowd], withheld: set[int]) -> None:
        assert withheld_parts(parts) == withheld


def pair(number: int, since: int, leader: str | None = None, end: int | None = None) -> Mentorship:
    return Mentorship(
        mentorship_id=f"mentorship-{number}",
        org_id="org-1",
        program_id="program-1",
        crews=[Crew(since, f"mentor-{number}", f"mentee-{number}", leader)],
        end=None if end is None else End(end, end),
    )


def answer(
    mentorships: list[Mentorship],
    contributions: list[Contribution],
    granularity: Granularity | None = None,
    days: tuple[int, int] = (100, 127),
) -> Any:
    asked = Asked(Window(*days), 10_000)
    return of_many("programs", "program-1", asked, granularity, contributions, [], mentorships)


class TestAProgram:
    def test_of_fewer_than_five_people_nothing_is_told(self) -> None:
        found = answer([pair(1, 90), pair(2, 90)], [Contribution("mentee", "met", 101, 1)], "week")
        assert found == {
            "scope": "programs",
            "id": "program-1",
            "from": "0001-04-10",
            "to": "0001-05-07",
            "as_of": "0028-05-18",
            "withheld": "fewer than 5 people",
        }

    def test_a_lone_leader_is_hidden_behind_the_mentors(self) -> None:
        pairs = [pair(number, 90, "leader-1" if number == 0 else None) for number in range(5)]
        found = answer(pairs, [Contribution("leader", "met", 101, 1)])
        assert found["goals"]["met"] == 1
        by_role = found["by_role"]
        assert by_role["leader"] == NOTICE
        assert by_role["mentor"] == NOTICE
        assert by_role["mentee"]["goals"]["met"] == 0

    def test_without_leaders_their_part_is_zeros(self) -> None:
        found = answer([pair(number, 90) for number in range(5)], [Contribution("mentee", "met", 101, 1)])
        by_role = found["by_role"]
        assert by_role["leader"]["goals"]["met"] == 0
        assert by_role["mentee"]["goals"]["met"] == 1

    def test_a_bucket_over_few_is_hidden_behind_the_smallest_other(self) -> None:
        # Two pairs in the first week, ten from the second on.
        pairs = [pair(number, 90 if number < 2 else 106) for number in range(10)]
        series = answer(pairs, [Contribution("mentee", "met", 101, 1)], "week")["series"]
        assert [("withheld" in bucket) for bucket in series] == [True, True, False, False, False]

    def test_a_bucket_over_nobody_is_zeros_and_hides_nothing(self) -> None:
        pairs = [pair(number, 110) for number in range(5)]
        series = answer(pairs, [Contribution("mentee", "met", 101, 1)], "week")["series"]
        assert series[0]["goals"]["met"] == 0
        assert series[0]["people"] == 0
        assert not any("withheld" in bucket for bucket in series)

    def test_a_role_over_few_in_one_bucket_cannot_be_subtracted_from_its_window(self) -> None:
        # Five leaders at the window's end, one of them alone in the first week.
        pairs = [pair(number, 90 if number < 1 else 106, f"leader-{number}") for number in range(6)]
        pairs += [pair(number, 90) for number in range(6, 12)]
        found = answer(pairs, [Contribution("leader", "met", 101, 1)], "week")
        assert found["by_role"]["leader"]["goals"]["met"] == 1
        hidden = [bucket["by_role"]["leader"] == NOTICE for bucket in found["series"]]
        assert hidden == [True, True, False, False, False]
