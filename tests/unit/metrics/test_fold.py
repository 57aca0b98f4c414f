"""The fold equals a slow and obvious recount from all events, on random histories, however batches are cut."""

from __future__ import annotations

from datetime import date, timedelta
from random import Random
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from services.metrics.domain.answer import of_few, of_many
from services.metrics.domain.days import Asked, Window, buckets
from services.metrics.domain.explain import contributions, part_of, reasons
from services.metrics.domain.numbers import EXPLAINED
from services.metrics.domain.withheld import FEWEST, NOTICE
from tests.unit.metrics.folded import Folded
from tests.unit.metrics.histories import ORG, ROLES, History, batches, mixed, random_history
from tests.unit.metrics.recount import anybody, engaged, of_goal_or_pair, people, recount

HISTORIES = st.integers(0, 2**48).map(Random)
"""A seed each: a history is too large an input for shrinking to be of use."""

SPAN = ("scope", "id", "from", "to", "as_of", "series", "people", "engaged", "engaged_share")
DEADLINE = settings(deadline=None, max_examples=150)


def fold(history: History, rng: Random) -> Folded:
    """Fold a history in random batches, the topics interleaved at random."""
    folded = Folded()
    queues = {topic: batches(rng, events) for topic, events in history.events.items()}
    while any(queues.values()):
        topic = rng.choice([topic for topic, queue in queues.items() if queue])
        folded.take(topic, queues[topic].pop(0))
    return folded


def random_window(rng: Random) -> Asked:
    start = date(2026, 1, 1) + timedelta(days=rng.randint(-5, 80))
    end = start + timedelta(days=rng.choice((0, 3, 6, 27, 100)))
    as_of = start + timedelta(days=rng.choice((-3, 0, 2, 5, 20, 40, 400)))
    return Asked(Window(start.toordinal(), end.toordinal()), as_of.toordinal())


def dates(asked: Asked) -> tuple[date, date, date]:
    (start, end), as_of, _ = asked
    return date.fromordinal(start), date.fromordinal(end), date.fromordinal(as_of)


def numbers_of(answer: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in answer.items() if name not in SPAN}


class TestNumbersOfFew:
    @pytest.mark.parametrize("scope", ["goals", "mentorships", "people"])
    @DEADLINE
    @given(rng=HISTORIES)
    def test_they_are_those_of_a_recount(self, scope: str, rng: Random) -> None:
        history = random_history(rng)
        folded = fold(history, rng)
        asked = random_window(rng)
        ids = {
            "goals": [*folded.goals, f"{ORG}-goal-0-0"],
            "mentorships": list(folded.mentorships),
            "people": ["mentor-1", "mentee-0", "leader-1", "coordinator-1"],
        }[scope]
        id_ = rng.choice(ids)
        answer = of_few(scope, id_, asked, "week", contributions(folded.items(scope, id_), asked.as_of))
        if scope == "people":
            events, whose = history.all, lambda role, person: person == id_
        else:
            events, whose = of_goal_or_pair(history.all, f"{scope[:-1]}_id", id_), anybody
        assert numbers_of(answer) == recount(events, *dates(asked), whose)
        for bucket in answer["series"]:
            within = date.fromisoformat(bucket["from"]), date.fromisoformat(bucket["to"])
            assert numbers_of(bucket) == recount(events, *within, dates(asked)[2], whose)


