"""The composition root of the goals service."""

from __future__ import annotations

from datetime import timedelta

from fastapi import FastAPI

from services.goals.api.goals import goal_routes
from services.goals.api.mentorships import expectation_routes, mentorship_routes
from services.goals.api.people import people_routes
from services.goals.expectations import ExpectationsOfPairs
from services.goals.goals import Goals
from services.goals.mentorships import Mentorships
from services.goals.misses import LANES, Deadlines
from services.goals.people import People
from services.goals.settings import GoalsSettings
from services.goals.store import Store
from services.goals.stream import CheckInsFold
from shared import asyncapi
from shared import events as contract
from shared.aggregates import ANSWERS_KEPT
from shared.clock import Clock
from shared.http import Readiness, create_app
from shared.service import Runtime

FORGET_EVERY_S = timedelta(hours=1).total_seconds()
READS = ("CheckInLogged", "CheckInAcknowledged", "CheckInsWatermark")


def build(settings: GoalsSettings) -> FastAPI:
    """The application: HTTP, the fold of check-ins, the deadlines' worker. Does no I/O before its lifespan."""
    runtime = Runtime("goals", settings)
    clock, rules = runtime.clock, settings.rules
    store = Store(
        runtime.mongo,
        runtime.database,
        runtime.publisher,
        partitions=settings.partitions,
        grace=rules.grace,
    )
    runtime.on_start(store.make_indexes)
    runtime.outbox(*store.outboxes)
    intake = runtime.take_in(["checkins"], CheckInsFold(store, clock, rules))
    people = People(store, clock)
    for lane in range(LANES):
        deadlines = Deadlines(store, clock, rules, intake.watermarks, lane=lane, lanes=LANES)
        runtime.leased(f"deadlines {lane}", deadlines.run)
    runtime.leased("erasures", people.run)
    runtime.leased("answers", lambda _: _forget_answers(store, clock))
    return create_app(
        "Onbelay goals",
        settings,
        clock,
        lifespan=runtime.lifespan,
        readiness=Readiness(runtime.checks),
        routers=[
            mentorship_routes(Mentorships(store, clock, rules)),
            expectation_routes(ExpectationsOfPairs(store, clock)),
            goal_routes(Goals(store, clock, rules), clock),
            people_routes(people),
        ],
        asyncapi=lambda: asyncapi.document(
            "goals",
            [name for name in contract.TYPES if contract.topic_of(name) == "goals"],
            {"checkins": list(READS)},
        ),
    )


async def _forget_answers(store: Store, clock: Clock) -> None:
    """Drop answers that no key can ask for any more. Repeatable; a failure is tried again."""
    while True:
        await store.forget_answers(clock.now() - ANSWERS_KEPT)
        await clock.pause(FORGET_EVERY_S)
