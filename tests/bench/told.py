"""What measuring programs share: they are told what to do as JSON on standard input, and answer as JSON."""

from __future__ import annotations

import asyncio
import gc
import json
import resource
import sys
import time
from collections.abc import Callable, Coroutine
from typing import Any

import uvloop


def answer(main: Callable[[dict[str, Any]], Coroutine[Any, Any, dict[str, Any]]]) -> None:
    """Run `main` on what standard input says, and print what it answers."""
    asked = json.load(sys.stdin)
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        answered = runner.run(main(asked))
    sys.stdout.write(json.dumps(answered) + "\n")


def tune_collector() -> None:
    """The cyclic collector as the product sets it after start-up."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(50_000, 20, 20)


class Meter:
    """Time and CPU of this process, from `begin`, which counts once."""

    def __init__(self) -> None:
        self.begun: float | None = None
        self._cpu = 0.0

    def begin(self) -> None:
        """The first record is here."""
        if self.begun is None:
            self.begun, self._cpu = time.perf_counter(), time.process_time()

    def told(self, events: int) -> dict[str, Any]:
        """Events a second, CPU microseconds an event, and the greatest resident memory in MB so far."""
        assert self.begun is not None
        seconds = time.perf_counter() - self.begun
        return {
            "events": events,
            "seconds": seconds,
            "rate": events / seconds,
            "cpu_us": (time.process_time() - self._cpu) * 1e6 / events,
            "begun_at": time.time() - seconds,
            "ended_at": time.time(),
            "rss_mb": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024,
        }
