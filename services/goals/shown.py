"""What clients see of mentorships, goals and expectations: JSON's own types, nothing that has no value."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import date, datetime
from typing import Any

from services.goals.domain.assess import Assessment, Draft, Pace, assess
from services.goals.domain.deadline import Deadline
from services.goals.domain.evidence import Step, fraction_now
from services.goals.domain.expectations import Expectations
from services.goals.domain.goal import Changes, Goal, Proposal, Terms
from services.goals.domain.mentorship import Mentorship
from services.goals.domain.progress import Measure
from shared.http import etag
from shared.idempotency import fingerprint
from shared.time import format_instant

Json = dict[str, Any]
_COMMON = frozenset(
    {"org_id", "program_id", "mentorship_id", "goal_id", "owner_id", "owner_role", "counterpart_id"}
)


def tag(representation: Mapping[str, Any]) -> str:
    """The entity tag of a resource: it changes exactly when what is seen of it does.

    Of the whole representation, private words included, so that all its readers hold the same tag.
    """
    return fingerprint(representation)[:24]


def headers(representation: Mapping[str, Any], location: str | None = None) -> dict[str, str]:
    """`ETag`, and `Location` for what was created."""
    tagged = {"ETag": etag(tag(representation))}
    return tagged if location is None else {**tagged, "Location": location}


def mentorship(state: Mentorship) -> Json:
    """A mentorship."""
    return _without_none(
        mentorship_id=state.mentorship_id,
        program_id=state.program_id,
        mentor_id=state.mentor_id,
        mentee_id=state.mentee_id,
        leader_id=state.facts.leader_id,
        coordinator_id=state.facts.coordinator_id,
        time_zone=state.facts.time_zone,
        check_in_every_days=state.facts.check_in_every_days,
        focus=state.facts.focus,
        external_ref=state.external_ref,
        state=state.state,
        version=state.version,
        started_at=_instant(state.started_at),
        paused_at=_instant(state.paused_at) if state.state == "paused" else None,
        ended_at=_instant(state.ended_at),
        expectations_version=state.agreed,
    )


def goal(state: Goal, steps: Sequence[Step], now: datetime, *, words: bool) -> Json:
    """A goal; `words`: with why it matters to its owner."""
    miss, dispute = state.standing_miss, state.dispute
    return _without_none(
        goal_id=state.goal_id,
        mentorship_id=state.mentorship_id,
        program_id=state.program_id,
        owner_id=state.owner_id,
        owner_role=state.owner_role,
        counterpart_id=state.counterpart_id,
        **terms(state.terms, words=words),
        due_at=_instant(state.due_at),
        external_ref=state.external_ref,
        state=state.state,
        revision=state.revision,
        fraction=fraction_now(steps, now),
        set_at=_instant(state.set_at),
        met_at=_instant(state.met_at),
        missed_at=_instant(miss.missed_at) if miss is not None else None,
        dispute=None
        if dispute is None
        else {"state": dispute.state, "by": dispute.by, "occurred_at": _instant(dispute.occurred_at)},
        assessment=assessment(assess(draft(state.terms, _pace(state, steps)), state.revised_at)),
    )


def terms(state: Terms, *, words: bool) -> Json:
    """What a revision of a goal says."""
    return _without_none(
        title=state.title,
        measure=measure(state.measure),
        deadline=deadline(state.deadline),
        check_in_every_days=state.check_in_every_days,
        why=state.why.text if words and state.why is not None else None,
    )


def draft(state: Terms, pace: Pace | None = None) -> Draft:
    """A goal's terms as what is assessed."""
    return Draft(
        title=state.title,
        measure=state.measure,
        deadline=state.deadline,
        check_in_every_days=state.check_in_every_days,
        why=state.why.text if state.why is not None else None,
        pace=pace,
    )


def _pace(state: Goal, steps: Sequence[Step]) -> Pace | None:
    """How a goal went up to its last report or revision: a moment that stays, so that its tag does."""
    if state.set_at is None:
        return None
    at = max([state.revised_at, *(step.at for step in steps)])
    return Pace(since=state.set_at, at=at, fraction=fraction_now(steps, at))


