"""Who is asked for help: somebody of the mentorship, never everybody."""

from __future__ import annotations

from services.checkins.domain.known import Mentorship
from shared.errors import Unprocessable

_POINTER = "/help/route_to"


def routed_to(mentorship: Mentorship, author_id: str, asked: str | None, *, sensitive: bool) -> str:
    """Whom a call for help, or a sensitive check-in, goes to.

    By default the author's counterpart; for a sensitive one the support contact that the pair agreed on, else the
    coordinator. Never the author.

    Raises:
        Unprocessable: `asked` is none of those it may go to, or a sensitive one has nobody to go to.
    """
    if asked is not None:
        reachable = {*mentorship.participants, mentorship.coordinator_id, mentorship.support_contact_id}
        if asked not in reachable - {author_id}:
            raise Unprocessable.field(
                _POINTER, "Another participant, the coordinator or the support contact can be asked for help."
            )
        return asked
    if not sensitive:
        return mentorship.counterpart_of(author_id)
    for person in (mentorship.support_contact_id, mentorship.coordinator_id):
        if person not in (None, author_id):
            return person
    raise Unprocessable.field(
        _POINTER, "This mentorship has no support contact and no coordinator: say whom this goes to."
    )
