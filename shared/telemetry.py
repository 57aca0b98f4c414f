"""Logs as JSON lines with trace ids, trace context over HTTP and Kafka, and the metrics that operators watch.

Logs carry ids, never private words. Trace context is W3C's (`traceparent`), by OpenTelemetry.
"""

from __future__ import annotations

import asyncio
import gc
import logging
import random
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager
from contextvars import ContextVar
from datetime import UTC, datetime
from functools import lru_cache
from typing import Any, TextIO

import msgspec
import structlog
from opentelemetry import context, trace
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator
from prometheus_client import REGISTRY, Counter, Gauge, Histogram, disable_created_metrics
from prometheus_client.core import SummaryMetricFamily
from prometheus_client.registry import Collector

_PROPAGATOR = TraceContextTextMapPropagator()
_HERE: ContextVar[str | None] = ContextVar("traceparent", default=None)
"""The `traceparent` of what runs under a `_Under`."""

HTTP_REQUESTS = Counter(
    "onbelay_http_requests", "Requests answered", ["service", "method", "route", "status"]
)
HTTP_SECONDS = Histogram(
    "onbelay_http_request_seconds",
    "Time to answer a request",
    ["service", "method", "route"],
    buckets=(0.002, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5),
)
OUTBOX_DEPTH = Gauge("onbelay_outbox_depth", "Aggregates with unpublished events", ["collection"])
OUTBOX_AGE = Gauge("onbelay_outbox_age_seconds", "Age of the oldest unpublished event", ["collection"])
PUBLISHED = Counter("onbelay_published", "Events acknowledged by Kafka", ["topic"])
KAFKA_AWAY = Gauge("onbelay_kafka_away", "1 while records wait for Kafka")
LAG = Gauge("onbelay_consumer_lag", "Records not yet folded", ["consumer", "topic", "partition"])
FOLDED = Counter("onbelay_folded", "Records folded", ["consumer", "topic"])
DUPLICATES = Counter("onbelay_duplicates", "Records dropped as already folded", ["consumer", "topic"])
UNKNOWN_TYPES = Counter(
    "onbelay_unknown_types", "Records passed over, of a type not known", ["consumer", "topic"]
)
PARKED = Gauge("onbelay_parked_subjects", "Subjects that wait for a missing sequence", ["consumer"])
GAPS = Counter("onbelay_gaps", "Gaps met in a subject's sequence", ["consumer", "topic"])
DEAD_LETTERS = Counter(
    "onbelay_dead_letters", "Records sent to the dead letters", ["consumer", "topic", "reason"]
)
HALTED = Gauge(
    "onbelay_intake_halted",
    "1 while a stored offset is out of the log's range",
    ["consumer", "topic", "partition"],
)
FOLD_SECONDS = Histogram(
    "onbelay_fold_seconds",
    "Time of one batch's transaction",
    ["consumer"],
    buckets=(0.002, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5),
)
WATERMARK_AGE = Gauge("onbelay_watermark_age_seconds", "Domain time since the last watermark", ["partition"])
NUDGES = Counter("onbelay_nudges", "Nudges by outcome", ["kind", "outcome", "reason"])


class CollectorPauses(Collector):
    """How long Python's cyclic collector held everything up, by generation; a callback of `gc`.

    Plain sums, told when a page is asked for: a collection may begin in the midst of counting something else, whose
    lock is then held.
    """

    def __init__(self) -> None:
        self._begun = 0.0
        self._told = [(0, 0.0)] * len(gc.get_stats())

    def __call__(self, phase: str, info: Mapping[str, int]) -> None:
        """A collection begins (`start`) or has ended (`stop`)."""
        if phase == "start":
            self._begun = time.perf_counter()
            return
        generation = info["generation"]
        count, seconds = self._told[generation]
        self._told[generation] = count + 1, seconds + time.perf_counter() - self._begun

    def collect(self) -> Iterator[SummaryMetricFamily]:
        """The family `onbelay_collector_pause_seconds`."""
        family = SummaryMetricFamily(
            "onbelay_collector_pause_seconds",
            "Time for which the cyclic collector held the process up",
            labels=["generation"],
        )
        for generation, (count, seconds) in enumerate(self._told):
            family.add_metric([str(generation)], count, seconds)
        yield family


_PAUSES = CollectorPauses()
REGISTRY.register(_PAUSES)


def configure(service: str, level: str = "INFO") -> None:
    """Set up logging and tracing of this process. Libraries' logs come out in the same form."""
    timestamper = structlog.processors.TimeStamper(fmt="iso", utc=True)
    common: list[structlog.typing.Processor] = [
        structlog.contextvars.merge_contextvars,
        structlog.stdlib.add_log_level,
        structlog.stdlib.add_logger_name,
        timestamper,
        _add_trace,
    ]
    structlog.configure(
        processors=[*common, structlog.stdlib.ProcessorFormatter.wrap_for_formatter],
        logger_factory=structlog.stdlib.LoggerFactory(),
        wrapper_class=structlog.stdlib.BoundLogger,
        cache_logger_on_first_use=True,
    )
    global _requests
    _requests = _RequestLog(service, sys.stderr) if logging.getLevelName(level) <= logging.INFO else None
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=common,
            processors=[
                structlog.stdlib.ProcessorFormatter.remove_processors_meta,
                structlog.processors.format_exc_info,
                structlog.processors.JSONRenderer(),
            ],
        )
    )
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(level)
    for chatty in ("aiokafka", "faststream", "pymongo", "httpx", "httpcore"):
        logging.getLogger(chatty).setLevel(logging.WARNING)
    structlog.contextvars.bind_contextvars(service=service)
    if _PAUSES not in gc.callbacks:
        gc.callbacks.append(_PAUSES)
    # When a counter was made tells nobody anything, and doubles the page.
    disable_created_metrics()  # type: ignore[no-untyped-call]
    trace.set_tracer_provider(
        TracerProvider(resource=Resource.create({"service.name": f"onbelay-{service}"}))
    )


