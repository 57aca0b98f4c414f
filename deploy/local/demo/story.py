"""Events as lines of a story, with the names of people and the titles of goals in place of ids."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any

from shared import events
from shared.time import END_OF_DAY, zone

REMINDERS = {
    "agree_expectations": "there are expectations to agree on",
    "review_expectations": "expectations are to be looked at again",
    "check_in_due": "a check-in on {goal} is due",
    "check_in_lapsed": "no check-in on {goal} came",
    "goal_due_soon": "{goal} is due soon",
    "goal_missed": "{goal} was missed",
    "goal_met": "{goal} was met",
    "miss_withdrawn": "the miss of {goal} is taken back",
    "acknowledge_check_in": "a check-in on {goal} waits for a word",
    "proposal_waiting": "a change of {goal} waits for a word",
    "dispute_waiting": "a dispute about {goal} waits for a ruling",
    "renegotiate": "is {goal} to be renegotiated?",
}
DONE_ANYWAY = frozenset({"acknowledged", "checked_in", "closed", "met"})
"""Why a reminder was not needed any more: no line of the story, or they would drown it."""
BECAUSE = {"late_evidence": "done in time after all", "dispute_upheld": "the dispute was upheld"}


@dataclass(frozen=True, slots=True)
class Line:
    """A line: when it was recorded (local time), what happened, and how it is to look (a style of rich's)."""

    at: datetime
    text: str
    style: str = ""


class Story:
    """Tells events one by one; remembers the goals that it was told of.

    Args:
        names: people's names by id.
        time_zone: in which times are told.
    """

    def __init__(self, names: Mapping[str, str], time_zone: str) -> None:
        self._names = names
        self._zone = zone(time_zone)
        self._goals: dict[str, events.GoalSet] = {}
        self._tellers: Mapping[str, Callable[[Any], tuple[str, str]]] = {
            "MentorshipStarted": self._started,
            "MentorshipPaused": lambda it: (f"the mentorship of {self._pair(it)} pauses", "yellow"),
            "MentorshipResumed": lambda it: (f"the mentorship of {self._pair(it)} goes on", "yellow"),
            "MentorshipEnded": lambda it: (f"the mentorship of {self._pair(it)} ends", "yellow"),
            "ExpectationsProposed": self._proposed,
            "ExpectationsAgreed": self._agreed,
            "GoalSet": self._set,
            "GoalRevised": self._revised,
            "GoalMet": self._met,
            "GoalMissed": self._missed,
            "GoalMissRetracted": self._retracted,
            "GoalDropped": lambda it: (f"{self._goal(it)} is dropped", "yellow"),
            "CheckInLogged": self._logged,
            "CheckInAcknowledged": self._acknowledged,
            "CheckInLapsed": self._lapsed,
            "NudgeSent": self._sent,
            "NudgeSuppressed": self._suppressed,
            "NudgeFailed": self._failed,
        }
        self._pairs: dict[str, tuple[str, str]] = {}

    def line(self, event: events.Decoded) -> Line | None:
        """What an event is in words; None of what belongs to no story: watermarks, reminders not needed any more."""
        told = self._tellers.get(event.type)
        if told is None or (event.type == "NudgeSuppressed" and event.data.reason in DONE_ANYWAY):
            return None
        text, style = told(event.data)
        return Line(event.time.astimezone(self._zone), text, style)

    def name(self, person: str) -> str:
        """A person's name, or their id where it is not known."""
        return self._names.get(person, person)

    def _goal(self, data: Any) -> str:
        goal = self._goals.get(data.goal_id)
        return "a goal" if goal is None else f"“{goal.title}”"

    def _owned(self, data: Any) -> str:
        return f"{self.name(data.owner_id)}'s {self._goal(data)}"

    def _pair(self, data: Any) -> str:
        return " and ".join(map(self.name, self._pairs.get(data.mentorship_id, ("somebody", "somebody"))))

    def _date(self, instant: datetime) -> str:
        return f"{instant.astimezone(self._zone):%a %d %b %H:%M}"

    @staticmethod
    def _deadline(data: events.GoalSet | events.GoalRevised) -> str:
        day = f"{date.fromisoformat(data.deadline.date):%a %d %b}"
        cutoff = data.deadline.cutoff
        return day if cutoff == END_OF_DAY else f"{day} {cutoff}"

    # -- mentorships

    def _started(self, data: events.MentorshipStarted) -> tuple[str, str]:
        self._pairs[data.mentorship_id] = (data.mentor_id, data.mentee_id)
        leader = "" if data.leader_id is None else f", with {self.name(data.leader_id)} as their leader"
        return f"{self.name(data.mentor_id)} mentors {self.name(data.mentee_id)}{leader}", ""

    def _proposed(self, data: events.ExpectationsProposed) -> tuple[str, str]:
        proposed, waiting = self.name(data.proposed_by), self.name(data.waits_for)
        return f"{proposed} writes down what to expect of each other, and asks {waiting} to sign", ""

    def _agreed(self, data: events.ExpectationsAgreed) -> tuple[str, str]:
        return f"{self._pair(data)} agree what they expect of each other", ""

    # -- goals

    def _set(self, data: events.GoalSet) -> tuple[str, str]:
        self._goals[data.goal_id] = data
        owner = self.name(data.owner_id)
        return f"{owner} sets a goal: {self._goal(data)}, due {self._deadline(data)}", "bold"

    def _revised(self, data: events.GoalRevised) -> tuple[str, str]:
        who = "the pause" if data.revised_by == "system" else self.name(data.revised_by)
        verb = "moves" if "deadline" in data.changed else "changes"
        to = f" to {self._deadline(data)}" if "deadline" in data.changed else ""
        return f"{who} {verb} {self._goal(data)}{to}", "yellow"

    def _met(self, data: events.GoalMet) -> tuple[str, str]:
        days = abs(data.days_early)
        when = f"{days:.1f} days early" if data.days_early > 0 else f"{days:.1f} days late"
        return f"{self._owned(data)} is met, {when}", "bold green"

    def _missed(self, data: events.GoalMissed) -> tuple[str, str]:
        return f"{self._owned(data)} is missed, {data.fraction:.0%} of the way", "bold red"

    def _retracted(self, data: events.GoalMissRetracted) -> tuple[str, str]:
        return f"the miss of {self._owned(data)} is taken back: {BECAUSE[data.because]}", "bold green"

    # -- check-ins

    def _logged(self, data: events.CheckInLogged) -> tuple[str, str]:
        about = "" if data.goal_id is None else f" on {self._goal(data)}"
        said = [f"confidence {data.confidence}"] if data.confidence is not None else []
        said = ([self._progress(data)] if data.progress is not None else []) + said
        said += ["not realistic"] if data.realistic is False else []
        said += ["not attainable"] if data.attainable is False else []
        return f"{self.name(data.author_id)} checks in{about}{': ' if said else ''}{', '.join(said)}", ""

    def _progress(self, data: events.CheckInLogged) -> str:
        progress = data.progress
        goal = self._goals.get(data.goal_id or "")
        measure = None if goal is None else goal.measure
        if progress is None or progress.done is not None:
            return "done" if progress is not None and progress.done else "not done yet"
        if progress.milestones is not None:
            total = len(measure.milestones or ()) if measure is not None else None
            return f"{len(progress.milestones)} of {total} milestones"
        target = "" if measure is None or measure.target is None else f" of {measure.target:g}"
        unit = "" if measure is None or measure.unit is None else f" {measure.unit}"
        return f"{progress.value:g}{target}{unit}"

    def _acknowledged(self, data: events.CheckInAcknowledged) -> tuple[str, str]:
        about = "" if data.goal_id is None else f" on {self._goal(data)}"
        return f"{self.name(data.acknowledged_by)} acknowledges the check-in{about}", ""

    def _lapsed(self, data: events.CheckInLapsed) -> tuple[str, str]:
        return f"no check-in on {self._owned(data)} came by {self._date(data.expected_by)}", "red"

    # -- reminders

    def _reminder(self, data: events.NudgeSent) -> str:
        return REMINDERS.get(data.kind, data.kind).format(goal=self._goal(data))

    def _sent(self, data: events.NudgeSent) -> tuple[str, str]:
        return f"  → to {self.name(data.recipient_id)}: {self._reminder(data)}", "cyan"

    def _suppressed(self, data: events.NudgeSuppressed) -> tuple[str, str]:
        return (
            f"  – not to {self.name(data.recipient_id)}: {self._reminder(data)} ({data.reason})",
            "bright_black",
        )

    def _failed(self, data: events.NudgeFailed) -> tuple[str, str]:
        return f"  ! to {self.name(data.recipient_id)} it failed: {self._reminder(data)}", "red"