def assessment(found: Assessment) -> Json:
    """Whether a goal is SMART."""
    return {
        name: {"ok": verdict.ok, "advice": verdict.advice}
        for name, verdict in (
            ("specific", found.specific),
            ("measurable", found.measurable),
            ("attainable", found.attainable),
            ("relevant", found.relevant),
            ("time_bound", found.time_bound),
        )
    }


def measure(state: Measure) -> Json:
    """How progress is told."""
    return _without_none(
        kind=state.kind,
        unit=state.unit,
        baseline=state.baseline,
        target=state.target,
        milestones=list(state.milestones) if state.milestones is not None else None,
    )


def deadline(state: Deadline) -> Json:
    """A date in a zone, up to a time of day."""
    return {"date": state.date.isoformat(), "time_zone": state.time_zone, "cutoff": state.cutoff}


def proposal(state: Proposal, *, words: bool) -> Json:
    """A proposal, with what it asks for."""
    return _without_none(
        proposal_id=state.proposal_id,
        state=state.state,
        revision=state.revision,
        changes=changes(state.changes, words=words),
        proposed_by=state.proposed_by,
        waits_for=state.waits_for,
        eased=state.eased,
        proposed_at=_instant(state.proposed_at),
        decided_by=state.decided_by,
        decided_at=_instant(state.decided_at),
        reason=state.reason.text if words and state.reason is not None else None,
    )


def changes(state: Changes, *, words: bool) -> Json:
    """What a proposal asks for; a `why` that it would remove is null."""
    shown: Json = {}
    if "title" in state.names:
        shown["title"] = state.title
    if "measure" in state.names and state.measure is not None:
        shown["measure"] = measure(state.measure)
    if "deadline" in state.names and state.deadline is not None:
        shown["deadline"] = deadline(state.deadline)
    if "check_in_every_days" in state.names:
        shown["check_in_every_days"] = state.check_in_every_days
    if "why" in state.names and words:
        shown["why"] = state.why.text if state.why is not None else None
    return shown


def history(
    state: Goal, events: Iterable[Mapping[str, Any]], story: Iterable[Mapping[str, Any]], *, words: bool
) -> list[Json]:
    """What happened to a goal, oldest first: each event with who did it, and with `words` why."""
    proposals = {proposal.proposal_id: proposal for proposal in state.proposals}
    items = []
    revision = 0
    for event, entry in zip(events, story, strict=True):
        data = {name: value for name, value in event["data"].items() if name not in _COMMON}
        revision = data.get("revision", revision)
        item: Json = {"type": event["type"], "at": format_instant(event["time"]), "by": entry["by"]}
        item["revision"] = revision
        item.update(data)
        if words:
            item.update(_words_of(entry, proposals.get(data.get("proposal_id", "")), event["type"]))
        items.append(item)
    return items


def _words_of(entry: Mapping[str, Any], proposal: Proposal | None, type_: str) -> Json:
    if type_ in ("RevisionProposed", "GoalRevised") and proposal is not None:
        return {} if proposal.reason is None else {"reason": proposal.reason.text}
    return {"reason": entry["reason"]} if "reason" in entry else {}


def expectations(state: Expectations, *, words: bool) -> Json:
    """A version of the expectations; `words`: with what they say."""
    return _without_none(
        mentorship_id=state.mentorship_id,
        version=state.version,
        state=state.state,
        items=[{"role": item.role, "text": item.text} for item in state.items] if words else None,
        review_on=_day(state.review_on),
        escalate_to_coordinator=state.escalate_to_coordinator,
        support_contact_id=state.support_contact_id,
        proposed_by=state.proposed_by,
        proposed_at=_instant(state.proposed_at),
        signed_by=list(state.signed_by),
        agreed_at=_instant(state.agreed_at),
    )


def _without_none(**fields: Any) -> Json:
    return {name: value for name, value in fields.items() if value is not None}


def _instant(instant: datetime | None) -> str | None:
    return None if instant is None else format_instant(instant)


def _day(day: date) -> str:
    return day.isoformat()
