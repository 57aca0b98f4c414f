"""The composition root of the notifier."""

from __future__ import annotations

import asyncio
import os

from fastapi import FastAPI

from services.notifier.api import nudges, quiet, recipients
from services.notifier.calendar import api as calendar
from services.notifier.calendar.feed import Words
from services.notifier.calendar.store import Store as CalendarStore
from services.notifier.chat import Chat
from services.notifier.compose import Composer
from services.notifier.mail import Mailer
from services.notifier.scim import api as scim
from services.notifier.scim.store import Store as UserStore
from services.notifier.scim.users import Users
from services.notifier.senders import Senders
from services.notifier.settings import Settings
from services.notifier.store import Store
from services.notifier.stream import PUBLISHES, READS, AgendaFold, Folds
from services.notifier.targets import Targets
from services.notifier.webhooks import api as webhooks
from services.notifier.webhooks.fold import DeliveryFold
from services.notifier.webhooks.manage import Webhooks
from services.notifier.webhooks.notice import Notices
from services.notifier.webhooks.outbound import Outbound
from services.notifier.webhooks.store import Store as WebhookStore
from services.notifier.webhooks.worker import Deliverer
from services.notifier.worker import Nudger
from shared import asyncapi
from shared.aggregates import ANSWERS_KEPT
from shared.http import Readiness, create_app
from shared.links import Links
from shared.service import Runtime

FORGET_EVERY_S = 600.0


def build(settings: Settings) -> FastAPI:
    """The notifier's application; starting it starts the intake and the nudge worker, too.

    Raises:
        ValueError: a setting that is needed is missing.
    """
    runtime = Runtime("notifier", settings)
    store = Store(
        runtime.mongo,
        runtime.database,
        runtime.publisher,
        holder=f"{settings.instance}/{os.getpid()}",
        lease_s=settings.notifier_lease_s,
    )
    runtime.on_start(store.make_indexes)
    runtime.outbox(store.ledger)
    targets = Targets(settings.sandbox, settings.notifier_webhook_allow)
    outbound = Outbound(targets)
    endpoints = WebhookStore(runtime.mongo, runtime.database, runtime.publisher, holder=settings.instance)
    runtime.on_start(endpoints.make_indexes)
    runtime.on_start(endpoints.take_up_again)
    deliverer = Deliverer(endpoints, outbound, runtime.clock)
    runtime.worker("webhooks", deliverer.run)
    provisioned = UserStore(runtime.database)
    runtime.on_start(provisioned.make_indexes)
    intake = runtime.take_in(
        list(READS),
        Folds(
            AgendaFold(store, runtime.clock),
            DeliveryFold(endpoints, runtime.clock, queued=deliverer.wake),
            forget=provisioned.forget,
        ),
    )
    links = Links.of(settings)
    send_s = settings.notifier_lease_s * 0.3
    mailer = Mailer(settings, timeout_s=send_s)
    senders = Senders([mailer, Chat(outbound)], timeout_s=send_s)
    composer = Composer(links, checkins_url=settings.checkins_url, notifier_url=settings.notifier_url)
    notices = Notices(endpoints, store.person, composer, senders, runtime.clock, mailer.domain)
    runtime.leased("webhook-notices", lambda _: notices.run())
    nudger = Nudger(
        store,
        runtime.clock,
        intake.covered_all,
        composer,
        senders,
        message_domain=mailer.domain,
        holdout=settings.notifier_holdout,
        attempts=settings.notifier_send_attempts,
        backoff_max_s=settings.notifier_send_backoff_max_s,
        workers=settings.notifier_workers,
    )
    runtime.worker("nudges", nudger.run)

    planned = CalendarStore(runtime.database)
    runtime.on_start(planned.make_indexes)
    calendars = calendar.Calendars(
        planned,
        store.person,
        lambda recipient: Words(*composer.lines(recipient, "calendar.txt")),
        links,
        runtime.clock,
        settings.notifier_url,
    )

    async def forget() -> None:
        while True:
            await store.forget_answers(runtime.clock.now() - ANSWERS_KEPT)
            await endpoints.forget_answers(runtime.clock.now() - ANSWERS_KEPT)
            await asyncio.sleep(FORGET_EVERY_S)

    runtime.leased("forget-answers", lambda _: forget())
    use_cases = recipients.Recipients(store, runtime.clock, targets, calendars.url, provisioned.forget)
    return create_app(
        "Onbelay notifier",
        settings,
        runtime.clock,
        lifespan=runtime.lifespan,
        readiness=Readiness(runtime.checks),
        routers=[
            recipients.routes(use_cases),
            nudges.routes(store),
            webhooks.routes(Webhooks(endpoints, runtime.clock, targets, deliverer.wake)),
            calendar.routes(calendars),
            scim.routes(
                Users(
                    provisioned,
                    store.change_person,
                    runtime.clock,
                    f"{settings.notifier_url}{scim.PREFIX}",
                )
            ),
            quiet.routes(quiet.Quiet(store, links, runtime.clock)),
        ],
        asyncapi=lambda: asyncapi.document("notifier", PUBLISHES, READS),
    )
