"""A message as it lies in the mailbox, and the links by which its reader gets quiet."""

from __future__ import annotations

import email.utils
import re

import pytest

from tests.integration.notifier.world import AT_ANY_HOUR, DAY, MONDAY, Office, html_of, link, text_of
from tests.support.polling import eventually
from tests.support.system import System

pytestmark = [pytest.mark.engines, pytest.mark.timeout(180)]
ONE_CLICK = {"List-Unsubscribe": "One-Click"}


@pytest.fixture
async def office(system: System) -> Office:
    """mia has met a goal, of which mor has been told."""
    made = Office(system)
    await made.next_(MONDAY)
    await made.provide("mor", display_name="Mor & Söhne", daily_budget=20, **AT_ANY_HOUR)
    await made.provide("mia", display_name="Mia")
    pair = await made.pair("mor", "mia")
    goal_id = await pair.sets("mia", title="Read <seven> papers")
    await system.folded()
    await pair.checks_in(goal_id, by="mia")
    await made.entry("mor", "goal_met")
    return made


class TestAMessage:
    async def test_is_text_and_html_with_the_headers_that_mail_programs_go_by(self, office: Office) -> None:
        mail = await office.mail("mor", "Met: Read <seven> papers")
        entry = await office.entry("mor", "goal_met")
        assert (entry["message_id"], entry["channel"]) == (mail["Message-ID"], "email")
        assert email.utils.parseaddr(mail["To"]) == ("Mor & Söhne", office.address("mor"))
        assert mail["Auto-Submitted"] == "auto-generated"
        assert [part.get_content_type() for part in mail.iter_parts()] == ["text/plain", "text/html"]
        for words in ("Met: Read <seven> papers", "Mia has met this goal."):
            assert words in text_of(mail)
        assert "Read &lt;seven&gt; papers" in html_of(mail), "not escaped"
        assert "<seven>" not in html_of(mail)
        assert mail["List-Unsubscribe-Post"] == "List-Unsubscribe=One-Click"
        assert re.fullmatch(r"<https?://[^>]+/quiet/[^>]+>", mail["List-Unsubscribe"])
        assert (await office.system.now()) - mail["Date"].datetime < DAY


class TestQuiet:
    async def test_is_given_by_the_page_behind_the_mail_s_link(self, office: Office) -> None:
        path = link(await office.mail("mor"), "/quiet/")
        anybody = office.system.anonymous("notifier")
        page = await anybody.get(path)
        assert page.status_code == 200
        assert "<script" not in page.text
        assert (await office.as_("mor").get("/v1/recipients/mor")).json()["snoozes"] == [], (
            "a GET has changed it"
        )
        done = await anybody.post(path, data={"action": "week"})
        assert done.status_code == 200
        snoozes = (await office.as_("mor").get("/v1/recipients/mor")).json()["snoozes"]
        assert len(snoozes) == 1
        back = await anybody.post(path, data={"action": "again"})
        assert back.status_code == 200
        assert (await office.as_("mor").get("/v1/recipients/mor")).json()["snoozes"] == []

    async def test_is_given_about_one_goal_where_more_would_come(self, office: Office) -> None:
        monday = await office.system.now()
        pair = await office.pair("mor", "mia")
        due = {"date": (monday + 2 * DAY).date().isoformat(), "time_zone": "UTC"}
        goal_id = await pair.sets("mor", title="Write a plan", deadline=due, check_in_every_days=1)
        await office.system.folded()
        await office.system.move((monday + DAY).replace(hour=9))
        mail = await office.mail("mor", "A check-in is due: Write a plan")
        path = link(mail, "/quiet/")
        assert path not in mail["List-Unsubscribe"], "that one is about everything"
        page = await office.system.anonymous("notifier").get(path)
        assert "Write a plan" in page.text
        done = await office.system.anonymous("notifier").post(path, data={"action": "goal"})
        assert done.status_code == 200
        (snooze,) = (await office.as_("mor").get("/v1/recipients/mor")).json()["snoozes"]
        assert snooze["goal_id"] == goal_id

    async def test_is_given_for_good_by_a_mail_program_s_one_click(self, office: Office) -> None:
        mail = await office.mail("mor")
        path = re.sub(r"^<https?://[^/]+|>$", "", mail["List-Unsubscribe"])
        answer = await office.system.anonymous("notifier").post(path, data=ONE_CLICK)
        assert answer.status_code == 200
        assert (await office.as_("mor").get("/v1/recipients/mor")).json()["daily_budget"] == 0

    async def test_is_not_given_by_what_is_no_link_of_ours(self, office: Office) -> None:
        path = link(await office.mail("mor"), "/quiet/")
        anybody = office.system.anonymous("notifier")
        assert (await anybody.get(path + "x")).status_code == 404
        assert (await anybody.post("/quiet/abc.def", data=ONE_CLICK)).status_code == 404
        assert (await anybody.post(path, data={"action": "explode"})).status_code == 422


