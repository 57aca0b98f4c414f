"""Expectations through HTTP: versions, signatures, what is in force, and who reads them."""

from __future__ import annotations

import asyncio

import pytest

from tests.integration.goals.world import Json, Pair, refused, short
from tests.support.system import System

pytestmark = pytest.mark.engines


class Agreement:
    """The expectations of a pair of their own."""

    def __init__(self, pair: Pair) -> None:
        self.pair = pair
        self.path = f"/v1/mentorships/{pair.mentorship_id}/expectations"

    async def proposed(self, by: str = "mentor", **body: object) -> Json:
        answer = await self.pair.as_(by).post(self.path, json=await self.pair.expectations(**body))
        assert answer.status_code == 201, answer.text
        assert answer.headers["location"] == f"{self.path}/{answer.json()['version']}"
        return dict(answer.json())

    async def signed(self, version: int, by: str = "mentee") -> Json:
        answer = await self.pair.as_(by).post(f"{self.path}/{version}/agreements")
        assert answer.status_code == 200, answer.text
        return dict(answer.json())

    async def listed(self, **filters: str) -> list[tuple[int, str]]:
        answer = await self.pair.as_("mentee").get(self.path, params=filters)
        assert answer.status_code == 200, answer.text
        return [(item["version"], item["state"]) for item in answer.json()["items"]]

    async def in_force(self) -> int | None:
        answer = await self.pair.hr().get(f"/v1/mentorships/{self.pair.mentorship_id}")
        version: int | None = answer.json().get("expectations_version")
        return version


@pytest.fixture
async def agreement(system: System) -> Agreement:
    return Agreement(await Pair(system).begin(leader_id="leader"))


class TestExpectations:
    async def test_hold_once_both_have_signed(self, agreement: Agreement) -> None:
        version = await agreement.proposed(escalate_to_coordinator=True, support_contact_id="counsel")
        assert (version["version"], version["state"], version["signed_by"]) == (1, "proposed", ["mentor"])
        assert await agreement.in_force() is None
        assert (await agreement.signed(1, "mentor"))["state"] == "proposed"
        agreed = await agreement.signed(1)
        assert (agreed["state"], agreed["signed_by"]) == ("agreed", ["mentor", "mentee"])
        assert await agreement.signed(1) == agreed
        assert await agreement.in_force() == 1
        events = await agreement.pair.told(f"mentorship/{agreement.pair.mentorship_id}", 3)
        assert [short(event) for event in events] == [
            "MentorshipStarted",
            "ExpectationsProposed",
            "ExpectationsAgreed",
        ]
        common = {
            "org_id": agreement.pair.org,
            "program_id": "program",
            "mentorship_id": agreement.pair.mentorship_id,
            "version": 1,
            "review_on": version["review_on"],
        }
        assert events[1]["data"] == {**common, "proposed_by": "mentor", "waits_for": "mentee"}
        assert events[2]["data"] == {
            **common,
            "agreed_by": ["mentor", "mentee"],
            "escalate_to_coordinator": True,
            "support_contact_id": "counsel",
        }

    async def test_a_key_answers_as_before_also_where_signing_changed_nothing(
        self, agreement: Agreement
    ) -> None:
        await agreement.proposed()
        for by in ("mentor", "mentee"):
            url, headers = f"{agreement.path}/1/agreements", {"Idempotency-Key": f"sign-{by}"}
            first = await agreement.pair.as_(by).post(url, headers=headers)
            again = await agreement.pair.as_(by).post(url, headers=headers)
            assert (first.status_code, again.json()) == (200, first.json())
            assert again.headers["idempotency-replayed"] == "true"

    async def test_a_new_version_leaves_the_old_one_in_force_until_both_have_signed(
        self, agreement: Agreement
    ) -> None:
        await agreement.proposed()
        await agreement.signed(1)
        await agreement.proposed("mentee")
        assert await agreement.in_force() == 1
        assert await agreement.listed() == [(2, "proposed"), (1, "agreed")]
        await agreement.signed(2, "mentor")
        assert await agreement.in_force() == 2
        assert await agreement.listed() == [(2, "agreed"), (1, "superseded")]
        assert await agreement.listed(state="agreed") == [(2, "agreed")]
        refused(await agreement.pair.as_("mentee").post(f"{agreement.path}/1/agreements"), 409)

    async def test_one_that_was_not_agreed_is_replaced(self, agreement: Agreement) -> None:
        await agreement.proposed()
        await agreement.proposed("mentee")
        assert await agreement.listed() == [(2, "proposed"), (1, "superseded")]
        refused(await agreement.pair.as_("mentee").post(f"{agreement.path}/1/agreements"), 409)

    async def test_both_who_propose_at_once_get_versions_of_their_own(self, agreement: Agreement) -> None:
        found = await asyncio.gather(agreement.proposed("mentor"), agreement.proposed("mentee"))
        assert sorted(version["version"] for version in found) == [1, 2]
        assert await agreement.listed() == [(2, "proposed"), (1, "superseded")]

    async def test_are_of_mentor_and_mentee(self, agreement: Agreement) -> None:
        await agreement.proposed()
        body = await agreement.pair.expectations()
        sign = f"{agreement.path}/1/agreements"
        for person, status in (("leader", 403), ("eve", 404)):
            refused(await agreement.pair.as_(person).post(agreement.path, json=body), status)
            refused(await agreement.pair.as_(person).post(sign), status)
        refused(await agreement.pair.hr().post(agreement.path, json=body), 403)
        refused(await agreement.pair.as_("mentee").post(f"{agreement.path}/7/agreements"), 404)
        refused(await agreement.pair.as_("mentee").post(f"{agreement.path}/last/agreements"), 422, "version")

    async def test_their_texts_are_read_by_mentor_and_mentee_alone(self, agreement: Agreement) -> None:
        """Rule 10."""
        await agreement.proposed(items=[{"role": "mentee", "text": "PLANTED: be on time."}])
        for path in (agreement.path, f"{agreement.path}/1"):
            for person in ("mentor", "mentee"):
                assert "PLANTED" in (await agreement.pair.as_(person).get(path)).text
            for client in (agreement.pair.as_("leader"), agreement.pair.hr()):
                answer = await client.get(path)
                assert (answer.status_code, "PLANTED" in answer.text) == (200, False)
            refused(await agreement.pair.as_("eve").get(path), 404)
        events = await agreement.pair.told(f"mentorship/{agreement.pair.mentorship_id}", 2)
        assert "PLANTED" not in str(events)

    async def test_after_the_end_none_is_proposed_or_signed(self, agreement: Agreement) -> None:
        await agreement.proposed()
        await agreement.pair.turns("end")
        body = await agreement.pair.expectations()
        refused(await agreement.pair.as_("mentor").post(agreement.path, json=body), 409)
        refused(await agreement.pair.as_("mentee").post(f"{agreement.path}/1/agreements"), 409)
