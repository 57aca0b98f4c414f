"""Who may see and do what in a mentorship.

A participant acts and reads by `onbelay:participate`; a coordinator reads all of the organization's mentorships
by `onbelay:programs`, without private words. To everybody else they are not there.
"""

from __future__ import annotations

from services.goals.domain.goal import Goal
from services.goals.domain.mentorship import Mentorship
from shared.errors import NotFound
from shared.http import PARTICIPATE, PROGRAMS, Caller

NO_MENTORSHIP = "There is no such mentorship."
NO_GOAL = "There is no such goal."


def takes_part(caller: Caller, mentorship: Mentorship) -> bool:
    """Whether the caller acts as a participant."""
    return (
        caller.has(PARTICIPATE)
        and caller.org_id == mentorship.org_id
        and mentorship.role_of(caller.person_id) is not None
    )


def require_participant(caller: Caller, mentorship: Mentorship, missing: str = NO_MENTORSHIP) -> None:
    """Let pass who acts in their own mentorship.

    Raises:
        NotFound: saying `missing`, for it is not there for others.
    """
    if not takes_part(caller, mentorship):
        raise NotFound(missing)


def require_reader(caller: Caller, mentorship: Mentorship, missing: str = NO_MENTORSHIP) -> None:
    """Let pass participants, and coordinators.

    Raises:
        NotFound: saying `missing`.
    """
    if not takes_part(caller, mentorship) and not caller.has(PROGRAMS):
        raise NotFound(missing)


def reads_words_of_goal(caller: Caller, mentorship: Mentorship, goal: Goal) -> bool:
    """Rule 10: private words about a goal are read by its owner and its counterpart."""
    return takes_part(caller, mentorship) and caller.person_id in (goal.owner_id, goal.counterpart_id)


def reads_words_of_mentorship(caller: Caller, mentorship: Mentorship) -> bool:
    """Rule 10: private words about the mentorship are read by mentor and mentee."""
    return takes_part(caller, mentorship) and caller.person_id in (
        mentorship.mentor_id,
        mentorship.mentee_id,
    )
