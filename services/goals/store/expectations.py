"""Versions of the expectations in MongoDB."""

from __future__ import annotations

from datetime import datetime

from pymongo import DESCENDING

from services.goals.domain.expectations import Expectations
from services.goals.store.base import Base, Kept, builtins, convert
from shared.aggregates import Change
from shared.http.pages import Page
from shared.idempotency import Answer, Idem
from shared.mongo import Doc


class Versions(Base):
    """What is kept of expectations."""

    @staticmethod
    def version_id(mentorship_id: str, version: int) -> str:
        """The id of a version's document; of one mentorship's, in their order."""
        return f"{mentorship_id}.{version:06d}"

    async def version(self, org_id: str, mentorship_id: str, version: int) -> Kept[Expectations] | None:
        """A version of a mentorship's expectations."""
        doc = await self.expectations.find(org_id, self.version_id(mentorship_id, version))
        return None if doc is None else Kept(doc, convert(doc, Expectations))

    async def list_versions(
        self, org_id: str, mentorship_id: str, page: Page, state: str | None
    ) -> list[Expectations]:
        """Versions of a mentorship's expectations, newest first."""
        query: Doc = {"org_id": org_id, "mentorship_id": mentorship_id}
        if state is not None:
            query["state"] = state
        rows = self.expectations.collection.find({**query, **page.older("proposed_at")}, {"idem": 0})
        rows = rows.sort([("proposed_at", DESCENDING), ("_id", DESCENDING)]).limit(page.fetch)
        return [convert(doc, Expectations) for doc in await rows.to_list(None)]

    def new_version(
        self, org_id: str, version: Expectations, *, now: datetime, idem: Idem | None, answer: Answer
    ) -> Change:
        """The insertion of a version."""
        return self.expectations.new(
            id=self.version_id(version.mentorship_id, version.version),
            org_id=org_id,
            key=version.mentorship_id,
            subject=f"mentorship/{version.mentorship_id}",
            now=now,
            fields=builtins(version),
            idem=idem,
            answer=answer,
        )

    def change_version(
        self,
        kept: Kept[Expectations],
        after: Expectations,
        *,
        now: datetime,
        idem: Idem | None = None,
        answer: Answer | None = None,
    ) -> Change:
        """The next state of a version."""
        return self.expectations.change(kept.doc, now=now, fields=builtins(after), idem=idem, answer=answer)
