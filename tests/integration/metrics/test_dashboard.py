"""The dashboard as a browser meets it: signing in, a program's page, and what it must never do."""

from __future__ import annotations

import re
from collections.abc import Sequence
from datetime import timedelta
from typing import Any

import httpx
import pytest

from shared import events as contract
from tests.builders import Pair
from tests.integration.metrics.published import (
    END,
    START,
    a_big_history,
    publish,
)
from tests.support.system import System
from tests.unit.metrics.histories import History

pytestmark = pytest.mark.engines

METRICS = "onbelay:metrics onbelay:programs"
NOTICE = "so they are withheld"
WINDOW = {"from": START.isoformat(), "to": END.isoformat()}


async def signed_in(system: System, org: str, scope: str = METRICS) -> httpx.AsyncClient:
    """A browser after signing in."""
    browser = system.anonymous("metrics")
    response = await browser.post("/sign-in", data={"token": system.token("hr", org, scope)})
    assert response.status_code == 303
    assert response.headers["location"] == "/"
    return browser


async def a_program_with_nudges(
    system: System, org: str, program: str, *, pairs: int, recipients: Sequence[str]
) -> None:
    """Publish a program of the last days, with a nudge to each of these; the last of them was absent."""
    history, at = History(f"{org}-{program}"), await system.now() - timedelta(days=2)
    for number in range(pairs):
        pair = Pair(org, program, f"{org}-{program}-{number}", f"mentor-{number}", f"mentee-{number}")
        history.add(pair.started(), at)
        if pair.mentee_id in recipients:
            values: dict[str, Any] = {
                **pair.common,
                "nudge_id": f"{pair.mentorship_id}-n",
                "recipient_id": pair.mentee_id,
                "kind": "check_in_due",
                "period": "1",
                "at": at,
            }
            last = pair.mentee_id == recipients[-1]
            history.add(
                contract.NudgeSuppressed(**values, reason="absent") if last else contract.NudgeSent(**values),
                at,
            )
    await publish(system, list(history.events.values()))


class TestSigningIn:
    async def test_who_acts_as_somebody_sees_what_they_see_and_no_program(
        self, metrics: System, org: str
    ) -> None:
        await a_program_with_nudges(metrics, org, "program-1", pairs=5, recipients=())
        scope = f"{METRICS} onbelay:act_as"
        acting = metrics.client("metrics", sub="integration", org=org, scope=scope, act_as="mentor-1")
        page = await acting.get("/", params={"program_id": "program-1"})
        assert page.status_code == 200
        assert "Signed in as <b>mentor-1</b>" in page.text
        assert "mentor-1 &amp; mentee-1" in page.text
        assert "mentor-2" not in page.text
        assert (await acting.get(f"/mentorships/{org}-program-1-1")).status_code == 200
        assert (await acting.get(f"/mentorships/{org}-program-1-2")).status_code == 404
        assert (await acting.get("/explain?scope=programs&id=program-1&number=goals.met")).status_code == 403
        assert (await acting.get("/live")).status_code == 403

    async def test_who_may_act_as_nobody_or_names_none_is_told_so(self, metrics: System, org: str) -> None:
        for scope, person, status in ((METRICS, "mentor-1", 403), ("onbelay:act_as", "a b", 422)):
            acting = metrics.client("metrics", sub="hr", org=org, scope=scope, act_as=person)
            page = await acting.get("/")
            assert page.status_code == status
            assert page.headers["content-type"].startswith("text/html")
            assert (await acting.get("/live")).status_code == status

    async def test_a_stranger_sees_the_form_and_nothing_else(self, metrics: System) -> None:
        response = await metrics.anonymous("metrics").get("/")
        assert response.status_code == 200
        assert 'action="/sign-in"' in response.text
        assert '<label for="token">' in response.text

    async def test_the_cookie_is_kept_from_scripts_and_other_sites(self, metrics: System, org: str) -> None:
        browser = metrics.anonymous("metrics")
        response = await browser.post("/sign-in", data={"token": metrics.token("hr", org, METRICS)})
        cookie = response.headers["set-cookie"].lower()
        assert "httponly" in cookie
        assert "samesite=lax" in cookie
        assert "path=/" in cookie

    async def test_a_wrong_token_is_said_in_words(self, metrics: System) -> None:
        response = await metrics.anonymous("metrics").post("/sign-in", data={"token": "<b>no</b>"})
        assert response.status_code == 401
        assert 'role="alert"' in response.text
        assert "<b>no" not in response.text
        assert "set-cookie" not in response.headers

    async def test_a_form_of_another_site_signs_nobody_in_or_out(self, metrics: System, org: str) -> None:
        browser = metrics.anonymous("metrics")
        data = {"token": metrics.token("hr", org, METRICS)}
        for headers in ({"Sec-Fetch-Site": "cross-site"}, {"Origin": "https://evil.example"}):
            response = await browser.post("/sign-in", data=data, headers=headers)
            assert response.status_code == 403
            assert "set-cookie" not in response.headers
            assert (await browser.post("/sign-out", headers=headers)).status_code == 403

    async def test_signing_out_ends_the_session(self, metrics: System, org: str) -> None:
        browser = await signed_in(metrics, org)
        assert "Sign out" in (await browser.get("/")).text
        assert (await browser.post("/sign-out")).status_code == 303
        assert 'action="/sign-in"' in (await browser.get("/")).text

    async def test_an_expired_session_leads_back_to_the_form(self, metrics: System, org: str) -> None:
        token = metrics.token("hr", org, METRICS, ttl=-1)
        response = await metrics.anonymous("metrics").get("/", headers={"Cookie": f"onbelay={token}"})
        assert 'action="/sign-in"' in response.text

    async def test_a_token_that_may_see_no_program_shows_ones_own_mentorships(
        self, metrics: System, org: str
    ) -> None:
        browser = await signed_in(metrics, org, "onbelay:participate")
        response = await browser.get("/")
        assert response.status_code == 200
        assert "You take part in no mentorship yet" in response.text
        assert (await browser.get("/", params={"program_id": "program-1"})).status_code == 200
        explained = "/explain?scope=programs&id=program-1&number=goals.met"
        assert (await browser.get(explained)).status_code == 403
        assert (await browser.get("/live")).status_code == 403


