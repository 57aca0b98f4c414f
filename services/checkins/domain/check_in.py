"""Logging a check-in, and acknowledging one.

Decisions give the new state beside the events, since no event carries private words.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Literal

from msgspec import Struct
from msgspec.structs import replace

from services.checkins.domain.known import Goal, Mentorship
from services.checkins.domain.progress import fitting
from services.checkins.domain.routing import routed_to
from shared import events as contract
from shared.errors import Conflict, Forbidden, NotFound, Unprocessable
from shared.events.types import Role

Feeling = Literal["great", "good", "ok", "hard", "bad"]

MOST_PER_GOAL = 1_000
"""Check-ins on one goal; so that goals can keep all of them as evidence."""
AHEAD = timedelta(minutes=5)
"""How far `occurred_at` may lie ahead: people's clocks differ."""

NO_MENTORSHIP = "There is no such mentorship."
NO_GOAL = "There is no such goal in this mentorship."
NO_CHECK_IN = "There is no such check-in."


@dataclass(frozen=True, slots=True)
class Help:
    """A call for help: in which words, and to whom; None: whom it goes to by default."""

    text: str | None = None
    route_to: str | None = None


class LogCheckIn(Struct, frozen=True, kw_only=True):
    """The command: what a participant reports. `occurred_at` None: now."""

    mentorship_id: str
    goal_id: str | None = None
    occurred_at: datetime | None = None
    progress: contract.Progress | None = None
    confidence: int | None = None
    realistic: bool | None = None
    attainable: bool | None = None
    feeling: Feeling | None = None
    note: str | None = None
    help: Help | None = None
    sensitive: bool = False


class Acknowledgement(Struct, frozen=True):
    """Somebody took notice; `role` None: somebody who is no participant."""

    by: str
    role: Role | None
    at: datetime
    comment: str | None = None


class CheckIn(Struct, frozen=True, kw_only=True):
    """A check-in as it stands.

    `pair` are those who read the private words of what it is about: a goal's owner and counterpart, or mentor and
    mentee. `routed_to` is whom its call for help goes to.
    """

    checkin_id: str
    org_id: str
    program_id: str
    mentorship_id: str
    goal_id: str | None
    author_id: str
    author_role: Role
    occurred_at: datetime
    logged_at: datetime
    progress: contract.Progress | None
    confidence: int | None
    realistic: bool | None
    attainable: bool | None
    feeling: Feeling | None
    note: str | None
    help_text: str | None
    routed_to: str | None
    sensitive: bool
    pair: tuple[str, str]
    acknowledgements: tuple[Acknowledgement, ...] = ()


def occurred(command: LogCheckIn, now: datetime, backdate: timedelta) -> datetime:
    """When what is reported occurred.

    Raises:
        Unprocessable: more than 5 minutes ahead, or further back than `backdate`.
    """
    at = command.occurred_at
    if at is None:
        return now
    if at > now + AHEAD:
        raise Unprocessable.field("/occurred_at", "At most 5 minutes ahead.")
    if at < now - backdate:
        raise Unprocessable.field("/occurred_at", f"At most {backdate.days} days back.")
    return at


