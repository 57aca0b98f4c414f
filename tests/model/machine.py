"""A state machine that drives a `Pair` through histories that Hypothesis makes up."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import TypeVar

from hypothesis import note
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from tests.model.histories import MOST_GOALS, Drawn
from tests.model.pair import Pair

T = TypeVar("T")

BEGINNINGS = (
    datetime(2026, 10, 19, 9, 30, tzinfo=UTC),  # clocks go back in Europe, then in America
    datetime(2027, 3, 8, 9, 30, tzinfo=UTC),  # and forward
    datetime(2028, 2, 24, 9, 30, tzinfo=UTC),  # before a leap day
)


class Hypothetical:
    """Chance that Hypothesis makes, and can shrink."""

    def __init__(self, data: st.DataObject) -> None:
        self._data = data

    def one_of(self, choices: Sequence[T]) -> T:
        return choices[self.number(0, len(choices) - 1)]

    def number(self, low: int, high: int) -> int:
        return low if low == high else self._data.draw(st.integers(low, high))


class Histories(RuleBasedStateMachine):
    """Random histories of one mentorship."""

    pair: Pair

    @initialize(begin=st.sampled_from(BEGINNINGS))
    def begins(self, begin: datetime) -> None:
        self.pair = Pair(begin, note)
        self._draws = 0

    # -- what people do

    @precondition(lambda self: len(self.pair.model.goals) < MOST_GOALS)
    @rule(data=st.data())
    def somebody_sets_a_goal(self, data: st.DataObject) -> None:
        self.pair.take(self._drawn(data).set_goal(self.pair.now))

    @precondition(lambda self: self.pair.model.goals)
    @rule(data=st.data())
    def somebody_revises_a_goal(self, data: st.DataObject) -> None:
        self.pair.take(self._drawn(data).revise(self.pair.now))

    @precondition(lambda self: any(goal.proposals for goal in self.pair.model.goals.values()))
    @rule(data=st.data())
    def somebody_answers_a_proposal(self, data: st.DataObject) -> None:
        self.pair.take(self._drawn(data).answer(self.pair.now))

    @precondition(lambda self: self.pair.model.goals)
    @rule(data=st.data())
    def somebody_says_an_outcome(self, data: st.DataObject) -> None:
        self.pair.take(self._drawn(data).say(self.pair.now))

    @precondition(lambda self: any(goal.missed_at for goal in self.pair.model.goals.values()))
    @rule(data=st.data())
    def somebody_disputes_a_miss(self, data: st.DataObject) -> None:
        self.pair.take(self._drawn(data).dispute(self.pair.now))

    @precondition(lambda self: any(goal.dispute for goal in self.pair.model.goals.values()))
    @rule(data=st.data())
    def somebody_rules_on_a_dispute(self, data: st.DataObject) -> None:
        self.pair.take(self._drawn(data).rule(self.pair.now))

    @precondition(lambda self: self.pair.model.goals)
    @rule(data=st.data())
    def somebody_checks_in(self, data: st.DataObject) -> None:
        self.pair.take(self._drawn(data).log(self.pair.now))

    @precondition(lambda self: self.pair.model.check_ins)
    @rule(data=st.data())
    def somebody_acknowledges_a_check_in(self, data: st.DataObject) -> None:
        self.pair.take(self._drawn(data).acknowledge(self.pair.now))

    @precondition(lambda self: self.pair.model.goals)
    @rule(data=st.data())
    def the_mentorship_turns(self, data: st.DataObject) -> None:
        self.pair.take(self._drawn(data).turn(self.pair.now))

    # -- what comes to be known

    @precondition(lambda self: self.pair.sent)
    @rule(data=st.data(), everything=st.booleans())
    def news_reaches_goals(self, data: st.DataObject, everything: bool) -> None:
        """Across subjects in any order; what is of one check-in comes in its own."""
        draws, pair = Hypothetical(data), self.pair
        while pair.sent:
            chosen = draws.one_of(pair.sent)
            pair.arrives(next(each for each in pair.sent if each.check_in == chosen.check_in))
            if not everything:
                return

    @precondition(lambda self: self.pair.taken_in)
    @rule(data=st.data())
    def news_reaches_goals_again(self, data: st.DataObject) -> None:
        assert self.pair.arrives(Hypothetical(data).one_of(self.pair.taken_in)) == []

    @precondition(lambda self: any(each.by is None for each in self.pair.sent))
    @rule(data=st.data())
    def a_check_in_becomes_a_dead_letter(self, data: st.DataObject) -> None:
        check_ins = [each for each in self.pair.sent if each.by is None]
        self.pair.loses(Hypothetical(data).one_of(check_ins))

    @precondition(lambda self: self.pair.lost)
    @rule(data=st.data())
    def a_dead_letter_is_replayed(self, data: st.DataObject) -> None:
        self.pair.arrives(Hypothetical(data).one_of(self.pair.lost))

    # -- what time brings

    @precondition(lambda self: self.pair.model.goals)
    @rule(data=st.data())
    def time_passes(self, data: st.DataObject) -> None:
        self.pair.passes(self._drawn(data).later(self.pair.now, self.pair.lapsing()))

    @rule()
    def what_is_due_is_decided(self) -> None:
        self.pair.decides()

    # -- what holds always

    @invariant()
    def both_agree(self) -> None:
        if hasattr(self, "pair"):
            self.pair.holds()

    def _drawn(self, data: st.DataObject) -> Drawn:
        self._draws += 1
        return Drawn(Hypothetical(data), self.pair.model, prefix=f"{self._draws}-")
