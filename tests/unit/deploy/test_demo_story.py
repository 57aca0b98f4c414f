"""Events as lines of a story."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import msgspec
import pytest

from deploy.local.demo.story import REMINDERS, Line, Story
from shared import events
from shared.ids import uuid7
from tests.builders import Pair

PAIR = Pair(mentor_id="mara", mentee_id="ben")
GOAL = uuid7()
OF_GOAL: dict[str, Any] = {**PAIR.common, "goal_id": GOAL}
OF_OWNER: dict[str, Any] = {**OF_GOAL, "owner_id": "ben", "owner_role": "mentee", "revision": 1}
DUE = datetime(2026, 12, 18, 16, tzinfo=UTC)


def decoded(event: events.Event) -> events.Decoded:
    return events.Decoded(
        type(event).__name__, uuid7(), events.subject_of(event), "org-1", 1, DUE, "key", None, event, True
    )


@pytest.fixture
def story() -> Story:
    """One that has been told of a mentorship and its goal."""
    told = Story({"mara": "Mara", "ben": "Ben", "lena": "Lena"}, "Europe/Berlin")
    told.line(decoded(PAIR.started(leader_id="lena")))
    told.line(decoded(PAIR.goal_set(GOAL)))
    return told


def nudge(type_: type[events.NudgeSent] = events.NudgeSent, **changes: Any) -> events.NudgeSent:
    values: dict[str, Any] = {
        **OF_GOAL,
        "nudge_id": uuid7(),
        "recipient_id": "ben",
        "kind": "goal_missed",
        "period": "1",
        "at": DUE,
    }
    return type_(**{**values, **changes})


class TestLines:
    @pytest.mark.parametrize(
        ("event", "text"),
        [
            (PAIR.started(leader_id="lena"), "Mara mentors Ben, with Lena as their leader"),
            (PAIR.goal_set(GOAL), "Ben sets a goal: “Read seven papers”, due Fri 18 Dec 17:00"),
            (
                PAIR.goal_set(GOAL, deadline=events.Deadline(date="2026-12-18", time_zone="Europe/Berlin")),
                "Ben sets a goal: “Read seven papers”, due Fri 18 Dec",
            ),
            (
                PAIR.logged(
                    goal_id=GOAL,
                    author_id="ben",
                    progress=events.Progress(value=3.0),
                    confidence=7,
                    realistic=False,
                ),
                "Ben checks in on “Read seven papers”: 3 of 7, confidence 7, not realistic",
            ),
            (PAIR.logged(author_id="mara"), "Mara checks in"),
            (
                events.GoalMet(**OF_OWNER, met_at=DUE, due_at=DUE, days_early=1.5),
                "Ben's “Read seven papers” is met, 1.5 days early",
            ),
            (
                events.GoalMet(**OF_OWNER, met_at=DUE, due_at=DUE, days_early=-0.25),
                "Ben's “Read seven papers” is met, 0.2 days late",
            ),
            (
                events.GoalMissed(**OF_OWNER, due_at=DUE, missed_at=DUE, fraction=0.5),
                "Ben's “Read seven papers” is missed, 50% of the way",
            ),
            (
                events.GoalMissRetracted(
                    **OF_OWNER, due_at=DUE, missed_at=DUE, retracted_at=DUE, because="late_evidence"
                ),
                "the miss of Ben's “Read seven papers” is taken back: done in time after all",
            ),
            (events.MentorshipPaused(**PAIR.common, at=DUE), "the mentorship of Mara and Ben pauses"),
            (nudge(), "  → to Ben: “Read seven papers” was missed"),
            (
                nudge(events.NudgeSuppressed, reason="snoozed"),
                "  – not to Ben: “Read seven papers” was missed (snoozed)",
            ),
            (nudge(kind="something_new"), "  → to Ben: something_new"),
        ],
    )
    def test_names_and_titles_stand_in_place_of_ids(
        self, story: Story, event: events.Event, text: str
    ) -> None:
        line = story.line(decoded(event))
        assert line is not None
        assert line.text == text

    def test_times_are_local(self, story: Story) -> None:
        line = story.line(decoded(PAIR.started()))
        assert isinstance(line, Line)
        assert f"{line.at:%H:%M}" == "17:00"

    @pytest.mark.parametrize("reason", ["acknowledged", "checked_in", "closed", "met"])
    def test_a_reminder_that_was_not_needed_any_more_is_no_line(self, story: Story, reason: str) -> None:
        assert story.line(decoded(nudge(events.NudgeSuppressed, reason=reason))) is None

    def test_what_is_not_known_is_no_line(self, story: Story) -> None:
        unknown = msgspec.structs.replace(
            decoded(PAIR.started()), type="onbelay.Tomorrow.v1", data=None, known=False
        )
        assert story.line(unknown) is None

    def test_every_kind_of_reminder_has_words(self) -> None:
        from services.notifier.domain.kinds import KINDS

        assert set(REMINDERS) == {kind for kind in KINDS if kind != "help_requested"}
