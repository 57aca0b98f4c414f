"""The notifier's mail in a real Mailpit: what arrives, as a program reads it that we did not write.

Skipped where there is no Docker.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Any

import httpx
import pytest

from deploy.local.ports import HOST, pick
from services.notifier.domain.person import Channel, Recipient
from services.notifier.mail import Mailer
from services.notifier.settings import Settings
from tests.builders import NOW
from tests.support.containers import running
from tests.support.polling import eventually, only
from tests.unit.notifier.test_languages import message

IMAGE = "axllent/mailpit:v1.27"
JOERG = Channel(kind="email", address="joerg@example.com")
RECIPIENT = Recipient(
    time_zone="Europe/Berlin", language="de", display_name="Jörg Müller", channels=(JOERG,), put_at=NOW
)
MESSAGE = message("goal_due_soon", "de", name="Jörg Müller")


@dataclass
class Mailpit:
    """What came in, by Mailpit's API; `mailer` sends to it."""

    api: httpx.AsyncClient
    mailer: Mailer

    async def send(self, message_id: str) -> None:
        """The message, under that Message-ID."""
        await self.mailer.send(RECIPIENT, JOERG, MESSAGE, message_id, NOW)

    async def ready(self) -> bool:
        try:
            return (await self.api.get("/readyz")).is_success
        except httpx.TransportError:
            return False

    async def found(self, message_id: str) -> list[dict[str, Any]]:
        """The summaries of what has that Message-ID."""
        listed = (await self._get("messages")).json()["messages"]
        return [mail for mail in listed if mail["MessageID"] == message_id.strip("<>")]

    async def about(self, message_id: str, what: str = "") -> Any:
        """The only one of them, or what Mailpit tells of it: `headers`, `html-check`; text, if `raw`."""
        response = await self._get(f"message/{only(await self.found(message_id))['ID']}/{what}".rstrip("/"))
        return response.text if what == "raw" else response.json()

    async def _get(self, path: str) -> httpx.Response:
        return (await self.api.get(f"/api/v1/{path}")).raise_for_status()


@pytest.fixture(scope="module")
async def mailpit() -> AsyncIterator[Mailpit]:
    smtp_port, api_port = pick(2)
    mailer = Mailer(
        Settings(notifier_smtp_port=smtp_port, notifier_mail_from="Onbelay <no-reply@onbelay.example>"),
        timeout_s=5,
    )
    async with (
        running(IMAGE, {1025: smtp_port, 8025: api_port}),
        httpx.AsyncClient(base_url=f"http://{HOST}:{api_port}") as api,
    ):
        found = Mailpit(api, mailer)
        await eventually(found.ready, 30)
        await found.send("<once@onbelay.example>")
        yield found
        await mailer.close()


class TestAMail:
    async def test_arrives_as_text_and_as_html(self, mailpit: Mailpit) -> None:
        mail = await mailpit.about("<once@onbelay.example>")
        assert mail["Text"].splitlines() == MESSAGE.text.splitlines()
        assert mail["HTML"].splitlines() == MESSAGE.html.splitlines()
        assert mail["Attachments"] == mail["Inline"] == []

    async def test_keeps_its_umlauts(self, mailpit: Mailpit) -> None:
        mail = await mailpit.about("<once@onbelay.example>")
        assert "fällig" in MESSAGE.subject
        assert mail["Subject"] == MESSAGE.subject
        assert mail["To"] == [{"Name": "Jörg Müller", "Address": "joerg@example.com"}]
        assert mail["From"] == {"Name": "Onbelay", "Address": "no-reply@onbelay.example"}

    async def test_tells_by_its_headers_what_it_is(self, mailpit: Mailpit) -> None:
        headers = await mailpit.about("<once@onbelay.example>", "headers")
        assert headers["Message-Id"] == ["<once@onbelay.example>"]
        assert headers["Auto-Submitted"] == ["auto-generated"]
        assert headers["Content-Language"] == ["de"]

    async def test_can_be_unsubscribed_from_by_one_click(self, mailpit: Mailpit) -> None:
        line = f"List-Unsubscribe: <{MESSAGE.quiet_url}>"
        assert line.startswith("List-Unsubscribe: <https://")
        assert line in (await mailpit.about("<once@onbelay.example>", "raw")).splitlines()
        mail = await mailpit.about("<once@onbelay.example>")
        assert mail["ListUnsubscribe"] == {
            "Header": f"<{MESSAGE.quiet_url}>",
            "Links": [MESSAGE.quiet_url],
            "Errors": "",
            "HeaderPost": "List-Unsubscribe=One-Click",
        }

    async def test_uses_nothing_that_most_mail_programs_do_not_know(self, mailpit: Mailpit) -> None:
        checked = await mailpit.about("<once@onbelay.example>", "html-check")
        unknown = {found["Title"]: found["Score"]["Unsupported"] for found in checked["Warnings"]}
        assert "<style> element" in unknown, "what some do not know is found"
        assert {title: percent for title, percent in unknown.items() if percent > 50} == {}

    async def test_that_is_sent_again_is_known_by_its_message_id(self, mailpit: Mailpit) -> None:
        for _ in range(2):
            await mailpit.send("<twice@onbelay.example>")
        first, second = await mailpit.found("<twice@onbelay.example>")
        assert first["ID"] != second["ID"]
        assert first["Subject"] == second["Subject"] == MESSAGE.subject
