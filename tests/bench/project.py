"""The product's projection, as shipped: the application of metrics, without its HTTP server, until it has caught up."""

from __future__ import annotations

import asyncio
from typing import Any

from aiokafka import ConsumerRecord

from services.metrics.app import build
from services.metrics.settings import MetricsSettings
from shared import intake, telemetry
from tests.bench import told

LOOK_S = 0.005


def folded() -> int:
    """How many records this process has folded and stored."""
    children = telemetry.FOLDED._metrics.values()
    return int(sum(child._value.get() for child in children))


async def main(asked: dict[str, Any]) -> dict[str, Any]:
    """Fold `events` records in batches of `batch`; the environment says from where and into what."""
    telemetry.configure("metrics", "WARNING")
    meter = told.Meter()
    intake.MAX_BATCH = asked["batch"]
    take = intake.Intake.take

    async def taking(self: intake.Intake, records: tuple[ConsumerRecord, ...]) -> None:
        meter.begin()
        await take(self, records)

    intake.Intake.take = taking  # type: ignore[method-assign]
    app = build(MetricsSettings())
    async with app.router.lifespan_context(app):
        async with asyncio.timeout(asked.get("timeout_s", 300)):
            while folded() < asked["events"]:
                await asyncio.sleep(LOOK_S)
        answer = meter.told(folded())
    return answer


if __name__ == "__main__":
    told.answer(main)
