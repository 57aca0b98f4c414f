"""`/v1/recipients`: who may say how a person is reminded, what can be said, and what becomes of it."""

from __future__ import annotations

from datetime import timedelta
from typing import Any
from uuid import uuid4

import pytest

from shared.time import format_instant
from tests.integration.goals.world import refused
from tests.integration.notifier.world import RECIPIENTS, Office
from tests.support.system import System

pytestmark = pytest.mark.engines
EMAIL = {"kind": "email", "address": "ana@example.com"}
BODY: dict[str, Any] = {"time_zone": "Europe/Berlin", "channels": [EMAIL]}
PATH = "/v1/recipients/ana"


@pytest.fixture
async def office(system: System) -> Office:
    return Office(system)


class TestPutRecipient:
    async def test_keeps_what_was_chosen_and_shows_the_rest_as_it_is_by_default(self, office: Office) -> None:
        ana = office.as_("ana")
        assert (await ana.put(PATH, json=BODY)).status_code == 200
        shown = (await ana.get(PATH)).json()
        assert {name: shown[name] for name in BODY} == BODY
        assert shown["quiet_hours"] == {"from": "20:00", "to": "08:00"}
        assert shown["workdays"] == ["mon", "tue", "wed", "thu", "fri"]
        assert (shown["daily_budget"], shown["delivery"], shown["help_any_time"]) == (3, "at_once", False)
        assert "language" not in shown

    async def test_replaces_all_of_what_was_chosen_before(self, office: Office) -> None:
        ana = office.as_("ana")
        chosen = {
            **BODY,
            "quiet_hours": {"from": "22:00", "to": "06:30"},
            "workdays": ["sun", "mon"],
            "daily_budget": 0,
            "delivery": "daily",
            "help_any_time": True,
            "language": "de-AT",
            "display_name": "Ana",
        }
        first = await ana.put(PATH, json=chosen)
        assert {name: first.json()[name] for name in chosen} == {**chosen, "workdays": ["mon", "sun"]}
        again = await ana.put(PATH, json=BODY)
        assert again.json()["daily_budget"] == 3
        assert "display_name" not in again.json()
        assert again.headers["etag"] != first.headers["etag"]

    @pytest.mark.parametrize(
        ("change", "pointer"),
        [
            ({"time_zone": "Europe/Atlantis"}, "/time_zone"),
            ({"channels": [{"kind": "email", "address": "ana"}]}, "/channels/0/address"),
            ({"channels": [{"kind": "email", "address": "a@b@example.com"}]}, "/channels/0/address"),
            ({"channels": [EMAIL, {"kind": "pigeon"}]}, "/channels/1"),
            ({"channels": [{"kind": "chat", "url": "ftp://chat.example.com"}]}, "/channels/0/url"),
            ({"channels": [EMAIL] * 6}, "/channels"),
            ({"quiet_hours": {"from": "8", "to": "09:00"}}, "/quiet_hours/from"),
            ({"quiet_hours": {"from": "08:00", "to": "24:01"}}, "/quiet_hours/to"),
            ({"quiet_hours": {"from": "00:00", "to": "24:00"}}, "/quiet_hours"),
            ({"workdays": []}, "/workdays"),
            ({"workdays": ["mon", "funday"]}, "/workdays/1"),
            ({"daily_budget": 21}, "/daily_budget"),
            ({"daily_budget": -1}, "/daily_budget"),
            ({"daily_budget": "3"}, "/daily_budget"),
            ({"delivery": "weekly"}, "/delivery"),
            ({"help_any_time": "yes"}, "/help_any_time"),
            ({"language": "klingon!"}, "/language"),
            ({"display_name": ""}, "/display_name"),
            ({"display_name": "Ana\r\nBcc: all@example.com"}, "/display_name"),
            ({"colour": "blue"}, "/colour"),
        ],
    )
    async def test_tells_the_field_that_is_wrong(
        self, office: Office, change: dict[str, Any], pointer: str
    ) -> None:
        refused(await office.as_("ana").put(PATH, json={**BODY, **change}), 422, pointer)

    async def test_is_for_oneself_or_needs_the_scope(self, office: Office) -> None:
        refused(await office.as_("ben").put(PATH, json=BODY), 403)
        refused(await office.hr("onbelay:programs").put(PATH, json=BODY), 403)
        assert (await office.hr(RECIPIENTS).put(PATH, json=BODY)).status_code == 200
        refused(await office.as_("ben").get(PATH), 403)
        refused(await office.as_("ben").delete(PATH), 403)
        acting = office.system.client(
            "notifier", sub="app", org=office.org, scope="onbelay:act_as", act_as="ana"
        )
        assert (await acting.get(PATH)).status_code == 200

    async def test_is_unknown_to_other_organizations(self, office: Office) -> None:
        await office.as_("ana").put(PATH, json=BODY)
        stranger = office.system.client("notifier", sub="ana", org=f"org-{uuid4().hex[:8]}")
        refused(await stranger.get(PATH), 404)


