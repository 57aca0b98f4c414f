"""N1, P8 and T1: the relay, the idle stream, and the herd of deadlines."""

from __future__ import annotations

from typing import Any

from shared.events.topics import TOPICS
from tests.bench.ground import Ground, Place, median, rated, ratios

Run = dict[str, Any]
EVENTS_A_GOAL = 20


async def relay(ground: Ground, *, events: int, repetitions: int) -> dict[str, Any]:
    """N1: the publisher over stored events, beside a bare producer of the same records.

    Goals of `EVENTS_A_GOAL`, as a new cluster is filled with; and a third as many check-ins, of one event each, as a
    crash leaves them (`single_ratio`).
    """
    data = Place.new()
    await ground.topics(data)
    ours: dict[int, list[Run]] = {EVENTS_A_GOAL: [], 1: []}
    bare: dict[int, list[Run]] = {EVENTS_A_GOAL: [], 1: []}
    for _ in range(repetitions):
        for each in ours:
            for module, found in (("relay", ours), ("peers.bare_producer", bare)):
                place = Place(data.topic_prefix, Place.new().database_prefix)
                env = {
                    "PEER_KAFKA": ground.kafka,
                    "PEER_MONGO": ground.mongo,
                    "PEER_DATABASE": f"{place.database_prefix}relay",
                    "PEER_TOPIC_PREFIX": data.topic_prefix,
                    "PEER_TOPIC": data.topic_prefix + TOPICS["goals" if each > 1 else "checkins"],
                }
                count = events if each > 1 else events // 3
                found[each].append(await ground.run(module, env=env, events=count, each=each))
                await ground.clean(place)
    many, single = (_relayed(ours[each], bare[each]) for each in ours)
    return {**many, **{f"single_{name}": value for name, value in single.items()}}


def _relayed(ours: list[Run], bare: list[Run]) -> dict[str, Any]:
    return {
        **rated(ours, bare),
        "acked_ratio": median(ratios([each["acked_rate"] for each in ours], [each["rate"] for each in bare])),
        "cpu_us": median(each["cpu_us"] for each in ours),
        "peer_cpu_us": median(each["cpu_us"] for each in bare),
    }


async def idle(ground: Ground, *, events: int, repetitions: int) -> dict[str, Any]:
    """P8: p99 from publish to receipt, and p90 to commit, on a stream that is idle otherwise."""
    ours: list[Run] = []
    peers: list[Run] = []
    for _ in range(repetitions):
        for product, found in ((True, ours), (False, peers)):
            place = Place.new()
            await ground.topics(place)
            env = {
                **ground.environment(place),
                "PEER_KAFKA": ground.kafka,
                "PEER_MONGO": ground.mongo,
                "PEER_DATABASE": f"{place.database_prefix}peer",
                "PEER_TOPIC_PREFIX": place.topic_prefix,
            }
            found.append(await ground.run("idle", env=env, events=events, product=product))
            await ground.clean(place)
    received = ratios([each["received_p99"] for each in ours], [each["received_p99"] for each in peers])
    stored = ratios([each["stored_p90"] for each in ours], [each["stored_p90"] for each in peers])
    return {
        "ratio": median(received),
        "runs": received,
        "commit_ratio": median(stored),
        "commit_runs": stored,
        "received_p99_ms": median(each["received_p99"] for each in ours),
        "peer_received_p99_ms": median(each["received_p99"] for each in peers),
        "stored_p90_ms": median(each["stored_p90"] for each in ours),
        "peer_stored_p90_ms": median(each["stored_p90"] for each in peers),
    }


async def deadlines(ground: Ground, *, goals: int, alone: int, repetitions: int) -> dict[str, Any]:
    """T1: goals missed a second in batches of 500 and of 2,000, beside each claimed and decided alone."""
    rates: dict[int, list[float]] = {500: [], 2_000: [], 0: []}
    for _ in range(repetitions):
        for batch, found in rates.items():
            place = Place.new()
            env = {"PEER_MONGO": ground.mongo, "PEER_DATABASE": f"{place.database_prefix}goals"}
            told = await ground.run("due", env=env, goals=goals if batch else alone, batch=batch)
            found.append(told["rate"])
            await ground.clean(place)
    runs, larger = ratios(rates[500], rates[0]), ratios(rates[2_000], rates[0])
    return {
        "ratio": median(runs),
        "runs": runs,
        "ratio_2000": median(larger),
        "runs_2000": larger,
        "rate": median(rates[500]),
        "peer_rate": median(rates[0]),
    }
