"""Which event belongs to which topic, what its subject is, and who sends it."""

from __future__ import annotations

from shared.events import types
from shared.events.types import Event

TOPICS = {
    "goals": "onbelay.goals.v1",
    "checkins": "onbelay.checkins.v1",
    "nudges": "onbelay.nudges.v1",
    "support": "onbelay.support.v1",
    "dead-letters": "onbelay.dead-letters.v1",
}
"""Short names, as code uses them, and the topics' own."""

SOURCES = {
    "goals": "/onbelay/goals",
    "checkins": "/onbelay/checkins",
    "nudges": "/onbelay/notifier",
    "support": "/onbelay/checkins",
}
"""The `ce_source` of a topic's events."""

_BY_TOPIC: dict[str, dict[type[Event], tuple[str, str]]] = {
    "goals": {
        types.MentorshipStarted: ("mentorship", "mentorship_id"),
        types.MentorshipChanged: ("mentorship", "mentorship_id"),
        types.MentorshipPaused: ("mentorship", "mentorship_id"),
        types.MentorshipResumed: ("mentorship", "mentorship_id"),
        types.MentorshipEnded: ("mentorship", "mentorship_id"),
        types.ExpectationsProposed: ("mentorship", "mentorship_id"),
        types.ExpectationsAgreed: ("mentorship", "mentorship_id"),
        types.GoalSet: ("goal", "goal_id"),
        types.GoalRevised: ("goal", "goal_id"),
        types.RevisionProposed: ("goal", "goal_id"),
        types.RevisionDeclined: ("goal", "goal_id"),
        types.GoalMet: ("goal", "goal_id"),
        types.GoalMissed: ("goal", "goal_id"),
        types.GoalMissRetracted: ("goal", "goal_id"),
        types.MissDisputed: ("goal", "goal_id"),
        types.DisputeRejected: ("goal", "goal_id"),
        types.GoalDropped: ("goal", "goal_id"),
        types.PersonErased: ("erasure", ""),
    },
    "checkins": {
        types.CheckInLogged: ("checkin", "checkin_id"),
        types.CheckInAcknowledged: ("checkin", "checkin_id"),
        types.CheckInLapsed: ("cadence", "goal_id"),
        types.CheckInsWatermark: ("partition", "partition"),
    },
    "nudges": {
        types.NudgeSent: ("nudge", "nudge_id"),
        types.NudgeSuppressed: ("nudge", "nudge_id"),
        types.NudgeFailed: ("nudge", "nudge_id"),
    },
    "support": {
        types.HelpRequested: ("checkin", "checkin_id"),
    },
}

TYPES: dict[str, type[Event]] = {
    struct.__name__: struct for structs in _BY_TOPIC.values() for struct in structs
}
"""Every event by its short name."""

_TOPIC_OF = {struct.__name__: topic for topic, structs in _BY_TOPIC.items() for struct in structs}
SUBJECTS = {struct.__name__: subject for structs in _BY_TOPIC.values() for struct, subject in structs.items()}
"""By short name: the kind of the event's subject, and the field of the data that is its id (empty: none is)."""


def topic_of(name: str) -> str:
    """The short name of the topic that events of this short name belong to.

    Raises:
        KeyError: there is no such event.
    """
    return _TOPIC_OF[name]


def type_name(name: str) -> str:
    """The `ce_type` of a short name: `GoalSet` is `onbelay.GoalSet.v1`."""
    return f"onbelay.{name}.v1"


def short_name(type_: str) -> str | None:
    """The short name of a `ce_type`, or None when it is none of ours."""
    name = type_.removeprefix("onbelay.").removesuffix(".v1")
    return name if name in TYPES and type_ == type_name(name) else None


def subject_of(event: Event) -> str:
    """The `ce_subject` of an event whose data name it.

    Raises:
        ValueError: they do not (PersonErased).
    """
    kind, field = SUBJECTS[type(event).__name__]
    if not field:
        raise ValueError("this event's data do not name its subject")
    return f"{kind}/{getattr(event, field)}"