class TestAProgramsPage:
    async def test_it_shows_the_numbers_that_the_api_answers(self, metrics: System, org: str) -> None:
        events, topics = a_big_history(org, 5, one_program=True)
        await publish(metrics, topics)
        program = events[0].data.program_id
        browser = await signed_in(metrics, org)
        page = await browser.get("/", params={"program_id": program, "granularity": "month", **WINDOW})
        assert page.status_code == 200
        asking = metrics.client("metrics", sub="hr", org=org, scope=METRICS)
        answer = (await asking.get(f"/v1/metrics/programs/{program}", params=WINDOW)).json()
        assert f"{answer['engaged']} of {answer['people']} people" in page.text
        decided = answer["goals"]["met"] + answer["goals"]["missed"]
        assert f"{answer['goals']['met']} of {decided} goals met in time" in page.text
        assert len(re.findall(r"<svg", page.text)) == 1

    async def test_numbers_over_few_people_are_withheld_in_words(self, metrics: System, org: str) -> None:
        events, topics = a_big_history(org, 5, one_program=True)
        await publish(metrics, topics)
        browser = await signed_in(metrics, org)
        params = {"program_id": events[0].data.program_id, "from": "2020-01-01", "to": "2020-02-01"}
        page = await browser.get("/", params=params)
        assert page.status_code == 200
        assert "over fewer than 5 people" in page.text

    async def test_nudges_are_withheld_where_the_programs_numbers_are(
        self, metrics: System, org: str
    ) -> None:
        await a_program_with_nudges(metrics, org, "program-1", pairs=2, recipients=("mentee-0", "mentee-1"))
        page = await (await signed_in(metrics, org, "onbelay:metrics")).get(
            "/", params={"program_id": "program-1"}
        )
        assert page.text.count(NOTICE) == 2
        assert "absent" not in page.text
        assert "Check-in due" not in page.text

    async def test_nudges_to_few_are_withheld_in_a_program_of_many(self, metrics: System, org: str) -> None:
        everyone = tuple(f"mentee-{number}" for number in range(5))
        await a_program_with_nudges(metrics, org, "program-1", pairs=5, recipients=everyone[:4])
        await a_program_with_nudges(metrics, org, "program-2", pairs=5, recipients=everyone)
        browser = await signed_in(metrics, org, "onbelay:metrics")
        few = (await browser.get("/", params={"program_id": "program-1"})).text
        many = (await browser.get("/", params={"program_id": "program-2"})).text
        assert few.count(NOTICE) == 1
        assert "absent" not in few
        assert NOTICE not in many
        assert "4 sent, 0 failed, 1 not sent (1 absent)" in many

    async def test_there_is_no_script_but_its_own_and_a_policy_that_forbids_any(
        self, metrics: System, org: str
    ) -> None:
        _, topics = a_big_history(org, 5)
        await publish(metrics, topics)
        browser = await signed_in(metrics, org)
        for path in ("/", "/?program_id=program-1", "/?program_id=unknown"):
            page = await browser.get(path)
            policy = page.headers["content-security-policy"]
            assert "default-src 'none'" in policy
            assert "script-src 'self';" in policy
            assert "frame-ancestors 'none'" in policy
            assert "unsafe" not in policy
            assert page.headers["cache-control"] == "no-store"
            assert not re.search(r"<script(?! src=\"/assets/)|style=|\son\w+=|javascript:", page.text)
            assert not re.search(r"(?:src|href)=\"(?:https?:)?//", page.text)

    async def test_what_is_asked_wrongly_is_said_in_words(self, metrics: System, org: str) -> None:
        _, topics = a_big_history(org, 5)
        await publish(metrics, topics)
        browser = await signed_in(metrics, org)
        for params, status in (
            ({"program_id": "program-1", "from": "yesterday"}, 422),
            ({"program_id": "program-1", "from": "2026-02-01", "to": "2026-01-01"}, 422),
            ({"program_id": "<script>"}, 422),
            ({"program_id": "unknown"}, 404),
        ):
            page = await browser.get("/", params=params)
            assert page.status_code == status
            assert page.headers["content-type"].startswith("text/html")
            assert "<script" not in page.text

    async def test_every_field_has_a_label_and_every_table_its_headers(
        self, metrics: System, org: str
    ) -> None:
        events, topics = a_big_history(org, 5, one_program=True)
        await publish(metrics, topics)
        browser = await signed_in(metrics, org)
        params = {"program_id": events[0].data.program_id, **WINDOW}
        text = (await browser.get("/", params=params)).text
        fields = re.findall(r'<(?:input|select|textarea) id="(\w+)"', text)
        assert fields
        for field in fields:
            assert f'<label for="{field}">' in text
        assert 'scope="col"' in text
        assert 'scope="row"' in text
        assert '<html lang="en">' in text
        assert "width=device-width" in text
