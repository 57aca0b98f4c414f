"""The composition root of checkins: the only place that wires its parts together."""

from __future__ import annotations

from fastapi import FastAPI

from services.checkins import api, one_tap
from services.checkins.housekeeping import Eraser, Forgetting
from services.checkins.lapses import Lapses
from services.checkins.logbook import Limits, Logbook
from services.checkins.news import News
from services.checkins.recent import Recent
from services.checkins.settings import CheckinsSettings
from services.checkins.store import Cadences, CheckIns, Cluster, Erasures, Replica
from services.checkins.stream import READS, GoalsFold
from services.checkins.watermark import Watermarks
from shared import asyncapi
from shared.http import Readiness, create_app
from shared.links import Links
from shared.service import Runtime

PUBLISHES = ("CheckInLogged", "CheckInAcknowledged", "CheckInLapsed", "CheckInsWatermark", "HelpRequested")


def build(settings: CheckinsSettings) -> FastAPI:
    """The checkins application; does no I/O before its lifespan is entered.

    Raises:
        ValueError: the settings lack what there is no safe default for.
    """
    runtime = Runtime("checkins", settings)
    clock = runtime.clock
    check_ins = CheckIns(runtime.mongo, runtime.database, runtime.publisher)
    cadences = Cadences(runtime.mongo, runtime.database, runtime.publisher)
    replica = Replica(runtime.database)
    erasures = Erasures(runtime.database)
    runtime.outbox(check_ins.collection, cadences.collection)
    for part in (replica, check_ins, cadences):
        runtime.on_start(part.make_indexes)

    fold = GoalsFold(replica, cadences, erasures, grace=settings.lapse_grace)
    intake = runtime.take_in(["goals"], fold)
    recent = Recent(replica, intake, settings.partitions)
    news = News(recent, intake, clock, settings.partitions)
    fold.after_commit(recent.changed, news.told)
    logbook = Logbook(
        check_ins,
        replica,
        news,
        clock,
        Limits(
            backdate=settings.backdate,
            write_s=settings.checkins_write_timeout_s - settings.checkins_clock_skew_s,
            partitions=settings.partitions,
        ),
    )

    lapses = Lapses(
        check_ins,
        cadences,
        replica,
        intake,
        clock,
        partitions=settings.partitions,
        grace=settings.lapse_grace,
        write_timeout=settings.write_timeout,
    )
    watermarks = Watermarks(
        check_ins,
        Cluster(runtime.database),
        runtime.producer,
        clock,
        bootstrap=settings.kafka_bootstrap,
        topic_prefix=settings.topic_prefix,
        partitions=settings.partitions,
        write_timeout=settings.write_timeout,
        every_s=settings.checkins_watermark_every_s,
    )
    eraser = Eraser(check_ins, erasures, clock, write_timeout=settings.write_timeout)
    runtime.leased("lapses", lapses.run)
    runtime.leased("watermark", watermarks.run)
    runtime.leased("erasure", eraser.run)
    runtime.leased("forgetting", Forgetting(check_ins, clock).run)

    return create_app(
        "Onbelay checkins",
        settings,
        clock,
        lifespan=runtime.lifespan,
        readiness=Readiness(runtime.checks),
        routers=[api.routes(logbook), one_tap.routes(logbook, Links.of(settings), clock)],
        asyncapi=lambda: asyncapi.document("checkins", PUBLISHES, {"goals": READS}),
    )
