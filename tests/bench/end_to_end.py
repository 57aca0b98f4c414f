"""End to end: while 200 check-ins a second are logged, how long from the answer of one until metrics shows it."""

from __future__ import annotations

import asyncio
import time
from typing import Any

import httpx

from deploy.local.ports import HOST
from shared.ids import uuid7
from tests.bench.ground import Ground, Place
from tests.bench.writes import ORG, known, requests
from tests.builders import Pair

RATE = 200.0
CONNECTIONS = 16
EVERY_S = 0.25
LOOK_S = 0.005


async def measure(ground: Ground, *, seconds: float) -> dict[str, Any]:
    """Quantiles, in milliseconds, of how long what was answered took to be seen in the numbers of its mentorship."""
    place = Place.new()
    await ground.topics(place)
    pairs = await known(ground, place)
    probes = await known(ground, place, int(seconds / EVERY_S), goals=1)
    file = requests(ground, pairs)["ours"]
    async with (
        ground.service("checkins", place) as checkins,
        ground.service("metrics", place) as metrics,
        httpx.AsyncClient(timeout=10) as client,
    ):
        load = asyncio.create_task(
            ground.run(
                "load",
                port=checkins.port,
                requests=str(file),
                keys=uuid7(),
                connections=CONNECTIONS,
                seconds=seconds + 2,
                rate=RATE,
            )
        )
        await asyncio.sleep(1)
        seen = []
        for pair, goals in probes:
            begun = time.perf_counter()
            seen.append(await _seen(ground, client, checkins.port, metrics.port, pair, goals[0]))
            await asyncio.sleep(max(0.0, EVERY_S - (time.perf_counter() - begun)))
        told = await load
    await ground.clean(place)
    seen.sort()
    return {
        "p50_ms": seen[len(seen) // 2],
        "p99_ms": seen[min(len(seen) - 1, int(len(seen) * 0.99))],
        "samples": len(seen),
        "rate": told["rate"],
    }


async def _seen(
    ground: Ground, client: httpx.AsyncClient, checkins: int, metrics: int, pair: Pair, goal_id: str
) -> float:
    token = ground.issuer.token(pair.mentee_id, ORG, "onbelay:participate")
    headers = {"Authorization": f"Bearer {token}"}
    body = {"mentorship_id": pair.mentorship_id, "goal_id": goal_id, "progress": {"value": 3}}
    logged = await client.post(f"http://{HOST}:{checkins}/v1/checkins", json=body, headers=headers)
    logged.raise_for_status()
    answered = time.perf_counter()
    url = f"http://{HOST}:{metrics}/v1/metrics/mentorships/{pair.mentorship_id}"
    while True:
        shown = await client.get(url, headers=headers)
        if shown.status_code == 200 and shown.json()["check_ins"]["logged"] == 1:
            return (time.perf_counter() - answered) * 1000
        await asyncio.sleep(LOOK_S)
