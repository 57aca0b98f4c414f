"""The product's projection, as shipped: the application of metrics, without its HTTP server, until it has caught up."""

from __future__ import annotations

import asyncio
from typing import Any

from aiokafka import ConsumerRecord

from services.metrics.app import build
from services.metrics.settings import MetricsSettings
from shared import intake, telemetry
from shared.mongo import Mongo
from tests.bench import told

LOOK_S = 0.1


async def all_folded(mongo: Mongo, settings: MetricsSettings) -> int:
    """How many records have been folded, by whichever process, as the stored offsets say."""
    offsets = mongo.database(settings.database("metrics"))["offsets"]
    return sum([each["next"] async for each in offsets.find({}, {"next": 1})])


async def main(asked: dict[str, Any]) -> dict[str, Any]:
    """Fold `events` records in batches of `batch`; the environment says from where and into what.

    `events` counts those too that were folded before, and those that other processes of the group fold.
    """
    telemetry.configure("metrics", "WARNING")
    settings = MetricsSettings()
    meter = told.Meter()
    take, make = intake.Intake.take, intake.Intake.__init__

    def making(self: intake.Intake, **options: Any) -> None:
        make(self, **{**options, "max_batch": asked["batch"]})

    async def taking(self: intake.Intake, records: tuple[ConsumerRecord, ...]) -> None:
        meter.begin()
        await take(self, records)

    intake.Intake.take, intake.Intake.__init__ = taking, making  # type: ignore[method-assign]
    mongo = Mongo.connect(settings.mongo_url)
    before = await all_folded(mongo, settings)
    app = build(settings)
    async with app.router.lifespan_context(app), asyncio.timeout(asked.get("timeout_s", 300)):
        while True:
            done = await all_folded(mongo, settings)
            if done >= asked["events"]:
                break
            await asyncio.sleep(LOOK_S)
        meter.begin()  # of several processes one may have come too late for any record
        answer = meter.told(asked["events"] - before)
        await mongo.close()
        return answer


if __name__ == "__main__":
    told.answer(main)
