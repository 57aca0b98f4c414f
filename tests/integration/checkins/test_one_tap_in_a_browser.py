"""The one-tap form as a phone shows it: without script, by keyboard, and as accessible as axe can tell."""

from __future__ import annotations

import shutil
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest
from axe_playwright_python.async_playwright import Axe
from playwright.async_api import Browser, Page, async_playwright, expect

from shared.ids import uuid7
from tests.integration.checkins.test_one_tap import MILESTONES, link
from tests.integration.checkins.world import PATH, Pair

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
PHONE = {"width": 390, "height": 844}
NARROW = {"width": 320, "height": 568}

pytestmark = [
    pytest.mark.engines,
    pytest.mark.skipif(CHROMIUM is None, reason="there is no Chromium on this machine"),
]


@pytest.fixture(scope="module")
async def browser() -> AsyncIterator[Browser]:
    async with async_playwright() as playwright:
        started = await playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        yield started
        await started.close()


@asynccontextmanager
async def a_phone(browser: Browser, **context: Any) -> AsyncIterator[Page]:
    """A page of a fresh profile, in which nothing breaks the page's own policy."""
    opened = await browser.new_context(**{"viewport": PHONE, "java_script_enabled": False, **context})
    page = await opened.new_page()
    told: list[str] = []
    page.on("console", lambda message: told.append(message.text))
    yield page
    await opened.close()
    assert [each for each in told if "Content Security Policy" in each] == []


async def test_it_is_filled_in_and_sent_without_script(pair: Pair, browser: Browser) -> None:
    goal = await pair.set_goal(title="Give a talk on what you learned", measure=MILESTONES)
    async with a_phone(browser) as page:
        await page.goto(pair.system.urls["checkins"] + await link(pair, goal["goal_id"]))
        await page.get_by_label("Draft it").check()
        await page.get_by_role("radiogroup", name="How confident").get_by_label("8", exact=True).check()
        await page.get_by_role("radiogroup", name="still realistic").get_by_label("Yes").check()
        await page.get_by_label("Anything to add?").fill("Slides are next.")
        await page.get_by_role("button", name="Check in").click()
        await expect(page.get_by_text("Your check-in is logged")).to_be_visible()
        await expect(page.get_by_text("Slides are next.")).to_be_visible()
        await page.reload()
        await expect(page.get_by_text("Your check-in is logged")).to_be_visible()
    (logged,) = (await pair.as_("mentee").get(PATH, params={"goal_id": goal["goal_id"]})).json()["items"]
    assert logged["progress"] == {"milestones": ["Draft it"]}
    assert (logged["confidence"], logged["realistic"], logged["note"]) == (8, True, "Slides are next.")


async def test_the_keyboard_alone_is_enough(pair: Pair, browser: Browser) -> None:
    goal = await pair.set_goal()
    async with a_phone(browser) as page:
        await page.goto(pair.system.urls["checkins"] + await link(pair, goal["goal_id"]))
        await page.keyboard.press("Tab")
        await page.keyboard.type("5")
        await page.keyboard.press("Enter")
        await expect(page.get_by_text("Your check-in is logged")).to_be_visible()
    (logged,) = (await pair.as_("mentee").get(PATH, params={"goal_id": goal["goal_id"]})).json()["items"]
    assert logged["progress"] == {"value": 5}


async def test_nothing_is_wider_than_a_narrow_phone(pair: Pair, browser: Browser) -> None:
    goal = await pair.set_goal(title="W" * 200, measure={"kind": "milestones", "milestones": ["W" * 200]})
    async with a_phone(browser, viewport=NARROW, java_script_enabled=True) as page:
        await page.goto(pair.system.urls["checkins"] + await link(pair, goal["goal_id"]))
        assert await page.evaluate("document.documentElement.scrollWidth") <= NARROW["width"]


@pytest.mark.parametrize("colors", ["light", "dark"])
@pytest.mark.parametrize("measure", [{"kind": "number", "target": 7}, MILESTONES, {"kind": "done"}])
async def test_axe_finds_nothing_to_mend(
    pair: Pair, browser: Browser, measure: dict[str, Any], colors: str
) -> None:
    """In the form, the form with a mistake, and what was logged."""
    goal = await pair.set_goal(measure=measure)
    here = pair.system.urls["checkins"]
    path = await link(pair, goal["goal_id"])
    # The page's policy would keep axe out, which is the browser's affair and not the page's.
    async with a_phone(browser, java_script_enabled=True, bypass_csp=True, color_scheme=colors) as page:
        await page.goto(here + path)
        await finds_nothing(page)
        await page.locator("textarea").evaluate("field => field.removeAttribute('maxlength')")
        await page.get_by_label("Anything to add?").fill("x" * 4001)
        await page.get_by_role("button", name="Check in").click()
        await expect(page.get_by_text("At most 4000 characters.").first).to_be_visible()
        await finds_nothing(page)
        await page.get_by_label("Anything to add?").fill("So far so good.")
        await page.get_by_role("button", name="Check in").click()
        await expect(page.get_by_text("Your check-in is logged")).to_be_visible()
        await finds_nothing(page)


async def test_axe_finds_nothing_to_mend_where_a_link_does_not_work(pair: Pair, browser: Browser) -> None:
    async with a_phone(browser, java_script_enabled=True, bypass_csp=True) as page:
        await page.goto(f"{pair.system.urls['checkins']}{await link(pair, uuid7())}x")
        await expect(page.get_by_text("This link does not work")).to_be_visible()
        await finds_nothing(page)


async def finds_nothing(page: Page) -> None:
    found = await Axe().run(page)
    assert found.response["violations"] == [], found.generate_report()