class TestSnooze:
    async def test_is_shown_until_it_is_ended(self, office: Office) -> None:
        ana = office.as_("ana")
        await ana.put(PATH, json=BODY)
        until = format_instant((await office.system.now() + timedelta(days=2)).replace(microsecond=0))
        assert (await ana.post(f"{PATH}/snooze", json={"until": until})).status_code == 200
        about = {"until": until, "goal_id": str(uuid4())}
        assert (await ana.post(f"{PATH}/snooze", json=about)).status_code == 200
        shown = (await ana.get(PATH)).json()["snoozes"]
        assert sorted(shown, key=len) == [{"until": until}, about]
        assert (await ana.delete(f"{PATH}/snooze")).status_code == 204
        assert (await ana.get(PATH)).json()["snoozes"] == []

    async def test_lies_ahead_and_belongs_to_somebody_known(self, office: Office) -> None:
        ana = office.as_("ana")
        later = {"until": format_instant(await office.system.now() + timedelta(days=2))}
        refused(await ana.post(f"{PATH}/snooze", json=later), 404)
        await ana.put(PATH, json=BODY)
        past = {"until": format_instant(await office.system.now() - timedelta(seconds=1))}
        refused(await ana.post(f"{PATH}/snooze", json=past), 422, "/until")
        refused(await ana.post(f"{PATH}/snooze", json={"until": "tomorrow"}), 422, "/until")


class TestAbsences:
    async def test_have_an_id_by_which_they_are_taken_back(self, office: Office) -> None:
        ana = office.as_("ana")
        await ana.put(PATH, json=BODY)
        dates = {"from": "2031-08-01", "to": "2031-08-01"}
        made = await ana.post(f"{PATH}/absences", json=dates)
        assert made.status_code == 201
        absence_id = made.json()["absence_id"]
        assert made.headers["location"].endswith(f"{PATH}/absences/{absence_id}")
        assert (await ana.get(PATH)).json()["absences"] == [{"absence_id": absence_id, **dates}]
        assert (await ana.delete(f"{PATH}/absences/{absence_id}")).status_code == 204
        refused(await ana.delete(f"{PATH}/absences/{absence_id}"), 404)
        assert (await ana.get(PATH)).json()["absences"] == []

    async def test_do_not_end_before_they_begin(self, office: Office) -> None:
        ana = office.as_("ana")
        await ana.put(PATH, json=BODY)
        backwards = {"from": "2031-08-02", "to": "2031-08-01"}
        refused(await ana.post(f"{PATH}/absences", json=backwards), 422, "/to")
        refused(
            await ana.post(f"{PATH}/absences", json={"from": "2031-02-30", "to": "2031-08-01"}), 422, "/from"
        )

    async def test_are_noted_once_for_one_idempotency_key(self, office: Office) -> None:
        ana = office.as_("ana")
        await ana.put(PATH, json=BODY)
        key = {"Idempotency-Key": uuid4().hex}
        dates = {"from": "2031-08-01", "to": "2031-08-14"}
        first = await ana.post(f"{PATH}/absences", json=dates, headers=key)
        again = await ana.post(f"{PATH}/absences", json=dates, headers=key)
        assert again.json() == first.json()
        assert again.headers["idempotency-replayed"] == "true"
        assert len((await ana.get(PATH)).json()["absences"]) == 1


class TestDeleteRecipient:
    async def test_forgets_everything_that_was_chosen(self, office: Office) -> None:
        ana = office.as_("ana")
        await ana.put(PATH, json={**BODY, "display_name": "Ana"})
        await ana.post(f"{PATH}/absences", json={"from": "2031-08-01", "to": "2031-08-14"})
        assert (await ana.delete(PATH)).status_code == 204
        refused(await ana.get(PATH), 404)
        refused(await ana.delete(PATH), 404)
        await ana.put(PATH, json=BODY)
        assert (await ana.get(PATH)).json()["absences"] == []


class TestErasure:
    async def test_removes_contact_data_and_lets_them_be_provided_anew(self, office: Office) -> None:
        ana = office.as_("ana")
        key = {"Idempotency-Key": uuid4().hex}
        await ana.put(PATH, json={**BODY, "display_name": "Ana"})
        await ana.post(f"{PATH}/absences", json={"from": "2031-08-01", "to": "2031-08-14"}, headers=key)
        erasing = office.hr("onbelay:erase", "goals")
        assert (await erasing.post("/v1/people/ana/erasure")).status_code == 202
        await office.system.folded()
        refused(await ana.get(PATH), 404)
        await ana.put(PATH, json=BODY)
        again = await ana.post(
            f"{PATH}/absences", json={"from": "2031-08-01", "to": "2031-08-14"}, headers=key
        )
        assert "idempotency-replayed" not in again.headers, "a kept answer outlived the erasure"
        await office.system.folded()
        assert (await ana.get(PATH)).json()["channels"] == [EMAIL]
