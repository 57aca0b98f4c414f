"""R1-R3: logging a check-in over HTTP, everything on, beside three baselines that do less and less."""

from __future__ import annotations

import json
from contextlib import AsyncExitStack
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from deploy.local.ports import HOST
from shared import events as contract
from shared.ids import uuid7
from shared.kafka import Outgoing, Producer
from tests.bench.ground import Failed, Ground, Place, Running, median, ratios
from tests.builders import Pair, record

CONNECTIONS = 32
PAIRS = 60
GOALS_A_PAIR = 4
PEERS = {"R1": "dual_write", "R2": "insert_one", "R3": "validates"}
ORG = "org-1"
WARM_S = 2.5
"""Enough for each goal to be met once: what is looked up then is kept."""


async def measure(ground: Ground, *, repetitions: int, seconds: float) -> dict[str, Any]:
    """The rates and latencies of the product and its baselines, one after the other in each repetition.

    Returns:
        `R1`, `R2`, `R3`, each `{"ratio", "runs", ...}`; `R3` with the ratio of its p99 to that of R2's baseline.
    """
    place = Place.new()
    await ground.topics(place)
    pairs = await known(ground, place)
    files = requests(ground, pairs)
    peer = {
        "PEER_MONGO": ground.mongo,
        "PEER_KAFKA": ground.kafka,
        "PEER_DATABASE": f"{place.database_prefix}peer",
        "PEER_TOPIC": f"{place.topic_prefix}onbelay.nudges.v1",
    }
    told: dict[str, list[dict[str, Any]]] = {name: [] for name in ("ours", *PEERS.values())}
    async with AsyncExitStack() as stack:
        running: dict[str, Running] = {
            "ours": await stack.enter_async_context(ground.service("checkins", place))
        }
        for name in PEERS.values():
            running[name] = await stack.enter_async_context(ground.peer(name, peer))
        for repetition in range(-1, repetitions):
            for name in told:
                found = await _load(
                    ground, running[name], files[name], seconds if repetition >= 0 else WARM_S
                )
                if repetition >= 0:
                    told[name].append(found)
        await _stored(ground, place, told)
    await ground.clean(place)
    rates = {name: [run["rate"] for run in runs] for name, runs in told.items()}
    answer: dict[str, Any] = {}
    for key, name in PEERS.items():
        runs = ratios(rates["ours"], rates[name])
        answer[key] = {
            "ratio": median(runs),
            "runs": runs,
            "rate": median(rates["ours"]),
            "peer_rate": median(rates[name]),
            "cpu_us": median(run["cpu_us"] for run in told["ours"]),
            "peer_cpu_us": median(run["cpu_us"] for run in told[name]),
        }
    late = ratios([run["p99"] for run in told["ours"]], [run["p99"] for run in told["insert_one"]])
    answer["R3"] |= {
        "p99_ratio": median(late),
        "p99_runs": late,
        "p99_ms": median(run["p99"] for run in told["ours"]),
    }
    return answer


async def rate(ground: Ground, *, without: str, repetitions: int = 3, seconds: float = 3.0) -> list[float]:
    """The product's rates with a lever switched off."""
    place = Place.new()
    await ground.topics(place)
    file = requests(ground, await known(ground, place))["ours"]
    async with ground.service("checkins", place, env={"ONBELAY_WITHOUT": without}) as running:
        await _load(ground, running, file, WARM_S)
        found = [(await _load(ground, running, file, seconds))["rate"] for _ in range(repetitions)]
    await ground.clean(place)
    return found


async def _load(ground: Ground, running: Running, file: Path, seconds: float) -> dict[str, Any]:
    before = running.cpu_s()
    found: dict[str, Any] = await ground.run(
        "load",
        port=running.port,
        requests=str(file),
        keys=uuid7(),
        connections=CONNECTIONS,
        seconds=seconds,
    )
    if set(found["statuses"]) != {"201"}:
        raise Failed(f"not all were logged: {found['statuses']}")
    found["cpu_us"] = (running.cpu_s() - before) * 1e6 / found["statuses"]["201"]
    return found


async def _stored(ground: Ground, place: Place, told: dict[str, list[dict[str, Any]]]) -> None:
    """What was answered is stored, and with the product it is published too."""
    ours = ground.client.database(f"{place.database_prefix}checkins")["checkins"]
    stored = await ours.count_documents({})
    answered = sum(run["statuses"]["201"] for run in told["ours"])
    if stored < answered:
        raise Failed(f"{answered} were answered, {stored} are stored")


async def known(
    ground: Ground, place: Place, count: int = PAIRS, *, goals: int = GOALS_A_PAIR
) -> list[tuple[Pair, list[str]]]:
    """Mentorships and goals, told as the goals service would tell them."""
    pairs = [
        (
            Pair(org_id=ORG, mentor_id=f"mentor-{n}", mentee_id=f"mentee-{n}"),
            [uuid7() for _ in range(goals)],
        )
        for n in range(count)
    ]
    producer = Producer(ground.kafka, client_id="bench")
    futures = []
    # Set just now, so that nothing lapses or is due meanwhile.
    now = datetime.now(UTC)
    due_at = (now + timedelta(days=60)).replace(hour=17, minute=0, second=0, microsecond=0)
    for pair, goal_ids in pairs:
        told: list[contract.Event] = [pair.started()]
        told += [
            pair.goal_set(
                goal_id,
                measure=contract.Measure(kind="number", target=10.0),
                deadline=contract.Deadline(date=f"{due_at:%Y-%m-%d}", time_zone="UTC", cutoff="17:00"),
                due_at=due_at,
            )
            for goal_id in goal_ids
        ]
        for event in told:
            sent = record(event, time=now)
            futures.append(
                await producer.send(
                    Outgoing(f"{place.topic_prefix}onbelay.goals.v1", sent.key, sent.value, sent.headers)
                )
            )
    for future in futures:
        await future
    await producer.stop()
    return pairs


def requests(ground: Ground, pairs: list[tuple[Pair, list[str]]]) -> dict[str, Path]:
    """Files of requests: the product's with token and idempotency key, the baselines' with neither."""
    ours, plain = [], []
    for n in range(GOALS_A_PAIR):
        for pair, goals in pairs:
            body = json.dumps(
                {
                    "mentorship_id": pair.mentorship_id,
                    "goal_id": goals[n],
                    "progress": {"value": 4.5},
                    "confidence": 7,
                    "realistic": True,
                    "attainable": True,
                    "note": "Two of the seven papers are read; the third is harder than it looked.",
                }
            )
            head = f"POST /v1/checkins HTTP/1.1\r\nhost: {HOST}\r\ncontent-type: application/json\r\n"
            token = ground.issuer.token(pair.mentee_id, ORG, "onbelay:participate", ttl=36_000)
            ours.append(
                {"head": f"{head}authorization: Bearer {token}\r\nidempotency-key: {{key}}\r\n", "body": body}
            )
            plain.append({"head": f"{head}x-request-id: {{key}}\r\n", "body": body})
    files = {"ours": ground.folder / "ours.jsonl", "plain": ground.folder / "plain.jsonl"}
    files["ours"].write_text("\n".join(map(json.dumps, ours)))
    files["plain"].write_text("\n".join(map(json.dumps, plain)))
    return {"ours": files["ours"], **dict.fromkeys(PEERS.values(), files["plain"])}
