"""What is held out, so that the effect of the rest can be told, is not said and is in the ledger."""

from __future__ import annotations

from uuid import uuid4

import pytest

from tests.conftest import NewSystem
from tests.integration.notifier.mentors import PARTITIONS, Mentors
from tests.support.polling import eventually

pytestmark = pytest.mark.engines


async def test_a_share_of_one_holds_out_all(new_system: NewSystem) -> None:
    env = {"ONBELAY_NOTIFIER_HOLDOUT": "1"}
    system = await new_system(("notifier",), partitions=PARTITIONS, env=env)
    mentors = Mentors(system, f"org-{uuid4().hex[:8]}")
    await mentors.hear(["ben", "cleo"])
    ledger = await mentors.have_heard(["ben", "cleo"])
    for entry in ledger.values():
        assert (entry["outcome"], entry["reason"]) == ("suppressed", "holdout")
        assert entry["because"]["share"] == 1.0
    assert list(system.maildir.glob("*/*")) == []

    async def told() -> bool:
        events = [event["data"] for event in await system.events("nudges", mentors.org)]
        return sorted(e["recipient_id"] for e in events if e.get("reason") == "holdout") == ["ben", "cleo"]

    await eventually(told, seconds=20)