class TestARequestForHelp:
    async def test_reaches_the_chosen_one_alone_even_at_night_if_they_want_it(self, office: Office) -> None:
        monday = await office.next_(MONDAY, "22:00")
        await office.provide("cora", help_any_time=True, daily_budget=0)
        await office.provide("mia")
        pair = await office.pair("mor", "mia", coordinator_id="cora")
        goal_id = await pair.sets("mia")
        await office.system.folded()
        secret = "She said a word that nobody else may read"
        asked = await pair.as_("mia", "checkins").post(
            "/v1/checkins",
            json={
                "mentorship_id": pair.mentorship_id,
                "goal_id": goal_id,
                "sensitive": True,
                "note": secret,
                "help": {"text": secret, "route_to": "cora"},
            },
        )
        assert asked.status_code == 201, asked.text
        mail = await office.mail("cora", "asks for your help")
        assert secret not in text_of(mail) + html_of(mail)

        # Her ledger has it; nobody else's has, not even that of who runs the program, nor who acts for her.
        asked_for = asked.json()["checkin_id"]

        async def hers() -> bool:
            return [made["period"] for made in await office.entries(office.as_("cora"))] == [asked_for]

        await eventually(hers, seconds=20)
        acting = office.system.client(
            "notifier", sub="app", org=office.org, scope="onbelay:act_as", act_as="cora"
        )
        others = (office.hr(), office.as_("mor"), office.as_("mia"), acting)
        for client in others:
            assert asked_for not in {made["period"] for made in await office.entries(client)}
        await office.system.folded()
        for topic in ("nudges", "checkins"):
            assert not [e for e in await office.system.events(topic, office.org) if asked_for in str(e)]

        # What is held back for it from mia is told to others without its reason.
        deadline = {"date": (monday + 3 * DAY).date().isoformat(), "time_zone": "UTC"}
        changed = await pair.revises(goal_id, by="mia", deadline=deadline)
        assert changed.status_code == 200, changed.text
        await office.system.folded()
        await office.system.move((monday + DAY).replace(hour=9))
        held_back = await office.entry("mia", "goal_due_soon", goal_id=goal_id, period="2")
        assert held_back["reason"] == "superseded"
        assert "help" not in str(held_back)
        mine = await office.entries(office.as_("mia"), goal_id=goal_id)
        told = next(made for made in mine if made["nudge_id"] == held_back["nudge_id"])
        assert told["because"]["by"] == "help_requested"

    async def test_that_moves_a_check_in_is_told_in_the_ledger_to_who_made_it_alone(
        self, office: Office
    ) -> None:
        monday = await office.next_(MONDAY, "10:00")
        await office.provide("mor", "mia", "cora", **AT_ANY_HOUR)
        pair = await office.pair("mor", "mia", coordinator_id="cora")
        about = {author: await pair.sets("mia", check_in_every_days=3) for author in ("mor", "mia")}
        await office.system.move(monday + DAY)
        for author, goal_id in about.items():
            asked = await pair.as_(author, "checkins").post(
                "/v1/checkins",
                json={"mentorship_id": pair.mentorship_id, "goal_id": goal_id, "sensitive": True},
            )
            assert asked.status_code == 201, asked.text
        await office.system.folded()
        await office.system.move((monday + 4 * DAY).replace(hour=9))
        friday = (monday + 4 * DAY).date().isoformat()
        for goal_id in about.values():
            await office.entry("mia", "check_in_due", goal_id=goal_id, period=friday)

        acting = office.system.client(
            "notifier", sub="app", org=office.org, scope="onbelay:act_as", act_as="mia"
        )
        for client in (office.hr(), acting):
            entries = await office.entries(client, goal_id=about["mia"])
            assert friday in {made["period"] for made in entries}
            assert "HelpRequested" not in str(entries)
        hers = {
            made["goal_id"]: made["because"].get("event")
            for made in await office.entries(office.as_("mia"))
            if (made["kind"], made["period"]) == ("check_in_due", friday)
        }
        assert hers == {about["mia"]: "HelpRequested", about["mor"]: None}
