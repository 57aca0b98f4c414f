"""The peer of P9: Quix Streams 3.28 and its MongoDB sink, which keeps the latest event of each goal and nothing else.

It does less than the product: no sums, no history, no sequence, no transaction; a crash may write twice. Runs in an
environment of its own (`requirements-bench.lock`), so it imports nothing of this repository.
"""

from __future__ import annotations

import json
import os
import resource
import sys
import time
from typing import Any
from urllib.parse import urlsplit

from quixstreams import Application  # type: ignore[import-not-found]
from quixstreams.sinks.community.mongodb import MongoDBSink  # type: ignore[import-not-found]


def main() -> None:
    """Project `events` records; prints what `told.Meter` would."""
    asked: dict[str, Any] = json.load(sys.stdin)
    begun: list[tuple[float, float]] = []

    def noted(value: Any) -> Any:
        if not begun:
            begun.append((time.perf_counter(), time.process_time()))
        return value

    app = Application(
        broker_address=os.environ["PEER_KAFKA"],
        consumer_group=os.environ["PEER_DATABASE"],
        auto_offset_reset="earliest",
        commit_every=asked["batch"],
        loglevel="ERROR",
    )
    where = urlsplit(os.environ["PEER_MONGO"])
    sink = MongoDBSink(
        host=where.hostname or "",
        port=where.port or 27017,
        db=os.environ["PEER_DATABASE"],
        collection="latest",
        document_matcher=lambda item: {"_id": item.value.get("goal_id") or item.value["mentorship_id"]},
    )
    for name in ("goals", "checkins"):
        topic = app.topic(f"{os.environ['PEER_TOPIC_PREFIX']}onbelay.{name}.v1", value_deserializer="json")
        app.dataframe(topic).apply(noted).sink(sink)
    app.run(count=asked["events"], timeout=asked.get("timeout_s", 120))
    seconds = time.perf_counter() - begun[0][0]
    told = {
        "events": asked["events"],
        "seconds": seconds,
        "rate": asked["events"] / seconds,
        "cpu_us": (time.process_time() - begun[0][1]) * 1e6 / asked["events"],
        "rss_mb": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024,
    }
    sys.stdout.write(json.dumps(told) + "\n")


if __name__ == "__main__":
    main()
