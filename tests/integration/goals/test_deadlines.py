"""Rules 2 to 5 through HTTP and Kafka: goals that fall due at one instant, and what becomes of each."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from datetime import datetime, timedelta

import pytest

from shared.time import format_instant, parse_instant
from tests.integration.goals.world import GRACE, Json, Pair, deadline, refused, short
from tests.support.polling import eventually
from tests.support.system import System

pytestmark = pytest.mark.engines
HOUR = timedelta(hours=1)
DAY = timedelta(days=1)
NAMES = (
    "plain", "in_time", "owner", "counterpart", "late", "late_then_belated", "upheld", "rejected", "revived",
    "declined", "closed", "said",
)  # fmt: skip


@dataclass
class Herd:
    """Goals by name, all due at `due`, which has passed."""

    pair: Pair
    due: datetime
    goals: dict[str, str]
    check_ins: dict[str, str] = field(default_factory=dict)

    def __getitem__(self, name: str) -> str:
        return self.goals[name]


@pytest.fixture(scope="module")
async def herd(pair: Pair) -> Herd:
    """Wait for the deadline of all of them; one was checked in on a second before."""
    due = await pair.in_(HOUR)
    made = Herd(pair, due, {name: await pair.sets(due=due) for name in NAMES})
    await pair.checks_in(made["plain"], progress={"value": 3.5})
    await pair.system.move(due - timedelta(seconds=1))
    await pair.checks_in(made["in_time"])
    await pair.system.move(due + GRACE)
    for name in NAMES:
        await pair.becomes(made[name], "met" if name == "in_time" else "missed")
    return made


class TestRule3Missed:
    async def test_a_check_in_of_the_last_second_meets_the_goal(self, herd: Herd) -> None:
        goal = await herd.pair.sees(herd["in_time"])
        assert goal["state"] == "met"
        assert "missed_at" not in goal
        assert herd.due - timedelta(seconds=1) <= parse_instant(goal["met_at"]) < herd.due

    async def test_one_without_is_missed_once_and_the_world_hears_how_far_it_was(self, herd: Herd) -> None:
        goal = await herd.pair.sees(herd["plain"])
        _, event = await herd.pair.told(f"goal/{herd['plain']}", 2)
        assert short(event) == "GoalMissed"
        assert (event["sequence"], event["partitionkey"]) == ("0000000002", herd.pair.mentorship_id)
        missed_at = parse_instant(event["data"]["missed_at"])
        assert missed_at >= herd.due + GRACE
        last = event["data"].pop("last_check_in_at")
        assert parse_instant(last) < herd.due
        assert event["data"] == {
            "org_id": herd.pair.org,
            "program_id": "program",
            "mentorship_id": herd.pair.mentorship_id,
            "goal_id": herd["plain"],
            "owner_id": "mentee",
            "owner_role": "mentee",
            "revision": 1,
            "due_at": format_instant(herd.due),
            "missed_at": goal["missed_at"],
            "fraction": 0.5,
        }
        assert await herd.pair.types(herd["plain"]) == ["GoalSet", "GoalMissed"]

    async def test_late_evidence_meets_it_late_and_the_miss_stands(self, herd: Herd) -> None:
        await herd.pair.checks_in(herd["late"])
        goal = await herd.pair.becomes(herd["late"], "met")
        assert "missed_at" in goal
        *_, met = await herd.pair.told(f"goal/{herd['late']}", 3)
        assert short(met) == "GoalMet"
        early = (herd.due - parse_instant(met["data"]["met_at"])) / DAY
        assert met["data"]["days_early"] == pytest.approx(early)
        assert early <= 0


class TestRule4BelatedEvidence:
    async def test_of_the_counterpart_takes_the_miss_back_at_once(self, herd: Herd) -> None:
        then = herd.due - HOUR / 2
        before = await herd.pair.sees(herd["counterpart"])
        await herd.pair.checks_in(herd["counterpart"], "mentor", at=then)
        goal = await herd.pair.becomes(herd["counterpart"], "met")
        assert goal["met_at"] == format_instant(then)
        assert "missed_at" not in goal
        *_, retracted, met = await herd.pair.told(f"goal/{herd['counterpart']}", 4)
        assert (short(retracted), short(met)) == ("GoalMissRetracted", "GoalMet")
        assert retracted["data"]["because"] == "late_evidence"
        assert retracted["data"]["missed_at"] == before["missed_at"]
        assert met["data"]["days_early"] == pytest.approx(0.5 / 24)

    async def test_of_the_owner_waits_for_the_acknowledgement(self, herd: Herd) -> None:
        pair = herd.pair
        checkin_id = await pair.checks_in(herd["owner"], at=herd.due - HOUR / 2)

        async def seen() -> bool:
            return bool((await pair.sees(herd["owner"]))["fraction"] == 1.0)

        await eventually(seen)
        assert (await pair.sees(herd["owner"]))["state"] == "missed"
        await pair.acknowledges(checkin_id)
        await pair.becomes(herd["owner"], "met")
        assert await pair.types(herd["owner"]) == ["GoalSet", "GoalMissed", "GoalMissRetracted", "GoalMet"]

    async def test_takes_it_back_also_after_a_late_met(self, herd: Herd) -> None:
        pair, goal_id = herd.pair, herd["late_then_belated"]
        await pair.checks_in(goal_id)
        await pair.becomes(goal_id, "met")
        await pair.checks_in(goal_id, "mentor", at=herd.due - HOUR / 2)

        async def taken_back() -> bool:
            return "missed_at" not in await pair.sees(goal_id)

        await eventually(taken_back)
        assert await pair.types(goal_id) == [
            "GoalSet",
            "GoalMissed",
            "GoalMet",
            "GoalMissRetracted",
            "GoalMet",
        ]
        assert (await pair.sees(goal_id))["met_at"] == format_instant(herd.due - HOUR / 2)

    async def test_the_counterpart_may_say_so_as_well_and_the_owner_may_not(self, herd: Herd) -> None:
        """Rule 9."""
        pair, then = herd.pair, format_instant(herd.due - HOUR / 2)
        refused(await pair.says(herd["said"], "met", occurred_at=then), 403)
        refused(await pair.says(herd["said"], "met", "leader", occurred_at=then), 403)
        answer = await pair.says(herd["said"], "met", "mentor", occurred_at=then, note="I saw it.")
        assert answer.status_code == 200, answer.text
        assert (answer.json()["state"], answer.json()["met_at"]) == ("met", then)
        refused(await pair.says(herd["said"], "met", "mentor", occurred_at=then), 409)
        checked = await pair.as_("mentee", "checkins").get("/v1/checkins", params={"goal_id": herd["said"]})
        assert checked.json()["items"] == []


class TestRule5Dispute:
    async def test_is_open_until_the_counterpart_upholds_it(self, herd: Herd) -> None:
        pair, goal_id, then = herd.pair, herd["upheld"], format_instant(herd.due - HOUR / 2)
        refused(await pair.does(goal_id, "dispute/uphold"), 409)
        answer = await pair.does(goal_id, "dispute", "mentee", occurred_at=then, reason="It was there.")
        assert answer.status_code == 202, answer.text
        assert answer.json()["dispute"] == {"state": "open", "by": "mentee", "occurred_at": then}
        refused(await pair.does(goal_id, "dispute", "mentee", occurred_at=then, reason="Again."), 409)
        for by in ("mentee", "leader"):
            refused(await pair.does(goal_id, "dispute/uphold", by), 403)
        answer = await pair.does(goal_id, "dispute/uphold")
        assert answer.status_code == 200, answer.text
        goal = answer.json()
        assert (goal["state"], goal["met_at"], goal["dispute"]["state"]) == ("met", then, "upheld")
        _, _, disputed, retracted, met = await pair.told(f"goal/{goal_id}", 5)
        assert [short(each) for each in (disputed, retracted, met)] == [
            "MissDisputed",
            "GoalMissRetracted",
            "GoalMet",
        ]
        assert (disputed["data"]["by"], disputed["data"]["revision"]) == ("mentee", 1)
        assert "It was there." not in str(disputed)
        assert retracted["data"]["because"] == "dispute_upheld"
        assert met["data"]["met_at"] == then

    async def test_rejected_the_miss_stands_for_good(self, herd: Herd) -> None:
        pair, goal_id, then = herd.pair, herd["rejected"], format_instant(herd.due - HOUR / 2)
        await pair.does(goal_id, "dispute", "mentee", occurred_at=then, reason="It was there.")
        answer = await pair.does(goal_id, "dispute/reject")
        assert (answer.status_code, answer.json()["state"]) == (200, "missed")
        assert answer.json()["dispute"]["state"] == "rejected"
        refused(await pair.does(goal_id, "dispute/reject"), 409)
        refused(await pair.does(goal_id, "dispute", "mentee", occurred_at=then, reason="But."), 409)
        assert (await pair.types(goal_id))[-2:] == ["MissDisputed", "DisputeRejected"]

    async def test_others_do_not_dispute_nor_without_a_miss_nor_a_time_after_the_deadline(
        self, herd: Herd
    ) -> None:
        pair, then = herd.pair, format_instant(herd.due - HOUR / 2)
        body = {"occurred_at": then, "reason": "It was there."}
        refused(await pair.does(herd["plain"], "dispute", "mentor", **body), 403)
        refused(await pair.does(herd["plain"], "dispute", "leader", **body), 403)
        refused(await pair.does(herd["in_time"], "dispute", "mentee", **body), 409)
        at_due = {**body, "occurred_at": format_instant(herd.due)}
        refused(await pair.does(herd["plain"], "dispute", "mentee", **at_due), 422, "/occurred_at")

    async def test_a_retraction_closes_an_open_one(self, herd: Herd) -> None:
        pair, goal_id, then = herd.pair, herd["closed"], herd.due - HOUR / 2
        body = {"occurred_at": format_instant(then), "reason": "It was there."}
        assert (await pair.does(goal_id, "dispute", "mentee", **body)).status_code == 202
        await pair.checks_in(goal_id, "mentor", at=then)
        goal = await pair.becomes(goal_id, "met")
        assert "dispute" not in goal
        refused(await pair.does(goal_id, "dispute/uphold"), 409)


class TestRule6Revival:
    async def test_needs_a_new_deadline_and_the_counterpart(self, herd: Herd) -> None:
        pair, goal_id = herd.pair, herd["revived"]
        refused(await pair.revises(goal_id, title="Read six papers"), 422, "/deadline")
        due = await pair.in_(30 * DAY)
        answer = await pair.revises(goal_id, deadline=deadline(due), reason="I was ill.")
        assert answer.status_code == 202, answer.text
        assert answer.json() == {
            "goal_id": goal_id,
            "proposal_id": answer.json()["proposal_id"],
            "waits_for": "mentor",
        }
        accept = f"proposals/{answer.json()['proposal_id']}/accept"
        refused(await pair.does(goal_id, accept, "mentee"), 403)
        accepted = await pair.does(goal_id, accept)
        assert accepted.status_code == 200, accepted.text
        goal = accepted.json()
        assert (goal["state"], goal["revision"], goal["due_at"]) == ("active", 2, format_instant(due))
        assert "missed_at" not in goal
        refused(await pair.does(goal_id, accept), 409)
        event = (await pair.told(f"goal/{goal_id}", 4))[-1]
        assert short(event) == "GoalRevised"
        assert (event["data"]["revised_by"], event["data"]["agreed_by"]) == ("mentee", ["mentor"])
        assert (event["data"]["eased"], event["data"]["changed"]) == (True, ["deadline"])

    async def test_declined_the_goal_stays_missed(self, herd: Herd) -> None:
        pair, goal_id = herd.pair, herd["declined"]
        answer = await pair.revises(goal_id, "mentor", deadline=deadline(await pair.in_(30 * DAY)))
        assert (answer.status_code, answer.json()["waits_for"]) == (202, "mentee")
        decline = f"proposals/{answer.json()['proposal_id']}/decline"
        refused(await pair.does(goal_id, decline, "leader"), 403)
        assert (await pair.does(goal_id, decline, "mentee")).json()["state"] == "missed"
        refused(await pair.does(goal_id, decline, "mentor"), 409)
        event = (await pair.told(f"goal/{goal_id}", 4))[-1]
        assert (short(event), event["data"]["declined_by"]) == ("RevisionDeclined", "mentee")


class TestRule3BeforeItIsDecided:
    async def test_from_the_deadline_on_nothing_but_evidence_is_taken(self, pair: Pair) -> None:
        due = await pair.in_(HOUR)
        goal_id, other = await pair.sets(due=due), await pair.sets(due=due)
        proposed = await pair.revises(goal_id, "mentor", title="Read nine papers")
        await pair.system.move(due)
        steps = [
            await pair.revises(goal_id, title="Read six papers"),
            await pair.does(goal_id, f"proposals/{proposed.json()['proposal_id']}/accept", "mentee"),
            await pair.says(goal_id, "dropped"),
            await pair.says(goal_id, "missed"),
        ]
        for step in steps:
            refused(step, 409)
            assert int(step.headers["retry-after"]) > 0
        said = await pair.says(goal_id, "met", occurred_at=format_instant(due - HOUR / 2))
        assert said.json()["state"] == "met"
        await pair.system.move(due + GRACE)
        await pair.becomes(other, "missed")
        assert (await pair.sees(goal_id))["state"] == "met"

    async def test_a_goal_of_a_revised_deadline_is_decided_by_the_new_one(self, pair: Pair) -> None:
        due = await pair.in_(HOUR)
        moved, stayed = await pair.sets(due=due + DAY), await pair.sets(due=due)
        assert (await pair.revises(moved, deadline=deadline(due - HOUR / 4))).status_code == 200
        await pair.system.move(due + GRACE)
        await pair.becomes(moved, "missed")
        await pair.becomes(stayed, "missed")
        events = await pair.told(f"goal/{moved}", 3)
        assert [(short(event), event["data"]["revision"]) for event in events] == [
            ("GoalSet", 1),
            ("GoalRevised", 2),
            ("GoalMissed", 2),
        ]


class TestRule4SaidMissedEarly:
    async def test_is_a_miss_at_once_and_timely_evidence_takes_it_back(self, pair: Pair) -> None:
        by_owner, by_counterpart = await pair.sets(), await pair.sets()
        for goal_id in (by_owner, by_counterpart):
            answer = await pair.says(goal_id, "missed", note="Too much at once.")
            assert (answer.status_code, answer.json()["state"]) == (200, "missed")
        await pair.checks_in(by_counterpart, "mentor")
        checkin_id = await pair.checks_in(by_owner)
        await pair.becomes(by_counterpart, "met")
        assert (await pair.sees(by_owner))["state"] == "missed"
        await pair.acknowledges(checkin_id)
        await pair.becomes(by_owner, "met")
        _, missed, retracted, _ = await pair.told(f"goal/{by_owner}", 4)
        assert missed["data"]["missed_at"] < missed["data"]["due_at"]
        assert (short(retracted), retracted["data"]["missed_at"]) == (
            "GoalMissRetracted",
            missed["data"]["missed_at"],
        )


class TestWhatStandsOnKafka:
    async def test_every_goal_of_the_herd_was_missed_at_most_once(self, herd: Herd, system: System) -> None:
        events: list[Json] = await system.events("goals", herd.pair.org)
        misses = [each["data"]["goal_id"] for each in events if short(each) == "GoalMissed"]
        assert set(herd.goals.values()) - {herd["in_time"]} <= set(misses)
        assert len(misses) == len(set(misses))

    async def test_two_people_at_once_decide_one_after_the_other(self, pair: Pair) -> None:
        goal_id = await pair.sets()
        answers = await asyncio.gather(*(pair.says(goal_id, "dropped") for _ in range(5)))
        assert sorted(answer.status_code for answer in answers) == [200, 409, 409, 409, 409]
        assert await pair.types(goal_id) == ["GoalSet", "GoalDropped"]