class TestNumbersOfMany:
    @pytest.mark.parametrize(
        ("scope", "field", "id_"), [("orgs", "org_id", ORG), ("programs", "program_id", "program-1")]
    )
    @DEADLINE
    @given(rng=HISTORIES)
    def test_they_are_those_of_a_recount(self, scope: str, field: str, id_: str, rng: Random) -> None:
        history = random_history(rng)
        folded = fold(history, rng)
        asked = random_window(rng)
        answer = of_many(
            scope,
            id_,
            asked,
            "week",
            folded.sums(scope, id_, asked.as_of),
            folded.engaged(scope, id_, asked.as_of),
            [m for m in folded.mentorships.values() if scope == "orgs" or m.program_id == id_],
        )
        events = of_goal_or_pair(history.all, field, id_)
        start, end, as_of = dates(asked)
        self.check(answer, events, start, end, as_of)
        for bucket in answer.get("series", []):
            within = date.fromisoformat(bucket["from"]), date.fromisoformat(bucket["to"])
            self.check(bucket, events, *within, as_of)

    def check(self, answer: dict[str, Any], events: list[Any], start: date, end: date, as_of: date) -> None:
        """What is shown equals the recount; what is over few people is not shown."""
        behind = people(events, start, end, as_of)
        everyone = set(behind.values())
        if not everyone and "people" in answer:
            assert numbers_of(answer) == recount([], start, end, as_of)
            return
        assert len(everyone) >= FEWEST or answer.get("withheld") == NOTICE["withheld"]
        if "withheld" in answer:
            return
        expected = recount(events, start, end, as_of)
        roles = expected.pop("by_role")
        shown = numbers_of(answer)
        by_role = shown.pop("by_role")
        assert shown == expected
        assert answer["people"] == len(everyone)
        assert answer["engaged"] == len(engaged(events, start, end, as_of) & everyone)
        assert answer["engaged_share"] == answer["engaged"] / answer["people"]
        for role in ROLES:
            size = sum(1 for name in behind if name.startswith(f"{role}:"))
            if by_role[role] == NOTICE:
                assert size > 0
            elif size:
                assert size >= FEWEST
                assert by_role[role] == roles[role]


class TestOrder:
    @DEADLINE
    @given(rng=HISTORIES)
    def test_neither_batches_nor_the_order_across_subjects_matter(self, rng: Random) -> None:
        history = random_history(rng)
        once = fold(history, rng)
        again = History(ORG, {topic: mixed(rng, events) for topic, events in history.events.items()})
        other = fold(again, rng)
        assert once.cells == other.cells
        assert once.goals == other.goals
        assert once.mentorships == other.mentorships


class TestExplain:
    @DEADLINE
    @given(rng=HISTORIES)
    def test_the_weights_add_up_to_the_number(self, rng: Random) -> None:
        history = random_history(rng)
        folded = fold(history, rng)
        asked = random_window(rng)
        id_ = rng.choice(list(folded.mentorships))
        items = folded.items("mentorships", id_)
        answer = of_few("mentorships", id_, asked, None, contributions(items, asked.as_of))
        for number in EXPLAINED:
            if number in ("follow_through", "check_in_rate", "confidence_mean"):
                continue
            group, _, name = number.rpartition(".")
            shown = answer[group][name] if group else answer[name]
            part = part_of(number)
            assert sum(reason.weight for item in items for reason in reasons(item, asked, part)) == shown
            for role in ROLES:
                by_role = answer["by_role"][role]
                shown = by_role[group][name] if group else by_role[name]
                part = part_of(f"by_role.{role}.{number}")
                assert sum(reason.weight for item in items for reason in reasons(item, asked, part)) == shown


class TestBuckets:
    @given(
        start=st.dates(date(2020, 1, 1), date(2030, 1, 1)),
        days=st.integers(0, 900),
        granularity=st.sampled_from(["day", "week", "month"]),
    )
    def test_they_cover_the_window_without_gaps(self, start: date, days: int, granularity: Any) -> None:
        window = Window(start.toordinal(), start.toordinal() + days)
        cut = buckets(window, granularity)
        assert [day for bucket in cut for day in range(bucket.start, bucket.end + 1)] == list(
            range(window.start, window.end + 1)
        )
        for bucket in cut[1:]:
            first = date.fromordinal(bucket.start)
            assert granularity != "week" or first.weekday() == 0
            assert granularity != "month" or first.day == 1
