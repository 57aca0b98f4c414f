"""The ledger, as it is read."""

from __future__ import annotations

import msgspec
from pymongo import DESCENDING

from services.notifier.domain.ledger import Entry
from services.notifier.store.documents import Documents
from shared.http import Page
from shared.mongo import Doc


class Ledger(Documents):
    """For `/v1/nudges`."""

    async def nudges(self, org_id: str, filters: Doc, page: Page) -> list[Entry]:
        """Entries, newest first, at most `page.fetch`."""
        found = self.ledger.find({"org_id": org_id, "$and": [filters, page.older("at")]}, {"events": 0})
        rows = await found.sort([("at", DESCENDING), ("_id", DESCENDING)]).limit(page.fetch).to_list(None)
        return [msgspec.convert({**row, "nudge_id": row["_id"]}, Entry) for row in rows]