def _exported() -> bool:
    """Whether spans go anywhere; if not, only their context is needed."""
    processor = getattr(trace.get_tracer_provider(), "_active_span_processor", None)
    return processor is None or bool(getattr(processor, "_span_processors", ()))


class _RequestLog:
    """The line of each request, in the form of all others, without the machinery of logging: it is a hot path."""

    def __init__(self, service: str, stream: TextIO) -> None:
        self._stream = stream
        self._service = service
        self._lines: list[str] = []

    def write(self, method: str, route: str, status: int, ms: float) -> None:
        here = current_traceparent()
        traced = f',"trace_id":"{here[3:35]}","span_id":"{here[36:52]}"' if here else ""
        self._lines.append(
            f'{_said(method, route, status)},"ms":{ms},"event":"request","service":"{self._service}",'
            f'"level":"info","logger":"onbelay.http","timestamp":"{datetime.now(UTC).isoformat()[:-6]}Z"{traced}}}\n'
        )
        if len(self._lines) == 1:
            # What else is answered in this turn of the loop goes in the same write.
            try:
                asyncio.get_running_loop().call_soon(self._flush)
            except RuntimeError:
                self._flush()

    def _flush(self) -> None:
        lines, self._lines = self._lines, []
        self._stream.write("".join(lines))
        self._stream.flush()


@lru_cache(4096)
def _said(method: str, route: str, status: int) -> str:
    """The begin of a line, which many requests share."""
    return msgspec.json.encode({"method": method, "route": route, "status": status}).decode()[:-1]


_requests: _RequestLog | None = None


def log_request(logger: Any, *, method: str, route: str, status: int, ms: float) -> None:
    """Log a request that was answered; by `logger` in a process that was not configured."""
    if _requests is not None:
        _requests.write(method, route, status, ms)
    else:
        logger.info("request", method=method, route=route, status=status, ms=ms)


def _add_trace(_: Any, __: str, event: structlog.typing.EventDict) -> structlog.typing.EventDict:
    here = current_traceparent()
    if here:
        event["trace_id"], event["span_id"] = here[3:35], here[36:52]
    return event


def tracer() -> trace.Tracer:
    """The tracer of Onbelay's own spans."""
    return trace.get_tracer("onbelay")


def current_traceparent() -> str | None:
    """The W3C `traceparent` of what runs now, or None outside of any trace."""
    here = _HERE.get()
    return here if here is not None else _traceparent(trace.get_current_span())


def _traceparent(of: trace.Span) -> str | None:
    span = of.get_span_context()
    if not span.is_valid:
        return None
    return f"00-{span.trace_id:032x}-{span.span_id:016x}-{span.trace_flags:02x}"


def continued(
    name: str, carrier: Mapping[str, str], kind: trace.SpanKind = trace.SpanKind.SERVER
) -> AbstractContextManager[trace.Span]:
    """A span to run under, that continues the trace of `carrier` (`traceparent`, `tracestate`), or begins one.

    Where no exporter takes spans, it is their `traceparent` alone, at a fifth of the cost.
    """
    if _exported():
        return tracer().start_as_current_span(name, context=_parent(carrier), kind=kind)
    span_id = random.getrandbits(64)
    above = _traceparent(trace.get_current_span(_parent(carrier))) if carrier else None
    if above is not None:
        return _Under(f"{above[:36]}{span_id:016x}{above[52:]}")
    return _Under(f"00-{random.getrandbits(128):032x}-{span_id:016x}-01")


def _parent(carrier: Mapping[str, str]) -> context.Context:
    return _PROPAGATOR.extract(dict(carrier), context=context.Context()) if carrier else context.Context()


class _Under:
    """Runs what it surrounds under a `traceparent`."""

    __slots__ = ("_token", "_traceparent")

    def __init__(self, traceparent: str) -> None:
        self._traceparent = traceparent

    def __enter__(self) -> trace.Span:
        self._token = _HERE.set(self._traceparent)
        return trace.INVALID_SPAN

    def __exit__(self, *_: object) -> None:
        _HERE.reset(self._token)


def link_to(traceparent: str) -> trace.Link | None:
    """A span link to the trace that a record carries, or None when it is not readable."""
    span = trace.get_current_span(
        _PROPAGATOR.extract({"traceparent": traceparent}, context=context.Context())
    )
    found = span.get_span_context()
    return trace.Link(found) if found.is_valid else None
