"""Traces and logs: what runs for a request tells whose it is."""

from __future__ import annotations

import asyncio
import gc
import io
import json
import re
import subprocess
import sys
from collections.abc import Iterator

import pytest
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

from shared import telemetry
from shared.telemetry import continued, current_traceparent
from tests.support.polling import eventually

ABOVE = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"
VALID = re.compile(r"00-[0-9a-f]{32}-[0-9a-f]{16}-[0-9a-f]{2}")


@pytest.fixture(params=[False, True], ids=["spans go nowhere", "spans are exported"])
def exported(
    request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch
) -> Iterator[InMemorySpanExporter]:
    """What takes spans, where any are exported."""
    exporter, provider = InMemorySpanExporter(), TracerProvider()
    provider.add_span_processor(SimpleSpanProcessor(exporter))
    monkeypatch.setattr(telemetry, "_exported", lambda: request.param)
    monkeypatch.setattr(telemetry, "tracer", lambda: provider.get_tracer("onbelay"))
    yield exporter
    assert bool(exporter.get_finished_spans()) == request.param


@pytest.mark.usefixtures("exported")
class TestATrace:
    def test_begins_where_none_came(self) -> None:
        with continued("POST", {}):
            first = current_traceparent()
        with continued("POST", {}):
            second = current_traceparent()
        assert first is not None
        assert second is not None
        assert VALID.fullmatch(first)
        assert first.split("-")[1] != second.split("-")[1]
        assert int(first.split("-")[3], 16) & 1

    def test_goes_on_where_one_came_by_a_span_of_its_own(self) -> None:
        with continued("POST", {"traceparent": ABOVE}):
            here = current_traceparent()
        assert here is not None
        assert VALID.fullmatch(here)
        _, trace_id, span_id, flags = here.split("-")
        assert (trace_id, flags) == ("4bf92f3577b34da6a3ce929d0e0e4736", "01")
        assert span_id != "00f067aa0ba902b7"

    def test_begins_where_what_came_is_none(self) -> None:
        with continued("POST", {"traceparent": "00-0-0-00"}):
            here = current_traceparent()
        assert here is not None
        assert VALID.fullmatch(here)

    def test_ends_with_what_it_is_about(self) -> None:
        with pytest.raises(LookupError), continued("POST", {}):
            raise LookupError
        assert current_traceparent() is None

    async def test_is_of_those_alone_who_run_for_it(self) -> None:
        async def one() -> tuple[str | None, str | None]:
            with continued("POST", {}):
                before = current_traceparent()
                await asyncio.sleep(0)
                return before, current_traceparent()

        (a, after_a), (b, after_b) = await asyncio.gather(one(), one())
        assert (a, b) == (after_a, after_b)
        assert a != b


@pytest.mark.usefixtures("exported")
class TestALogLine:
    async def test_of_a_request_names_its_trace(self) -> None:
        stream = io.StringIO()
        requests = telemetry._RequestLog("things", stream)
        with continued("POST", {"traceparent": ABOVE}):
            here = current_traceparent()
            requests.write("POST", "/v1/things", 201, 1.5)
        line = json.loads(await eventually(stream.getvalue))
        assert here == f"00-{line['trace_id']}-{line['span_id']}-01"
        assert (line["route"], line["status"], line["ms"]) == ("/v1/things", 201, 1.5)

    def test_of_anything_else_does_so_too(self) -> None:
        with continued("POST", {"traceparent": ABOVE}):
            here = current_traceparent()
            line = telemetry._add_trace(None, "info", {"event": "something"})
        assert here == f"00-{line['trace_id']}-{line['span_id']}-01"
        with continued("POST", {}):
            pass
        assert telemetry._add_trace(None, "info", {"event": "something"}) == {"event": "something"}


class TestPausesOfTheCollector:
    @pytest.fixture(autouse=True)
    def alone(self) -> Iterator[None]:
        """No collection but the one that a test asks for."""
        gc.disable()
        yield
        gc.enable()

    @staticmethod
    def _shown(pauses: telemetry.CollectorPauses) -> dict[str, tuple[float, float]]:
        """By generation how often, and how long."""
        (family,) = pauses.collect()
        found = {
            (each.name.rpartition("_")[2], each.labels["generation"]): each.value for each in family.samples
        }
        return {generation: (found["count", generation], found["sum", generation]) for generation in "012"}

    def test_are_counted_and_added_up_by_generation(self, monkeypatch: pytest.MonkeyPatch) -> None:
        clock = iter([10.0, 10.25, 20.0, 20.5, 30.0, 31.0])
        monkeypatch.setattr("shared.telemetry.time.perf_counter", lambda: next(clock))
        pauses = telemetry.CollectorPauses()
        for generation in (0, 2, 2):
            pauses("start", {"generation": generation})
            pauses("stop", {"generation": generation, "collected": 0, "uncollectable": 0})
        assert self._shown(pauses) == {"0": (1, 0.25), "1": (0, 0), "2": (2, 1.5)}

    def test_of_a_process_are_on_its_page(self) -> None:
        script = (
            "import gc; from prometheus_client import generate_latest; from shared import telemetry\n"
            "gc.disable(); telemetry.configure('goals'); telemetry.configure('goals'); gc.collect(); gc.collect()\n"
            "print(generate_latest().decode())"
        )
        page = subprocess.run(
            [sys.executable, "-c", script], capture_output=True, text=True, check=True
        ).stdout
        assert 'onbelay_collector_pause_seconds_count{generation="2"} 2.0' in page
        assert 'onbelay_collector_pause_seconds_count{generation="0"} 0.0' in page
