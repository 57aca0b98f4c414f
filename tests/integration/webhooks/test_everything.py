"""A webhook for all types has all that stands in the topics, and nothing that is somebody's alone."""

from __future__ import annotations

import json
from typing import Any

import jsonschema
import pytest

from shared.events import TYPES, type_name
from shared.http.app import SCHEMAS
from tests.integration.goals.world import Pair, short
from tests.integration.webhooks.world import World
from tests.support.polling import eventually

pytestmark = pytest.mark.engines
NOT_FOR_WEBHOOKS = {"HelpRequested", "CheckInsWatermark"}


async def much_happens(pair: Pair) -> None:
    """A mentorship in which nearly everything happens that needs no waiting."""
    await pair.begin()
    mentorship = f"/v1/mentorships/{pair.mentorship_id}"
    seen = await pair.hr().get(mentorship)
    await pair.hr().patch(mentorship, json={"focus": "talks"}, headers={"If-Match": seen.headers["etag"]})
    await pair.turns("pause")
    await pair.turns("resume")
    proposed = await pair.as_("mentor").post(f"{mentorship}/expectations", json=await pair.expectations())
    version = proposed.json()["version"]
    await pair.as_("mentee").post(f"{mentorship}/expectations/{version}/agreements")

    met, dropped, missed = [await pair.sets() for _ in range(3)]
    await pair.revises(met, title="Read eight papers")
    await pair.acknowledges(await pair.checks_in(met))
    await pair.becomes(met, "met")
    await pair.says(dropped, "dropped")
    await pair.says(missed, "missed")
    now = (await pair.system.now()).isoformat().replace("+00:00", "Z")
    await pair.does(missed, "dispute", by="mentee", occurred_at=now, reason="private")
    await pair.does(missed, "dispute/reject")
    offered = await pair.as_("mentor").post("/v1/goals", json=await pair.goal(owner_id="mentee"))
    await pair.does(
        offered.json()["goal_id"], f"proposals/{offered.json()['proposal_id']}/decline", by="mentee"
    )
    sensitive = {
        "mentorship_id": pair.mentorship_id,
        "sensitive": True,
        "note": "private",
        "help": {"text": "private", "route_to": "mentor"},
    }
    assert (await pair.as_("mentee", "checkins").post("/v1/checkins", json=sensitive)).status_code == 201
    erasing = pair.hr("onbelay:erase")
    assert (await erasing.post("/v1/people/leader/erasure")).status_code == 202
    await pair.turns("end")


async def standing(world: World) -> dict[str, dict[str, Any]]:
    """What stands in the topics for webhooks, by id."""
    found = [event for topic in ("goals", "checkins", "nudges") for event in await world.system.events(topic)]
    return {event["id"]: event for event in found if event.get("orgid") == world.org}


async def test_what_stands_in_the_topics_is_what_is_delivered(world: World) -> None:
    wanted = [type_name(name) for name in TYPES if name not in NOT_FOR_WEBHOOKS]
    await world.hook("/all", *wanted)
    await much_happens(Pair(world.system, world.org))

    async def all_came() -> bool:
        stand = await standing(world)
        ended = any(short(event) == "MentorshipEnded" for event in stand.values())
        assert ended
        assert {request.headers["webhook-id"] for request in world.receiver.to("/all")} == stand.keys()
        return True

    await eventually(all_came, seconds=30, every=0.3)
    stand = await standing(world)
    delivered = [request.event for request in world.receiver.to("/all")]
    assert {short(event) for event in delivered} >= {
        "MentorshipStarted", "MentorshipChanged", "MentorshipPaused", "MentorshipResumed", "MentorshipEnded",
        "ExpectationsProposed", "ExpectationsAgreed", "GoalSet", "GoalRevised", "RevisionProposed",
        "RevisionDeclined", "GoalMet", "GoalMissed", "MissDisputed", "DisputeRejected", "GoalDropped",
        "PersonErased", "CheckInLogged", "CheckInAcknowledged",
    }  # fmt: skip
    for event in delivered:
        same = {name: value for name, value in event.items() if name != "datacontenttype"}
        assert same == stand[event["id"]]
        jsonschema.validate(event["data"], json.loads((SCHEMAS / f"{short(event)}.v1.json").read_text()))
    assert all(b"private" not in request.body for request in world.receiver.requests)
