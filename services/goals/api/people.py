"""Routes of people: erasing one."""

from __future__ import annotations

from typing import Annotated

from fastapi import Path

from services.goals.people import People
from shared.http import ERASE, Caller, Idem, PersonId, Router
from shared.http.routing import Reply


def people_routes(people: People) -> Router:
    """`/v1/people`."""
    router = Router(tags=["people"])

    @router.post("/v1/people/{person_id}/erasure", scopes=[ERASE], status_code=202)
    async def erase_person(
        person_id: Annotated[PersonId, Path()], caller: Caller, idem: Idem | None
    ) -> Reply:
        """Remove a person's contact data and private words, everywhere, as stored up to now."""
        return await people.erase(caller, person_id, idem)

    return router
