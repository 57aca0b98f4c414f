"""The dashboard in a real Chromium: what one sees, keyboard and screen reader, and what happens while one looks."""

from __future__ import annotations

import os
import shutil
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest
from axe_playwright_python.async_playwright import Axe
from playwright.async_api import Browser, BrowserContext, Page, async_playwright, expect

from tests.builders import Pair
from tests.integration.metrics.gallery import PROGRAM, gallery
from tests.integration.metrics.published import publish, records
from tests.support.system import System
from tests.unit.metrics.histories import History

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")

pytestmark = [
    pytest.mark.engines,
    pytest.mark.skipif(
        CHROMIUM is None, reason="no Chromium here: `apt-get install chromium` for these tests"
    ),
]

COORDINATOR = "onbelay:metrics onbelay:programs"


@pytest.fixture(scope="module")
async def browser() -> AsyncIterator[Browser]:
    """Chromium without a window."""
    async with async_playwright() as playwright:
        # As root, which it is in a container, Chromium has no sandbox.
        arguments = ["--no-sandbox"] if os.geteuid() == 0 else []
        started = await playwright.chromium.launch(executable_path=CHROMIUM, args=arguments)
        yield started
        await started.close()


@pytest.fixture(scope="module")
async def shown(metrics: System) -> tuple[str, History]:
    """An organization with the gallery's program."""
    org = "org-gallery"
    history = gallery(org, await metrics.now())
    await publish(metrics, list(history.events.values()))
    return org, history


@asynccontextmanager
async def opened(
    browser: Browser, metrics: System, path: str, token: str | None, **options: Any
) -> AsyncIterator[Page]:
    """A page in a context of its own, signed in with a token; nothing may be written to its console meanwhile."""
    context: BrowserContext = await browser.new_context(base_url=metrics.urls["metrics"], **options)
    page = await context.new_page()
    complaints: list[str] = []
    page.on("pageerror", lambda error: complaints.append(str(error)))
    page.on("console", lambda message: complaints.append(f"{message.text} {message.location}"))
    if token is not None:
        await page.goto("/")
        await page.get_by_label("Access token").fill(token)
        await page.get_by_role("button", name="Sign in").click()
    await page.goto(path)
    yield page
    await context.close()
    assert complaints == []


async def clean(page: Page) -> None:
    """axe-core finds nothing to complain about."""
    found = await Axe().run(page)
    assert found.violations_count == 0, found.generate_report()


PAGES = (
    "/",
    f"/?program_id={PROGRAM}&granularity=month",
    f"/explain?scope=programs&id={PROGRAM}&number=goals.met",
)


