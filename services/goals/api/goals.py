"""Routes of goals: setting, reading, revising, outcomes, disputes."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated

from fastapi import Query

from services.goals import shown
from services.goals.api.shapes import DisputeIn, GoalDraft, GoalFilters, GoalIn, GoalPatch, OutcomeIn
from services.goals.domain.assess import Draft, assess
from services.goals.domain.deadline import require_ahead
from services.goals.domain.goal import Terms, Words
from services.goals.domain.mentorship import Mentorship
from services.goals.goals import Goals, Wanted
from shared.clock import Clock
from shared.http import PARTICIPATE, PROGRAMS, Answer, Caller, Idem, IfMatch, Page, Router, add_batch
from shared.http.routing import Reply


def goal_routes(goals: Goals, clock: Clock) -> Router:
    """`/v1/goals`: for participants, and to read for coordinators."""
    router = Router(tags=["goals"])

    async def set_one(caller: Caller, body: GoalIn, idem: Idem | None, dry_run: bool) -> Answer:
        return await goals.set(caller, _wanted(body, caller), idem, dry_run=dry_run)

    @router.post("/v1/goals", scopes=[PARTICIPATE], status_code=201, refusals=[404, 409])
    async def set_goal(body: GoalIn, caller: Caller, idem: Idem | None) -> Reply:
        """Set a goal: one's own at once (201), another's once they accept (202)."""
        return await set_one(caller, body, idem, False)

    add_batch(router, "/v1/goals", scopes=[PARTICIPATE], model=GoalIn, one=set_one, id_field="goal_id")

    @router.post("/v1/goals/assess", scopes=[PARTICIPATE], gated=False)
    async def assess_goal(body: GoalDraft) -> Reply:
        """Whether a goal is specific, measurable, attainable, relevant and time-bound. Stores nothing."""
        draft = Draft(
            title=body.title,
            measure=body.measure.measure() if body.measure is not None else None,
            deadline=body.deadline.deadline() if body.deadline is not None else None,
            check_in_every_days=body.check_in_every_days,
            why=body.why,
        )
        return shown.assessment(assess(draft, clock.now()))

    @router.get("/v1/goals", scopes=[PARTICIPATE, PROGRAMS])
    async def list_goals(filters: Annotated[GoalFilters, Query()], caller: Caller, page: Page) -> Reply:
        """Goals, newest first; participants see those of their mentorships."""
        return await goals.find(caller, filters.model_dump(), page)

    @router.get("/v1/goals/{goal_id}", scopes=[PARTICIPATE, PROGRAMS], refusals=[404])
    async def read_goal(goal_id: str, caller: Caller) -> Reply:
        """A goal."""
        return await goals.read(caller, goal_id)

    @router.get("/v1/goals/{goal_id}/history", scopes=[PARTICIPATE, PROGRAMS], refusals=[404])
    async def read_history(goal_id: str, caller: Caller, page: Page) -> Reply:
        """What happened to a goal, newest first."""
        return await goals.history(caller, goal_id, page)

    @router.patch("/v1/goals/{goal_id}", scopes=[PARTICIPATE], refusals=[404, 409])
    async def revise_goal(goal_id: str, body: GoalPatch, caller: Caller, if_match: IfMatch) -> Reply:
        """Revise a goal at once (200), or propose to (202)."""
        now = clock.now()
        changes = body.changes(caller.person_id, now)
        if changes.deadline is not None:
            require_ahead(changes.deadline, now)
        return await goals.revise(caller, goal_id, changes, body.reason, if_match)

    @router.get("/v1/goals/{goal_id}/proposals", scopes=[PARTICIPATE, PROGRAMS], refusals=[404])
    async def list_proposals(goal_id: str, caller: Caller, page: Page) -> Reply:
        """The proposals made about a goal, newest first."""
        return await goals.proposals(caller, goal_id, page)

    proposal = "/v1/goals/{goal_id}/proposals/{proposal_id}"

    @router.post(f"{proposal}/accept", scopes=[PARTICIPATE], refusals=[404, 409])
    async def accept_proposal(goal_id: str, proposal_id: str, caller: Caller, idem: Idem | None) -> Reply:
        """Accept a proposal that waits for one."""
        return await goals.accept(caller, goal_id, proposal_id, idem)

    @router.post(f"{proposal}/decline", scopes=[PARTICIPATE], refusals=[404, 409])
    async def decline_proposal(goal_id: str, proposal_id: str, caller: Caller, idem: Idem | None) -> Reply:
        """Decline a proposal that waits for one, or take one's own back."""
        return await goals.decline(caller, goal_id, proposal_id, idem)

    @router.post("/v1/goals/{goal_id}/outcome", scopes=[PARTICIPATE], refusals=[404, 409])
    async def say_outcome(goal_id: str, body: OutcomeIn, caller: Caller, idem: Idem | None) -> Reply:
        """Say of a goal that it is met, dropped, or will be missed."""
        return await goals.say(caller, goal_id, body.outcome, body.occurred_at, body.note, idem)

    @router.post("/v1/goals/{goal_id}/dispute", scopes=[PARTICIPATE], status_code=202, refusals=[404, 409])
    async def dispute_miss(goal_id: str, body: DisputeIn, caller: Caller, idem: Idem | None) -> Reply:
        """Hold against a miss that the goal was met in time."""
        return await goals.dispute(caller, goal_id, body.occurred_at, body.reason, idem)

    @router.post("/v1/goals/{goal_id}/dispute/uphold", scopes=[PARTICIPATE], refusals=[404, 409])
    async def uphold_dispute(goal_id: str, caller: Caller, idem: Idem | None) -> Reply:
        """Rule for the owner: the miss is taken back."""
        return await goals.uphold(caller, goal_id, idem)

    @router.post("/v1/goals/{goal_id}/dispute/reject", scopes=[PARTICIPATE], refusals=[404, 409])
    async def reject_dispute(goal_id: str, caller: Caller, idem: Idem | None) -> Reply:
        """Rule that the miss stands."""
        return await goals.reject(caller, goal_id, idem)

    return router


def _wanted(body: GoalIn, caller: Caller) -> Wanted:
    deadline = body.deadline.deadline()

    def terms(mentorship: Mentorship, now: datetime) -> Terms:
        return Terms(
            title=body.title,
            measure=body.measure.measure(),
            deadline=deadline,
            check_in_every_days=body.check_in_every_days or mentorship.facts.check_in_every_days,
            why=Words(by=caller.person_id, at=now, text=body.why) if body.why else None,
        )

    return Wanted(
        mentorship_id=body.mentorship_id,
        deadline=deadline,
        terms=terms,
        owner_id=body.owner_id,
        external_ref=body.external_ref,
    )
