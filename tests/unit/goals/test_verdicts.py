"""Rules 2 to 4: met, missed, taken back; whatever comes in whichever order."""

from __future__ import annotations

from datetime import datetime, timedelta
from itertools import permutations

import pytest

from services.goals.domain.evidence import CheckIn, timing
from services.goals.domain.goal import Goal, Met, Missed, Retracted, evolved
from services.goals.domain.verdict import miss, weigh
from tests.unit.goals.world import (
    DAY,
    DECIDED,
    DUE,
    GRACE,
    MS,
    NOW,
    a_check_in,
    a_goal,
    a_missed_goal,
    belated,
    decided,
    kinds,
    late,
    value,
)


def weighed(goal: Goal, *check_ins: CheckIn, now: datetime) -> tuple[Goal, list[object]]:
    facts = weigh(goal, check_ins, grace=GRACE, now=now)
    return evolved(goal, facts), list(facts)


class TestRule2Evidence:
    @pytest.mark.parametrize(
        ("occurred_at", "logged_at", "expected"),
        [
            (DUE - MS, DUE - MS, "timely"),
            (DUE - MS, DUE + GRACE - MS, "timely"),
            (DUE - MS, DUE + GRACE, "belated"),
            (DUE - 7 * DAY, DUE + GRACE, "belated"),
            (DUE, DUE, "late"),
            (DUE, DUE - MS, "late"),
            (DUE + DAY, DUE + DAY, "late"),
        ],
    )
    def test_is_weighed_by_its_own_times(
        self, occurred_at: datetime, logged_at: datetime, expected: str
    ) -> None:
        assert timing(a_check_in(occurred_at, logged_at), DUE, GRACE) == expected

    def test_that_is_timely_meets_an_active_goal(self) -> None:
        goal, facts = weighed(a_goal(), a_check_in(NOW + DAY), now=NOW + DAY)
        assert kinds(facts) == ["Met"]
        assert (goal.state, goal.met_at) == ("met", NOW + DAY)

    def test_the_earliest_of_what_is_known_tells_when_it_was_met(self) -> None:
        known = [a_check_in(NOW + 3 * DAY), a_check_in(NOW + DAY, NOW + 4 * DAY), a_check_in(NOW + 2 * DAY)]
        for order in permutations(known):
            goal, _ = weighed(a_goal(), *order, now=NOW + 5 * DAY)
            assert goal.met_at == NOW + DAY

    def test_a_goal_that_was_met_stands_whatever_is_reported_afterwards(self) -> None:
        goal, _ = weighed(a_goal(), a_check_in(NOW + 2 * DAY), now=NOW + 2 * DAY)
        _, facts = weighed(
            goal,
            a_check_in(NOW + 2 * DAY),
            a_check_in(NOW + DAY, NOW + 3 * DAY),
            a_check_in(NOW + 3 * DAY, progress=value(1)),
            now=NOW + 3 * DAY,
        )
        assert facts == []

    def test_what_does_not_reach_the_target_is_none(self) -> None:
        assert weighed(a_goal(), a_check_in(progress=value(6.99)), now=NOW)[1] == []

    def test_what_is_not_timely_does_not_meet_an_active_goal(self) -> None:
        assert weighed(a_goal(), belated("mentor"), late("mentor"), now=DUE + 2 * DAY)[1] == []

    def test_comes_from_owner_and_counterpart_alone(self) -> None:
        assert weighed(a_goal(), a_check_in(by="leader"), now=NOW)[1] == []

    def test_it_may_be_from_before_the_goal_was_set(self) -> None:
        goal, _ = weighed(a_goal(), a_check_in(NOW - 6 * DAY, NOW + DAY), now=NOW + DAY)
        assert goal.met_at == NOW - 6 * DAY


class TestRule3Missed:
    def test_an_active_goal_without_timely_evidence_is_missed_once(self) -> None:
        goal, facts = decided(a_goal(), now=DECIDED)
        assert kinds(facts) == ["Missed"]
        assert (goal.state, goal.standing_miss and goal.standing_miss.missed_at) == ("missed", DECIDED)
        assert decided(goal, now=DECIDED + DAY)[1] == []

    def test_timely_evidence_meets_it_however_late_it_came_to_be_seen(self) -> None:
        known = a_check_in(DUE - MS, DUE + GRACE - MS)
        goal, facts = decided(a_goal(), [known], now=DECIDED + 30 * DAY)
        assert kinds(facts) == ["Met"]
        assert goal.met_at == DUE - MS

    def test_fraction_and_last_check_in_are_those_at_the_deadline(self) -> None:
        known = [
            a_check_in(NOW, progress=value(3.5)),
            a_check_in(DUE, progress=None),
            a_check_in(DUE + MS, progress=value(1)),
        ]
        _, (missed,) = decided(a_goal(), known, now=DECIDED + DAY)
        assert isinstance(missed, Missed)
        assert (missed.fraction, missed.last_check_in_at) == (0.5, DUE)

    def test_late_evidence_follows_the_miss_as_a_late_met(self) -> None:
        goal, facts = decided(a_goal(), [late()], now=DUE + 2 * DAY)
        assert kinds(facts) == ["Missed", "Met"]
        assert (goal.state, goal.met_at) == ("met", DUE + DAY)
        assert goal.standing_miss is not None

    def test_late_evidence_meets_a_missed_goal_late_whoever_logged_it(self) -> None:
        for author in ("mentee", "mentor"):
            goal, facts = weighed(a_missed_goal(), late(author), now=DUE + 2 * DAY)
            assert kinds(facts) == ["Met"]
            assert (goal.met_at, goal.standing_miss is not None) == (DUE + DAY, True)

    def test_what_occurred_at_the_deadline_itself_is_late(self) -> None:
        _, facts = decided(a_goal(), [a_check_in(DUE)], now=DECIDED)
        assert kinds(facts) == ["Missed", "Met"]


