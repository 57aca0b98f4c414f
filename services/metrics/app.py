"""The composition root of metrics: the only place that wires its parts together."""

from __future__ import annotations

from fastapi import FastAPI

from services.metrics import api, exports, live
from services.metrics.dashboard import pages
from services.metrics.dashboard.session import Sessions
from services.metrics.risks import Risks
from services.metrics.settings import MetricsSettings
from services.metrics.store import Exporting, Folding, Generations, RiskStore, Store
from services.metrics.stream import TOPICS, LiveIntake, Projection
from shared import asyncapi
from shared import events as contract
from shared.http import Readiness, create_app
from shared.service import Runtime

READS = {topic: [name for name in contract.TYPES if contract.topic_of(name) == topic] for topic in TOPICS}


def build(settings: MetricsSettings) -> FastAPI:
    """The application; entering its lifespan starts the intake."""
    runtime = Runtime("metrics", settings)
    generations = Generations(runtime.mongo, runtime.database)
    store = Store(generations)
    risks = Risks(RiskStore(generations), runtime.clock)
    runtime.on_start(generations.load)
    runtime.publisher.add(runtime.database["dead_letters"])
    runtime.intake = LiveIntake(
        generations,
        lambda live: runtime.new_intake(TOPICS, Projection(Folding(live)), generation=live.name),
    )
    runtime.leased("risks", risks.run)
    streams = live.Live(settings, TOPICS)
    numbers = api.Numbers(store, risks, runtime.clock)
    return create_app(
        "Onbelay metrics",
        settings,
        runtime.clock,
        lifespan=runtime.lifespan,
        readiness=Readiness(runtime.checks),
        routers=[
            api.routes(numbers),
            exports.routes(Exporting(generations), runtime.clock),
            pages.routes(pages.Dashboard(numbers, Sessions(settings.metrics_url)), streams),
            live.routes(streams),
        ],
        asyncapi=lambda: asyncapi.document("metrics", [], READS),
    )
