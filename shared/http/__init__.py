"""The HTTP edge that all services share: see `shared.http.routing` for an example route.

Nothing here knows a service. What a route raises of `shared.errors` becomes `application/problem+json`.
"""

from shared.http.app import Readiness, create_app
from shared.http.auth import (
    ACT_AS,
    ERASE,
    METRICS,
    PARTICIPATE,
    PROGRAMS,
    RECIPIENTS,
    SANDBOX,
    WEBHOOKS,
    Authenticator,
    Caller,
    Keys,
)
from shared.http.batches import BatchIn, add_batch, run_batch
from shared.http.body import (
    Body,
    Day,
    Days90,
    ExternalRef,
    Id,
    Instant,
    Note,
    Number,
    Params,
    PersonId,
    QueryInstant,
    TimeZone,
    Title,
    Unit,
    Words,
)
from shared.http.conditional import IfMatch, etag
from shared.http.pages import Page, Position, listing
from shared.http.problems import problem
from shared.http.routing import Edge, Reply, Router
from shared.http.thin import Thin
from shared.idempotency import Answer, Idem

__all__ = [
    "ACT_AS",
    "ERASE",
    "METRICS",
    "PARTICIPATE",
    "PROGRAMS",
    "RECIPIENTS",
    "SANDBOX",
    "WEBHOOKS",
    "Answer",
    "Authenticator",
    "BatchIn",
    "Body",
    "Caller",
    "Day",
    "Days90",
    "Edge",
    "ExternalRef",
    "Id",
    "Idem",
    "IfMatch",
    "Instant",
    "Keys",
    "Note",
    "Number",
    "Page",
    "Params",
    "PersonId",
    "Position",
    "QueryInstant",
    "Readiness",
    "Reply",
    "Router",
    "Thin",
    "TimeZone",
    "Title",
    "Unit",
    "Words",
    "add_batch",
    "create_app",
    "etag",
    "listing",
    "problem",
    "run_batch",
]
