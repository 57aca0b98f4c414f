"""Routes of mentorships and their expectations."""

from __future__ import annotations

from typing import Annotated

from fastapi import Query

from services.goals.api.shapes import (
    ExpectationsFilters,
    ExpectationsIn,
    MentorshipFilters,
    MentorshipIn,
    MentorshipPatch,
)
from services.goals.domain.expectations import Draft, Item
from services.goals.domain.mentorship import Facts
from services.goals.expectations import ExpectationsOfPairs
from services.goals.mentorships import Mentorships, StartMentorship
from shared.http import PARTICIPATE, PROGRAMS, Answer, Caller, Idem, IfMatch, Page, Router, add_batch
from shared.http.routing import Reply


def mentorship_routes(mentorships: Mentorships) -> Router:
    """`/v1/mentorships`: for coordinators, and to read for participants."""
    router = Router(tags=["mentorships"])

    async def start_one(caller: Caller, body: MentorshipIn, idem: Idem | None, dry_run: bool) -> Answer:
        return await mentorships.start(caller, _start(body), idem, dry_run=dry_run)

    @router.post("/v1/mentorships", scopes=[PROGRAMS], status_code=201, refusals=[409])
    async def start_mentorship(body: MentorshipIn, caller: Caller, idem: Idem | None) -> Reply:
        """Start a mentorship of three different people at most."""
        return await start_one(caller, body, idem, False)

    add_batch(
        router,
        "/v1/mentorships",
        scopes=[PROGRAMS],
        model=MentorshipIn,
        one=start_one,
        id_field="mentorship_id",
    )

    @router.get("/v1/mentorships", scopes=[PROGRAMS, PARTICIPATE])
    async def list_mentorships(
        filters: Annotated[MentorshipFilters, Query()], caller: Caller, page: Page
    ) -> Reply:
        """Mentorships, newest first; participants see their own."""
        return await mentorships.find(caller, filters.model_dump(), page)

    @router.get("/v1/mentorships/{mentorship_id}", scopes=[PROGRAMS, PARTICIPATE], refusals=[404])
    async def read_mentorship(mentorship_id: str, caller: Caller) -> Reply:
        """A mentorship."""
        return await mentorships.read(caller, mentorship_id)

    @router.patch("/v1/mentorships/{mentorship_id}", scopes=[PROGRAMS], refusals=[404, 409])
    async def change_mentorship(
        mentorship_id: str, body: MentorshipPatch, caller: Caller, if_match: IfMatch
    ) -> Reply:
        """Change a mentorship; a leader with open goals stays."""
        given = {name: getattr(body, name) for name in body.model_fields_set}
        return await mentorships.change(caller, mentorship_id, given, if_match)

    @router.post("/v1/mentorships/{mentorship_id}/pause", scopes=[PROGRAMS], refusals=[404, 409])
    async def pause_mentorship(mentorship_id: str, caller: Caller, idem: Idem | None) -> Reply:
        """Pause: nothing is missed, lapses or nudges."""
        return await mentorships.pause(caller, mentorship_id, idem)

    @router.post("/v1/mentorships/{mentorship_id}/resume", scopes=[PROGRAMS], refusals=[404, 409])
    async def resume_mentorship(mentorship_id: str, caller: Caller, idem: Idem | None) -> Reply:
        """Resume: deadlines move by the days paused."""
        return await mentorships.resume(caller, mentorship_id, idem)

    @router.post("/v1/mentorships/{mentorship_id}/end", scopes=[PROGRAMS], refusals=[404, 409])
    async def end_mentorship(mentorship_id: str, caller: Caller, idem: Idem | None) -> Reply:
        """End: active goals are dropped once the check-ins logged before are taken into account."""
        return await mentorships.end(caller, mentorship_id, idem)

    return router


def expectation_routes(expectations: ExpectationsOfPairs) -> Router:
    """`/v1/mentorships/{id}/expectations`: for mentor and mentee."""
    router = Router(tags=["expectations"])
    base = "/v1/mentorships/{mentorship_id}/expectations"

    @router.post(base, scopes=[PARTICIPATE], status_code=201, refusals=[404, 409])
    async def propose_expectations(
        mentorship_id: str, body: ExpectationsIn, caller: Caller, idem: Idem | None
    ) -> Reply:
        """Propose a version, signed by who proposes it."""
        draft = Draft(
            items=tuple(Item(role=item.role, text=item.text) for item in body.items),
            review_on=body.review_on,
            escalate_to_coordinator=body.escalate_to_coordinator,
            support_contact_id=body.support_contact_id,
        )
        return await expectations.propose(caller, mentorship_id, draft, idem)

    @router.get(base, scopes=[PARTICIPATE, PROGRAMS], refusals=[404])
    async def list_expectations(
        mentorship_id: str,
        filters: Annotated[ExpectationsFilters, Query()],
        caller: Caller,
        page: Page,
    ) -> Reply:
        """The versions, newest first."""
        return await expectations.find(caller, mentorship_id, filters.state, page)

    @router.get(f"{base}/{{version}}", scopes=[PARTICIPATE, PROGRAMS], refusals=[404])
    async def read_expectations(mentorship_id: str, version: int, caller: Caller) -> Reply:
        """A version."""
        return await expectations.read(caller, mentorship_id, version)

    @router.post(f"{base}/{{version}}/agreements", scopes=[PARTICIPATE], refusals=[404, 409])
    async def sign_expectations(mentorship_id: str, version: int, caller: Caller, idem: Idem | None) -> Reply:
        """Sign a version; once both have, it holds."""
        return await expectations.sign(caller, mentorship_id, version, idem)

    return router


def _start(body: MentorshipIn) -> StartMentorship:
    return StartMentorship(
        program_id=body.program_id,
        mentor_id=body.mentor_id,
        mentee_id=body.mentee_id,
        facts=Facts(
            leader_id=body.leader_id,
            coordinator_id=body.coordinator_id,
            time_zone=body.time_zone,
            check_in_every_days=body.check_in_every_days,
            focus=body.focus,
        ),
        external_ref=body.external_ref,
    )
