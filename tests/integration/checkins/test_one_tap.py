"""The one-tap form: what a person sees and sends who follows the link of a nudge."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, timedelta
from email import message_from_bytes, policy
from html.parser import HTMLParser
from typing import Any
from zoneinfo import ZoneInfo

import httpx
import pytest

from shared.ids import uuid7
from shared.links import CALENDAR, CHECK_IN, Link
from shared.time import parse_instant
from tests.integration.checkins.world import PATH, Pair, drop
from tests.support.polling import eventually
from tests.support.system import System

pytestmark = pytest.mark.engines

MILESTONES = {"kind": "milestones", "milestones": ["Draft it", 'Review & "polish"', "<b>Print</b>"]}
WEEK = timedelta(days=7)


async def link(pair: Pair, goal_id: str, person: str = "mentee", **changes: Any) -> str:
    """The path that a nudge links to."""
    values = {"purpose": CHECK_IN, "expires": await pair.system.now() + WEEK, **changes}
    return f"/c/{pair.system.links.token(Link(org_id=pair.org, person_id=person, goal_id=goal_id, **values))}"


def phone(pair: Pair) -> httpx.AsyncClient:
    """Whoever holds the link: nobody has signed in."""
    return pair.system.anonymous("checkins")


@dataclass
class Page(HTMLParser):
    """What a page has: its words, its fields by name, and what it would load."""

    fields: dict[str, list[dict[str, str | None]]] = field(default_factory=dict)
    tags: list[tuple[str, dict[str, str | None]]] = field(default_factory=list)
    words: str = ""

    def __post_init__(self) -> None:
        super().__init__()

    @classmethod
    def of(cls, answer: httpx.Response, status: int = 200) -> Page:
        """The page of an answer, with what holds for every page checked."""
        assert answer.status_code == status, answer.text
        assert answer.headers["content-type"] == "text/html; charset=utf-8"
        policy = answer.headers["content-security-policy"]
        assert "default-src 'none'" in policy
        assert "form-action 'self'" in policy
        assert "frame-ancestors 'none'" in policy
        assert "unsafe" not in policy
        assert "script-src" not in policy
        assert answer.headers["referrer-policy"] == "no-referrer"
        assert answer.headers["cache-control"] == "no-store"
        assert answer.headers["x-content-type-options"] == "nosniff"
        page = cls()
        page.feed(answer.text)
        page.words = " ".join(page.words.split())
        names = {tag for tag, _ in page.tags}
        assert not names & {"script", "link", "img", "iframe", "object"}
        assert not any(name.startswith("on") for _, attributes in page.tags for name in attributes)
        assert dict(page.tags)["html"]["lang"]
        assert "width=device-width" in str(dict(page.the("meta")))
        return page

    def the(self, tag: str) -> Iterator[tuple[str, dict[str, str | None]]]:
        return ((str(number), each) for number, (name, each) in enumerate(self.tags) if name == tag)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        attributes = dict(attrs)
        self.tags.append((tag, attributes))
        if attributes.get("name") and tag in ("input", "textarea", "select"):
            self.fields.setdefault(str(attributes["name"]), []).append(attributes)

    def handle_data(self, data: str) -> None:
        self.words += data + " "

    def options(self, name: str) -> list[str | None]:
        return [each.get("value") for each in self.fields[name]]

    def chosen(self, name: str) -> list[str | None]:
        return [each.get("value") for each in self.fields[name] if "checked" in each]


async def check_ins(pair: Pair, goal_id: str) -> list[dict[str, Any]]:
    found = await pair.as_("mentee").get(PATH, params={"goal_id": goal_id})
    return list(found.json()["items"])


class TestForm:
    async def test_it_asks_what_the_contract_names_with_the_goals_measure(self, pair: Pair) -> None:
        measures = {
            "value": {"kind": "number", "target": 7, "unit": "papers"},
            "milestones": MILESTONES,
            "done": {"kind": "done"},
        }
        for name, measure in measures.items():
            goal = await pair.set_goal(title="Read & <b>learn</b>", measure=measure)
            page = Page.of(await phone(pair).get(await link(pair, goal["goal_id"])))
            assert page.fields.keys() == {name, "confidence", "realistic", "attainable", "note"}
            assert "Read & <b>learn</b>" in page.words
        page = Page.of(
            await phone(pair).get(
                await link(pair, (await pair.set_goal(measure=measures["value"]))["goal_id"])
            )
        )
        assert "From 0 to 7 papers." in page.words

    async def test_it_speaks_to_the_owner_and_to_the_counterpart_as_such(self, pair: Pair) -> None:
        goal_id = (await pair.set_goal())["goal_id"]
        mine, theirs = await link(pair, goal_id), await link(pair, goal_id, "mentor")
        assert "on your goal" in Page.of(await phone(pair).get(mine)).words
        assert "on a goal that you accompany" in Page.of(await phone(pair).get(theirs)).words
        assert (
            "on a goal that you accompany"
            in Page.of(await phone(pair).post(theirs, data={"value": "x"}), 422).words
        )

    async def test_it_shows_where_the_goal_stands(self, pair: Pair) -> None:
        goal = await pair.set_goal()
        await pair.logs(goal_id=goal["goal_id"], progress={"value": 2.5})
        assert "Last reported: 2.5" in Page.of(await phone(pair).get(await link(pair, goal["goal_id"]))).words
        steps = await pair.set_goal(measure=MILESTONES)
        await pair.logs(goal_id=steps["goal_id"], progress={"milestones": ["Draft it"]})
        page = Page.of(await phone(pair).get(await link(pair, steps["goal_id"])))
        assert page.options("milestones") == MILESTONES["milestones"]
        assert page.chosen("milestones") == ["Draft it"]

    async def test_to_look_at_it_changes_nothing_however_often(self, pair: Pair) -> None:
        goal = await pair.set_goal()
        path = await link(pair, goal["goal_id"])
        for _ in range(3):
            Page.of(await phone(pair).get(path))
            scanned = await phone(pair).head(path)
            assert (scanned.status_code, scanned.content) == (200, b"")
        assert await check_ins(pair, goal["goal_id"]) == []
        assert (await phone(pair).put(path)).status_code == 405
        assert (await phone(pair).delete(path)).status_code == 405


class TestSent:
    @pytest.mark.parametrize(
        ("measure", "sent", "progress"),
        [
            ({"kind": "number", "target": 7}, {"value": " 3,5 "}, {"value": 3.5}),
            (
                MILESTONES,
                {"milestones": ["<b>Print</b>", "Draft it"]},
                {"milestones": ["Draft it", "<b>Print</b>"]},
            ),
            ({"kind": "done"}, {"done": "true"}, {"done": True}),
            ({"kind": "done"}, {"done": "false"}, {"done": False}),
        ],
    )
    async def test_what_was_filled_in_is_a_check_in_of_that_person(
        self, pair: Pair, measure: dict[str, Any], sent: dict[str, Any], progress: dict[str, Any]
    ) -> None:
        goal = await pair.set_goal(measure=measure)
        more = {"confidence": "8", "realistic": "true", "attainable": "false", "note": "So far\r\nso good"}
        page = Page.of(
            await phone(pair).post(await link(pair, goal["goal_id"], "mentor"), data={**sent, **more})
        )
        assert "8 of 10" in page.words
        (logged,) = await check_ins(pair, goal["goal_id"])
        assert (logged["author_id"], logged["author_role"]) == ("mentor", "mentor")
        assert logged["progress"] == progress
        assert (logged["confidence"], logged["realistic"], logged["attainable"]) == (8, True, False)
        assert logged["note"] == "So far\nso good"

    async def test_nothing_has_to_be_filled_in_and_every_encoding_of_forms_is_read(self, pair: Pair) -> None:
        goal = await pair.set_goal()
        Page.of(await phone(pair).post(await link(pair, goal["goal_id"])))
        blank = {"value": "", "confidence": "", "realistic": "", "note": " "}
        multipart = {name: (None, value) for name, value in {**blank, "confidence": "7"}.items()}
        other = await pair.set_goal()
        Page.of(await phone(pair).post(await link(pair, other["goal_id"]), files=multipart))
        assert len(await check_ins(pair, goal["goal_id"])) == 1
        (logged,) = await check_ins(pair, other["goal_id"])
        assert logged["confidence"] == 7
        assert not logged.keys() & {"progress", "realistic", "attainable", "note"}

    async def test_it_is_told_and_meets_the_goal_as_any_check_in(self, pair: Pair) -> None:
        goal = await pair.set_goal(measure={"kind": "done"})
        await phone(pair).post(await link(pair, goal["goal_id"]), data={"done": "true"})

        async def met() -> bool:
            return bool((await pair.state_of(goal["goal_id"]))["state"] == "met")

        await eventually(met, every=0.2)

    async def test_the_second_time_shows_what_the_first_did(self, pair: Pair) -> None:
        goal = await pair.set_goal()
        path = await link(pair, goal["goal_id"])
        first = await phone(pair).post(path, data={"value": "3", "note": "the first"})
        again = await phone(pair).post(path, data={"value": "5", "note": "the second"})
        shown = await phone(pair).get(path)
        assert first.text == again.text == shown.text
        assert "the first" in Page.of(again).words
        assert [each["note"] for each in await check_ins(pair, goal["goal_id"])] == ["the first"]

    async def test_of_many_at_the_same_time_one_is_logged(self, pair: Pair) -> None:
        goal = await pair.set_goal()
        path = await link(pair, goal["goal_id"])
        answers = await asyncio.gather(
            *(phone(pair).post(path, data={"note": f"number {number}"}) for number in range(8))
        )
        assert {answer.status_code for answer in answers} == {200}
        assert len({answer.text for answer in answers}) == 1
        assert len(await check_ins(pair, goal["goal_id"])) == 1

    async def test_it_is_shown_also_after_the_goal_was_dropped(self, pair: Pair) -> None:
        goal = await pair.set_goal()
        path = await link(pair, goal["goal_id"])
        await phone(pair).post(path, data={"note": "before"})
        await drop(pair, goal["goal_id"])
        assert "before" in Page.of(await phone(pair).get(path)).words
        assert "before" in Page.of(await phone(pair).post(path)).words


class TestMistakes:
    @pytest.mark.parametrize(
        ("sent", "name"),
        [
            ({"value": "many"}, "value"),
            ({"value": "1,234"}, "value"),
            ({"value": "9" * 400}, "value"),
            ({"done": "true"}, "value"),
            ({"confidence": "11"}, "confidence"),
            ({"realistic": "perhaps"}, "realistic"),
            ({"attainable": "perhaps"}, "attainable"),
            ({"note": "x" * 4001}, "note"),
        ],
    )
    async def test_a_mistake_is_told_beside_the_field_and_what_was_filled_in_stays(
        self, pair: Pair, sent: dict[str, str], name: str
    ) -> None:
        goal = await pair.set_goal()
        path = await link(pair, goal["goal_id"])
        filled = {"value": "3", "confidence": "4", "note": "keep <this> & that", **sent}
        if "done" in sent:
            del filled["value"]
        answer = await phone(pair).post(path, data=filled)
        page = Page.of(answer, 422)
        ids = {each["id"]: each for _, each in page.tags if "id" in each}
        about = ids[name]
        assert f"{name}-wrong" in str(about["aria-describedby"]).split()
        assert about["aria-invalid"] == "true"
        assert f"{name}-wrong" in ids
        assert any(each.get("href") == f"#{name}" for tag, each in page.tags if tag == "a")
        if name != "note":
            assert "keep <this> & that" in page.words
        if name != "confidence":
            assert page.chosen("confidence") == ["4"]
        assert await check_ins(pair, goal["goal_id"]) == []
        Page.of(await phone(pair).post(path, data={"value": "3"}))
        assert len(await check_ins(pair, goal["goal_id"])) == 1

    async def test_a_milestone_that_the_goal_no_longer_has_is_told_beside_them(self, pair: Pair) -> None:
        goal = await pair.set_goal(measure=MILESTONES)
        path = await link(pair, goal["goal_id"])
        page = Page.of(await phone(pair).post(path, data={"milestones": ["Draft it", "Bind it"]}), 422)
        assert any(each.get("id") == "milestones-wrong" for _, each in page.tags)
        assert page.chosen("milestones") == ["Draft it"]

    async def test_what_is_no_form_is_refused_in_words(self, pair: Pair) -> None:
        goal = await pair.set_goal()
        path = await link(pair, goal["goal_id"])
        Page.of(await phone(pair).post(path, json={"value": 3}), 415)
        broken = {"Content-Type": "multipart/form-data"}
        Page.of(await phone(pair).post(path, content=b"--x", headers=broken), 415)
        bounded = {"Content-Type": "multipart/form-data; boundary=x"}
        Page.of(await phone(pair).post(path, content=b"--x\r\ngarbage", headers=bounded), 415)
        assert await check_ins(pair, goal["goal_id"]) == []


class TestLanguages:
    async def test_who_reads_german_is_asked_and_understood_in_german(self, pair: Pair) -> None:
        goal = await pair.set_goal(
            measure={"kind": "number", "target": 1500, "baseline": 0.5, "unit": "Euro"}
        )
        await pair.logs(goal_id=goal["goal_id"], progress={"value": 2.5})
        german = phone(pair)
        german.headers["accept-language"] = "fr, de-AT;q=0.9, en;q=0.5"
        path = await link(pair, goal["goal_id"])
        answer = await german.get(path)
        page = Page.of(answer)
        assert dict(page.tags)["html"]["lang"] == answer.headers["content-language"] == "de"
        assert "accept-language" in answer.headers["vary"].lower()
        assert "Von 0,5 bis 1500 Euro. Zuletzt gemeldet: 2,5." in page.words
        assert "auf zwei Arten lesen" in Page.of(await german.post(path, data={"value": "1.234"}), 422).words
        page = Page.of(await german.post(path, data={"value": "1,234", "realistic": "true"}))
        assert "Dein Check-in ist eingetragen" in page.words
        assert "1,234" in page.words
        assert (await check_ins(pair, goal["goal_id"]))[0]["progress"] == {"value": 1.234}
        assert "Dieser Link funktioniert nicht" in Page.of(await german.get("/c/x"), 404).words

    async def test_whoever_else_in_english(self, pair: Pair) -> None:
        for accepted in ("", "fr", "*", "de;q=0", "en, de;q=0.9"):
            answer = await phone(pair).get("/c/x", headers={"Accept-Language": accepted})
            assert "This link does not work" in Page.of(answer, 404).words


class TestLinks:
    async def test_a_wrong_one_is_not_found_and_says_so_in_words(self, pair: Pair) -> None:
        goal_id = (await pair.set_goal())["goal_id"]
        right = await link(pair, goal_id)
        payload, signature = right.removeprefix("/c/").split(".")
        forged = await link(pair, (await pair.set_goal())["goal_id"])
        wrong = [
            "/c/x",
            right + "A",
            f"/c/{payload}",
            f"/c/{payload}.",
            f"/c/{forged.removeprefix('/c/').split('.')[0]}.{signature}",
            "/c/" + "x" * 2000,
            await link(pair, goal_id, purpose=CALENDAR),
            await link(pair, uuid7()),
            await link(pair, goal_id, "leader"),
            await link(pair, goal_id, "stranger"),
            await link(Pair(pair.system, org="elsewhere"), goal_id),
        ]
        gets = await asyncio.gather(*(phone(pair).get(path) for path in wrong))
        posts = await asyncio.gather(*(phone(pair).post(path, data={"value": "1"}) for path in wrong))
        for answer in (*gets, *posts):
            assert "This link does not work" in Page.of(answer, 404).words
        assert await check_ins(pair, goal_id) == []

    async def test_an_old_one_is_gone_and_says_what_to_do(self, pair: Pair) -> None:
        goal_id = (await pair.set_goal())["goal_id"]
        path = await link(pair, goal_id)
        await pair.system.move(WEEK - timedelta(minutes=1))
        Page.of(await phone(pair).get(path))
        await pair.system.move(timedelta(minutes=1))
        page = Page.of(await phone(pair).get(path), 410)
        assert "This link has expired" in page.words
        assert "A newer message brings a newer link." in page.words
        Page.of(await phone(pair).post(path, data={"value": "1"}), 410)
        assert await check_ins(pair, goal_id) == []

    async def test_a_goal_that_takes_no_check_in_says_why(self, pair: Pair) -> None:
        goal_id = (await pair.set_goal())["goal_id"]
        path = await link(pair, goal_id)
        await drop(pair, goal_id)
        for answer in (await phone(pair).get(path), await phone(pair).post(path, data={"value": "1"})):
            assert "This goal is dropped" in Page.of(answer, 409).words

    async def test_the_nudge_brings_one_that_works(self, system: System) -> None:
        pair = await Pair(system).begin()
        recipients = system.client("notifier", sub="hr", org=pair.org, scope="onbelay:recipients")
        address = f"{uuid7()}@example.org"
        put = await recipients.put(
            "/v1/recipients/mentee",
            json={
                "time_zone": pair.time_zone,
                "channels": [{"kind": "email", "address": address}],
                "workdays": ["mon", "tue", "wed", "thu", "fri", "sat", "sun"],
            },
        )
        assert put.is_success, put.text
        goal = await pair.set_goal(check_in_every_days=3)
        await system.folded()
        # The morning of the day by whose end a check-in is expected.
        set_at = parse_instant(goal["set_at"]).astimezone(ZoneInfo(pair.time_zone))
        await system.move(
            (set_at + timedelta(days=3)).replace(hour=9, minute=30, second=0, microsecond=0).astimezone(UTC)
        )

        def mailed() -> list[str]:
            mails = [
                message_from_bytes(path.read_bytes(), policy=policy.default)
                for path in system.maildir.rglob("*")
                if path.is_file()
            ]
            texts = [mail.get_body(("plain",)) for mail in mails if mail["To"] == address]
            return [path for text in texts if text for path in re.findall(r"/c/[\w.-]+", text.get_content())]

        paths = await eventually(mailed, seconds=30, every=0.25)
        Page.of(await phone(pair).post(paths[0], data={"value": "2"}))
        (logged,) = await check_ins(pair, goal["goal_id"])
        assert logged["progress"] == {"value": 2}