class TestPages:
    @pytest.mark.parametrize("scheme", ["light", "dark"])
    async def test_they_are_clean_to_a_screen_reader_and_fit_a_phone(
        self, browser: Browser, metrics: System, shown: tuple[str, History], scheme: str
    ) -> None:
        org, history = shown
        token = metrics.token("hr", org, COORDINATOR)
        mentorship = history.events["goals"][0].data.mentorship_id
        async with opened(
            browser, metrics, "/", None, color_scheme=scheme, viewport={"width": 390, "height": 800}
        ) as page:
            await clean(page)
            await page.context.add_cookies(
                [{"name": "onbelay", "value": token, "url": metrics.urls["metrics"]}],
            )
            for path in (*PAGES, f"/mentorships/{mentorship}"):
                await page.goto(path)
                await page.evaluate(
                    "for (const each of document.querySelectorAll('details')) each.open = true"
                )
                await clean(page)
                assert await page.evaluate("document.documentElement.scrollWidth <= innerWidth"), path

    async def test_a_program_is_read_from_the_top_by_keyboard_alone(
        self, browser: Browser, metrics: System, shown: tuple[str, History]
    ) -> None:
        async with opened(browser, metrics, "/", metrics.token("hr", shown[0], COORDINATOR)) as page:
            await expect(page.get_by_role("heading", level=1)).to_have_text(PROGRAM)
            await page.keyboard.press("Tab")
            skip = page.get_by_role("link", name="Skip to the content")
            await expect(skip).to_be_focused()
            await page.keyboard.press("Enter")
            summary = page.locator("summary", has_text="How it is counted").first
            await summary.focus()
            await page.keyboard.press("Enter")
            await expect(
                page.get_by_text("Goals met in time, of all goals met in time or missed")
            ).to_be_visible()
            await page.get_by_role("link", name="The events behind it").first.click()
            await expect(page.get_by_role("heading", level=1)).to_have_text(
                "The events behind follow_through"
            )

    async def test_without_script_all_but_the_live_part_is_there(
        self, browser: Browser, metrics: System, shown: tuple[str, History]
    ) -> None:
        token = metrics.token("hr", shown[0], COORDINATOR)
        async with opened(browser, metrics, "/", token, java_script_enabled=False) as page:
            for name in (
                "How the program keeps its word",
                "Follow-through over time",
                "By role",
                "Goals that may need help",
                "Check-ins by mentorship and week",
                "Nudges and their effect",
            ):
                await expect(page.get_by_role("heading", name=name)).to_be_visible()
            await expect(page.get_by_role("heading", name="Just now")).to_be_hidden()
            await page.get_by_role("button", name="Sign out").click()
            await expect(page.get_by_role("heading", level=1)).to_have_text("Sign in")

    async def test_a_goal_at_risk_leads_to_its_timeline(
        self, browser: Browser, metrics: System, shown: tuple[str, History]
    ) -> None:
        async with opened(browser, metrics, "/", metrics.token("hr", shown[0], COORDINATOR)) as page:
            link = page.locator("table.risks a").first
            title = await link.inner_text()
            await link.click()
            goal = page.locator(".goal:target")
            await expect(goal.get_by_role("heading", level=2)).to_have_text(title)
            await expect(goal.get_by_role("heading", name="What is next")).to_be_visible()
            await goal.locator("summary").click()
            await expect(goal.locator(".story li").first).to_contain_text("set, due")

    async def test_a_participant_sees_their_own_pair_and_no_other(
        self, browser: Browser, metrics: System, shown: tuple[str, History]
    ) -> None:
        org, history = shown
        pairs = [each.data for each in history.events["goals"] if each.type == "MentorshipStarted"]
        async with opened(browser, metrics, "/", metrics.token(pairs[0].mentee_id, org)) as page:
            await page.get_by_role("link", name=pairs[0].mentee_id).click()
            await expect(page.get_by_role("heading", level=1)).to_contain_text(pairs[0].mentor_id)
            answer = await page.request.get(f"/mentorships/{pairs[1].mentorship_id}")
            assert answer.status == 404


class TestLive:
    async def test_what_happens_is_told_while_one_looks_and_numbers_stay_until_asked(
        self, browser: Browser, metrics: System, shown: tuple[str, History]
    ) -> None:
        org, _ = shown
        async with opened(browser, metrics, "/", metrics.token("hr", org, COORDINATOR)) as page:
            before = (
                await page.locator(".tiles article", has_text="Open goals").locator(".value").inner_text()
            )
            pair, now = Pair(org, PROGRAM), await metrics.now()
            told = History(org)
            told.add(pair.started(), now)
            told.add(pair.goal_set(), now)
            item = page.locator("#live li", has_text="A goal was set")
            for _ in range(50):
                # Until the page listens, there is nobody to tell.
                await metrics.publish(records(metrics, told.all))
                if await item.count():
                    break
                await page.wait_for_timeout(100)
            await expect(item.first).to_be_visible()
            assert (
                await page.locator(".tiles article", has_text="Open goals").locator(".value").inner_text()
                == before
            )
            await metrics.folded()
            await page.get_by_role("link", name="Show the numbers as they are now").click()
            value = page.locator(".tiles article", has_text="Open goals").locator(".value")
            await expect(value).not_to_have_text(before)