class TestRule4BelatedEvidence:
    def test_of_the_counterpart_takes_the_miss_back_at_once(self) -> None:
        goal, facts = weighed(a_missed_goal(), belated("mentor"), now=DUE + DAY)
        assert kinds(facts) == ["Retracted", "Met"]
        assert isinstance(facts[0], Retracted)
        assert facts[0].because == "late_evidence"
        assert (goal.state, goal.met_at, goal.standing_miss) == ("met", DUE - DAY, None)

    def test_of_the_owner_waits_for_the_counterparts_acknowledgement(self) -> None:
        missed = a_missed_goal()
        assert weighed(missed, belated(), now=DUE + DAY)[1] == []
        goal, facts = weighed(missed, belated(acknowledged=True), now=DUE + DAY)
        assert kinds(facts) == ["Retracted", "Met"]
        assert goal.state == "met"

    def test_that_was_there_before_the_miss_follows_it_at_once(self) -> None:
        _, facts = decided(a_goal(), [belated("mentor")], now=DUE + DAY)
        assert kinds(facts) == ["Missed", "Retracted", "Met"]

    def test_takes_the_miss_back_also_after_a_late_met(self) -> None:
        met_late, _ = weighed(a_missed_goal(), late(), now=DUE + 2 * DAY)
        goal, facts = weighed(met_late, late(), belated("mentor"), now=DUE + 3 * DAY)
        assert kinds(facts) == ["Retracted", "Met"]
        assert (goal.met_at, goal.standing_miss) == (DUE - DAY, None)

    def test_takes_it_back_once(self) -> None:
        goal, _ = weighed(a_missed_goal(), belated("mentor"), now=DUE + DAY)
        assert weighed(goal, belated("mentor"), belated(acknowledged=True), now=DUE + DAY)[1] == []

    def test_that_is_timely_and_came_late_all_the_same_takes_it_back_at_once(self) -> None:
        """A replayed dead letter."""
        _, facts = weighed(a_missed_goal(), a_check_in(DUE - DAY), now=DUE + DAY)
        assert kinds(facts) == ["Retracted", "Met"]


class TestRule4SaidMissedEarly:
    EARLY = DUE - 10 * DAY

    def goal(self) -> Goal:
        return a_missed_goal(at=self.EARLY)

    def test_timely_evidence_of_the_owner_waits_for_the_acknowledgement_too(self) -> None:
        since = self.EARLY + DAY
        assert weighed(self.goal(), a_check_in(since), now=since)[1] == []
        _, facts = weighed(self.goal(), a_check_in(since, acknowledged=True), now=since + DAY)
        assert kinds(facts) == ["Retracted", "Met"]

    def test_timely_evidence_of_the_counterpart_takes_it_back_at_once(self) -> None:
        since = self.EARLY + DAY
        assert kinds(weighed(self.goal(), a_check_in(since, by="mentor"), now=since)[1]) == [
            "Retracted",
            "Met",
        ]

    def test_timely_evidence_from_before_it_was_said_had_not_been_seen_yet(self) -> None:
        before = a_check_in(self.EARLY - MS)
        assert kinds(weighed(self.goal(), before, now=self.EARLY + DAY)[1]) == ["Retracted", "Met"]

    def test_nothing_is_decided_again_at_the_deadline(self) -> None:
        assert decided(self.goal(), now=DECIDED)[1] == []


class TestWhateverTheOrder:
    def test_the_same_becomes_of_a_goal_in_whichever_order_and_batches_evidence_comes(self) -> None:
        """All that was logged in time is taken into account before the decision; the rest comes as it will."""
        timely = [a_check_in(NOW + DAY, progress=value(3)), a_check_in(NOW + 2 * DAY, progress=value(5))]
        after = [late(), belated("mentor"), a_check_in(DUE + 2 * DAY, progress=value(2))]
        ends = set()
        for order in permutations(after):
            for cut in range(len(after) + 1):
                goal, _ = decided(a_goal(), [*timely, *order[:cut]], now=DECIDED)
                known = [*timely, *order[:cut]]
                for check_in in order[cut:]:
                    known.append(check_in)
                    goal, _ = weighed(goal, *known, now=DUE + timedelta(days=3))
                ends.add((goal.state, goal.met_at, goal.standing_miss))
        assert ends == {("met", DUE - DAY, None)}

    def test_looking_again_changes_nothing(self) -> None:
        known = [a_check_in(NOW, progress=value(2)), belated(), late()]
        goal, _ = decided(a_goal(), known, now=DUE + 2 * DAY)
        assert weigh(goal, known, grace=GRACE, now=DUE + 3 * DAY) == []
        assert miss(goal, known, grace=GRACE, now=DUE + 3 * DAY) == []

    def test_a_met_is_told_with_what_was_earliest(self) -> None:
        first, second = belated("mentor"), a_check_in(DUE - 2 * DAY, DUE + DAY, by="mentor")
        _, facts = weighed(a_missed_goal(), first, second, now=DUE + DAY)
        assert [fact.met_at for fact in facts if isinstance(fact, Met)] == [DUE - 2 * DAY]