def log(
    command: LogCheckIn,
    author_id: str,
    mentorship: Mentorship,
    goal: Goal | None,
    *,
    occurred_at: datetime,
    now: datetime,
    checkin_id: str,
) -> tuple[CheckIn, list[contract.Event]]:
    """Log a check-in; `goal` is the one that the command names, if it names one.

    Raises:
        NotFound: the author is no participant, or the goal belongs to another mentorship.
        Forbidden: the author is neither the goal's owner nor its counterpart.
        Conflict: the mentorship has ended, or the goal is not one to report on.
        Unprocessable: the progress does not fit, or help cannot go there.
    """
    role = mentorship.role_of(author_id)
    if role is None:
        raise NotFound(NO_MENTORSHIP)
    pair = (mentorship.mentor_id, mentorship.mentee_id)
    if goal is not None:
        if goal.mentorship_id != mentorship.mentorship_id:
            raise NotFound(NO_GOAL)
        pair = pair_of(goal, mentorship)
        if author_id not in pair:
            raise Forbidden("Only the goal's owner and their counterpart check in on it.")
    refuse_closed(mentorship, goal)
    progress = command.progress
    if progress is not None and goal is not None:
        progress = fitting(progress, goal.measure)
    asked = command.help
    route = None
    if asked is not None or command.sensitive:
        route = routed_to(
            mentorship, author_id, asked.route_to if asked else None, sensitive=command.sensitive
        )
    check_in = CheckIn(
        checkin_id=checkin_id,
        org_id=mentorship.org_id,
        program_id=mentorship.program_id,
        mentorship_id=mentorship.mentorship_id,
        goal_id=command.goal_id,
        author_id=author_id,
        author_role=role,
        occurred_at=occurred_at,
        logged_at=now,
        progress=progress,
        confidence=command.confidence,
        realistic=command.realistic,
        attainable=command.attainable,
        feeling=command.feeling,
        note=command.note,
        help_text=asked.text if asked else None,
        routed_to=route,
        sensitive=command.sensitive,
        pair=pair,
    )
    return check_in, _told(check_in)


def refuse_closed(mentorship: Mentorship, goal: Goal | None) -> None:
    """Let pass only what may be reported on.

    Raises:
        Conflict: the mentorship has ended, or the goal is not one to report on.
    """
    if mentorship.ended:
        raise Conflict("This mentorship has ended.")
    if goal is not None and goal.state in ("proposed", "declined", "dropped"):
        raise Conflict(f"This goal is {goal.state}: there is nothing to check in on.")


def acknowledge(
    check_in: CheckIn, mentorship: Mentorship | None, person_id: str, comment: str | None, now: datetime
) -> tuple[CheckIn, list[contract.Event]]:
    """Take notice of a check-in that exists for `person_id`; once each, and never the author.

    Raises:
        Forbidden: the author, or somebody whom it neither concerns nor went to.
        Conflict: they did already.
    """
    if person_id == check_in.author_id:
        raise Forbidden("Nobody acknowledges their own check-in.")
    if person_id != check_in.routed_to and (check_in.sensitive or person_id not in check_in.pair):
        raise Forbidden("Only those whom this check-in concerns, or whom it went to, acknowledge it.")
    if any(each.by == person_id for each in check_in.acknowledgements):
        raise Conflict("You have acknowledged this check-in already.")
    role = mentorship.role_of(person_id) if mentorship is not None else None
    added = Acknowledgement(person_id, role, now, comment)
    acknowledged = replace(check_in, acknowledgements=(*check_in.acknowledgements, added))
    if check_in.sensitive:
        return acknowledged, []
    event = contract.CheckInAcknowledged(
        **_common(check_in), acknowledged_by=person_id, acknowledger_role=role, acknowledged_at=now
    )
    return acknowledged, [event]


def pair_of(goal: Goal, mentorship: Mentorship) -> tuple[str, str]:
    """A goal's owner and their counterpart."""
    return goal.owner_id, goal.counterpart_id or mentorship.counterpart_of(goal.owner_id)


def _told(check_in: CheckIn) -> list[contract.Event]:
    """What the world hears of a new check-in: of a sensitive one only that help was asked for."""
    told: list[contract.Event] = []
    if not check_in.sensitive:
        told.append(
            contract.CheckInLogged(
                **_common(check_in),
                author_id=check_in.author_id,
                author_role=check_in.author_role,
                occurred_at=check_in.occurred_at,
                logged_at=check_in.logged_at,
                progress=check_in.progress,
                confidence=check_in.confidence,
                realistic=check_in.realistic,
                attainable=check_in.attainable,
            )
        )
    if check_in.routed_to is not None:
        told.append(
            contract.HelpRequested(
                **_common(check_in),
                author_id=check_in.author_id,
                route_to=check_in.routed_to,
                sensitive=check_in.sensitive,
            )
        )
    return told


def _common(check_in: CheckIn) -> dict[str, Any]:
    return {
        "org_id": check_in.org_id,
        "program_id": check_in.program_id,
        "mentorship_id": check_in.mentorship_id,
        "checkin_id": check_in.checkin_id,
        "goal_id": check_in.goal_id,
    }
