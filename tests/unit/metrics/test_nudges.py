"""The numbers of nudges: what counts as an answer, what is withheld, and what chance alone would do."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from random import Random
from typing import Any

import pytest

from services.metrics.domain.diary import Entry
from services.metrics.domain.goal import Line
from services.metrics.domain.mentorship import Deed
from services.metrics.domain.nudges import Deeds, Nudge, answered, effect, interval, numbers
from services.metrics.domain.withheld import NOTICE

AT = datetime(2026, 3, 2, 9, tzinfo=UTC)
HOUR = timedelta(hours=1)


def nudge(kind: str, number: int = 0, **changes: Any) -> Nudge:
    values: dict[str, Any] = {
        "nudge_id": f"nudge-{kind}-{number}",
        "org_id": "org-1",
        "program_id": "program-1",
        "mentorship_id": "mentorship-1",
        "goal_id": "goal-1",
        "recipient_id": f"person-{number}",
        "kind": kind,
        "period": "1",
        "outcome": "sent",
        "reason": None,
        "at": AT,
    }
    return Nudge(**{**values, **changes})


def entry(name: str, at: datetime, by: str = "person-0", **changes: Any) -> Entry:
    return Entry(type=name, id="event", subject="checkin/1", time=at, at=at, by=by, **changes)


def line(name: str, at: datetime, by: str | None = "person-0", of: str | None = None) -> Line:
    return Line(type=name, id="event", time=at, by=by, of=of, weights=[])


class TestAnswered:
    @pytest.mark.parametrize(
        ("hours", "expected"), [(-0.1, False), (0, True), (47.9, True), (48, True), (48.1, False)]
    )
    def test_within_48_hours(self, hours: float, expected: bool) -> None:
        deeds = Deeds(entries={"goal-1": [entry("CheckInLogged", AT + hours * HOUR)]})
        assert answered(nudge("check_in_due"), deeds) == expected

    def test_by_the_recipient_alone(self) -> None:
        deeds = Deeds(entries={"goal-1": [entry("CheckInLogged", AT + HOUR, by="somebody")]})
        assert not answered(nudge("check_in_due"), deeds)

    @pytest.mark.parametrize(
        ("kind", "period", "deeds"),
        [
            ("acknowledge_check_in", "c1", {"acknowledgements": {"c1": [entry("", AT + HOUR)]}}),
            ("proposal_waiting", "p1", {"lines": {"goal-1": [line("GoalRevised", AT + HOUR, None, "p1")]}}),
            (
                "proposal_waiting",
                "p1",
                {"lines": {"goal-1": [line("RevisionDeclined", AT + HOUR, of="p1")]}},
            ),
            ("dispute_waiting", "2", {"lines": {"goal-1": [line("DisputeRejected", AT + HOUR, None, "2")]}}),
            ("agree_expectations", "1", {"signatures": {"mentorship-1": [Deed("person-0", AT + HOUR, 1)]}}),
            ("renegotiate", "1", {"lines": {"goal-1": [line("RevisionProposed", AT + HOUR)]}}),
            ("goal_due_soon", "1", {"lines": {"goal-1": [line("GoalRevised", AT + HOUR)]}}),
            ("goal_missed", "1", {"lines": {"goal-1": [line("MissDisputed", AT + HOUR)]}}),
        ],
    )
    def test_each_kind_asks_for_something_of_its_own(
        self, kind: str, period: str, deeds: dict[str, Any]
    ) -> None:
        asked = nudge(kind, period=period)
        assert answered(asked, Deeds(**deeds))
        assert not answered(asked, Deeds())

    def test_what_only_tells_is_never_answered(self) -> None:
        deeds = Deeds(entries={"goal-1": [entry("CheckInLogged", AT + HOUR)]})
        assert not answered(nudge("goal_met"), deeds)


class TestNumbers:
    def test_sent_held_out_and_reasons_are_counted(self) -> None:
        sent = [nudge("check_in_due", number, goal_id=f"goal-{number}") for number in range(6)]
        held = [
            nudge("check_in_due", number, goal_id=f"goal-{number}", outcome="suppressed", reason="holdout")
            for number in range(6, 10)
        ]
        others = [
            nudge("check_in_due", 11, outcome="suppressed", reason="absent"),
            nudge("check_in_due", 12, outcome="failed", reason="bounced"),
        ]
        deeds = Deeds(
            entries={
                f"goal-{number}": [entry("CheckInLogged", AT + HOUR, f"person-{number}")]
                for number in (0, 1, 2, 6)
            }
        )
        found = numbers([*sent, *held, *others], deeds)
        assert (found["sent"], found["failed"]) == (6, 1)
        assert found["suppressed"] == {"absent": 1, "holdout": 4}
        kind = found["kinds"]["check_in_due"]
        assert (kind["sent"], kind["answered"], kind["answered_share"]) == (6, 3, 0.5)
        assert (kind["held_out"], kind["held_out_answered"], kind["held_out_share"]) == (4, 1, 0.25)
        assert kind["effect"]["difference"] == 0.25
        assert kind["effect"]["low"] < 0 < kind["effect"]["high"]

    def test_a_kind_over_few_recipients_is_withheld_and_the_smallest_other_with_it(self) -> None:
        few = [nudge("goal_missed", number) for number in range(4)]
        more = [nudge("check_in_due", number) for number in range(6)]
        most = [nudge("goal_met", number) for number in range(7)]
        kinds = numbers([*few, *more, *most], Deeds())["kinds"]
        assert kinds["goal_missed"] == kinds["check_in_due"] == NOTICE
        assert kinds["goal_met"]["sent"] == 7

    def test_two_over_few_hide_each_other(self) -> None:
        few = [nudge(kind, number) for kind in ("goal_missed", "renegotiate") for number in range(2)]
        more = [nudge("check_in_due", number) for number in range(6)]
        kinds = numbers([*few, *more], Deeds())["kinds"]
        assert kinds["goal_missed"] == kinds["renegotiate"] == NOTICE
        assert kinds["check_in_due"]["sent"] == 6

    def test_who_was_not_reminded_after_all_is_a_recipient_too(self) -> None:
        few = [nudge("check_in_due", number) for number in range(2)]
        kept_back = [
            nudge("agree_expectations", number, outcome="suppressed", reason="absent") for number in range(14)
        ]
        found = numbers([*few, *kept_back], Deeds())
        # Shown as sent to nobody, it would leave the total to the kind that is withheld.
        assert found["sent"] == 2
        assert found["kinds"] == {"agree_expectations": NOTICE, "check_in_due": NOTICE}

    @pytest.mark.parametrize(
        "outcome",
        [
            {"outcome": "failed", "reason": "bounced"},
            {"outcome": "suppressed", "reason": "absent"},
            {"outcome": "suppressed", "reason": "holdout"},
        ],
    )
    def test_a_kind_is_over_all_whom_a_nudge_of_it_was_for(self, outcome: dict[str, str]) -> None:
        told = [nudge("goal_met", number) for number in range(3)]
        four = [*told, nudge("goal_met", 3, **outcome)]
        five = [*four, nudge("goal_met", 4, **outcome)]
        alone = [nudge("renegotiate", number, **outcome) for number in range(4)]
        assert numbers(four, Deeds())["kinds"]["goal_met"] == NOTICE
        assert numbers(five, Deeds())["kinds"]["goal_met"]["sent"] == 3
        assert numbers(alone, Deeds())["kinds"]["renegotiate"] == NOTICE

    @pytest.mark.parametrize("seed", range(40))
    def test_no_total_less_what_is_shown_is_that_of_one_kind_over_few(self, seed: int) -> None:
        rng = Random(seed)
        outcomes: list[dict[str, Any]] = [
            {},
            {"outcome": "failed", "reason": "bounced"},
            {"outcome": "suppressed", "reason": "absent"},
            {"outcome": "suppressed", "reason": "holdout"},
        ]
        nudges = [
            nudge(kind, rng.randrange(9), **rng.choice(outcomes))
            for kind in ("check_in_due", "goal_met", "renegotiate")
            for _ in range(rng.randrange(9))
        ]
        recipients = {
            kind: {n.recipient_id for n in nudges if n.kind == kind} for kind in {n.kind for n in nudges}
        }
        shown = numbers(nudges, Deeds())["kinds"]
        hidden = {kind for kind, told in shown.items() if told == NOTICE}
        assert shown.keys() == recipients.keys()
        assert {kind for kind, people in recipients.items() if len(people) < 5} <= hidden
        assert len(hidden) != 1 or len(recipients) == 1

    def test_shares_and_intervals_over_nothing_are_null(self) -> None:
        kind = numbers([nudge("goal_met", number) for number in range(5)], Deeds())["kinds"]["goal_met"]
        assert kind["held_out_share"] is kind["held_out_interval"] is kind["effect"] is None


class TestIntervals:
    def test_wilsons_is_that_of_the_textbook(self) -> None:
        assert interval(3, 10) == pytest.approx([0.10779, 0.60322], abs=1e-5)
        assert interval(0, 10) == pytest.approx([0, 0.27753], abs=1e-5)

    def test_newcombes_is_that_of_his_paper(self) -> None:
        # Newcombe 1998, table II (a): 56/70 against 48/80, method 10.
        found = effect(56, 70, 48, 80)
        assert found is not None
        assert [found["difference"], found["low"], found["high"]] == pytest.approx(
            [0.2, 0.0524, 0.3339], abs=1e-4
        )
