"""An organization with a receiver, and what an integration does with it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any
from uuid import uuid4

import httpx

from tests.support.polling import eventually
from tests.support.receiver import Receiver, Request
from tests.support.system import System

STARTED = "onbelay.MentorshipStarted.v1"
PAUSED = "onbelay.MentorshipPaused.v1"


@dataclass
class World:
    """One organization on a running system, whose webhooks lead to `receiver`."""

    system: System
    receiver: Receiver
    org: str

    @property
    def admin(self) -> httpx.AsyncClient:
        """Who manages webhooks."""
        return self.system.client("notifier", sub="ops", org=self.org, scope="onbelay:webhooks")

    @property
    def hr(self) -> httpx.AsyncClient:
        """Who runs mentorships."""
        return self.system.client("goals", sub="hr", org=self.org, scope="onbelay:programs")

    async def hook(self, path: str = "/hook", *types: str, **more: Any) -> dict[str, Any]:
        """A new webhook that leads to a path of the receiver."""
        body = {"url": self.receiver.url + path, "event_types": list(types or [STARTED]), **more}
        made = await self.admin.post("/v1/webhooks", json=body)
        assert made.status_code == 201, made.text
        return {**made.json(), "etag": made.headers["etag"]}

    async def start(self, **more: Any) -> str:
        """Start a mentorship; its id."""
        body = {
            "program_id": "rising",
            "mentor_id": f"grace-{uuid4().hex[:6]}",
            "mentee_id": f"ada-{uuid4().hex[:6]}",
            "time_zone": "Europe/Berlin",
            **more,
        }
        made = await self.hr.post("/v1/mentorships", json=body)
        assert made.status_code == 201, made.text
        return str(made.json()["mentorship_id"])

    async def came(self, number: int, path: str = "/hook", seconds: float = 15) -> list[Request]:
        """The first requests to a path, once there are so many."""
        await eventually(lambda: len(self.receiver.to(path)) >= number, seconds=seconds)
        return self.receiver.to(path)[:number]

    async def deliveries(self, hook: dict[str, Any], **filters: Any) -> list[dict[str, Any]]:
        """The log of a webhook, newest first."""
        answer = await self.admin.get(f"/v1/webhooks/{hook['webhook_id']}/deliveries", params=filters)
        assert answer.status_code == 200, answer.text
        return list(answer.json()["items"])

    async def shown(self, hook: dict[str, Any]) -> dict[str, Any]:
        """A webhook as it is now."""
        answer = await self.admin.get(f"/v1/webhooks/{hook['webhook_id']}")
        assert answer.status_code == 200, answer.text
        return {**answer.json(), "etag": answer.headers["etag"]}

    async def patch(self, hook: dict[str, Any], **changes: Any) -> httpx.Response:
        """Change a webhook as it is now."""
        etag = (await self.shown(hook))["etag"]
        return await self.admin.patch(
            f"/v1/webhooks/{hook['webhook_id']}", json=changes, headers={"If-Match": etag}
        )

    async def post(self, hook: dict[str, Any], step: str, **more: Any) -> httpx.Response:
        """A step on a webhook: `secret`, `test`, ..."""
        return await self.admin.post(f"/v1/webhooks/{hook['webhook_id']}/{step}", **more)
