"""P1-P6, P9, growth and two processes: the projection beside its peers, on the same records of the same topics."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Awaitable, Callable, Iterator, Sequence, Set
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from shared import events as contract
from shared.ids import uuid7
from tests.bench import workload
from tests.bench.ground import Failed, Ground, Place, median, rated, ratios, run_json, skipped
from tests.bench.workload import BEGIN, Told

CHECKED_PAIRS = 25
QUIX_PYTHON = Path(".venv-bench/bin/python")
Run = dict[str, Any]


WORKERS = 32
"""Messages at once of the subscriber per message, where it is allowed any."""


@dataclass(frozen=True, slots=True)
class Sizes:
    """How much is measured: pairs (40 events each), what the slow peers take of it, and repetitions."""

    pairs: int
    peer_events: int
    slow_events: int
    repetitions: int


def there(path: Path) -> bool:
    """Whether a file is there."""
    return path.is_file()


class Projections:
    """Runs the projection and its peers on one dataset."""

    def __init__(self, ground: Ground, sizes: Sizes) -> None:
        self._ground = ground
        self._sizes = sizes
        self._data = Place.new()
        self.events = 0

    async def publish(self) -> None:
        """Make the dataset."""
        await self._ground.topics(self._data)
        told = workload.events(self._sizes.pairs)
        self.events = await workload.publish(self._ground.kafka, self._data.topic_prefix, told)

    # -- the rows

    async def check(self) -> None:
        """Before any time counts: on few pairs, every peer comes to the numbers of the product.

        Raises:
            Failed: one does not.
        """
        few = Projections(self._ground, Sizes(CHECKED_PAIRS, 0, 0, 1))
        await few.publish()
        place = few._place()
        await few._project(place, few.events)
        expected = await few._sums(place)
        for name in ("batch_subscriber", "per_message"):
            of_peer = few._place()
            await few._peer(name, of_peer, few.events)
            found = await few._sums(of_peer)
            if found != expected:
                raise Failed(f"{name} counts otherwise: {found} instead of {expected}")
            await self._ground.clean(of_peer)
        await self._ground.clean(place)

    async def at_2000(self, wanted: Set[str]) -> dict[str, Run]:
        """The rows of `wanted` beside the product at 2,000: in each repetition each peer, one after the other.

        Returns:
            Of P1 to P4, P6 and P9 what is wanted; a peer that fails is `skipped`, with the reason.
        """
        peers: dict[str, Callable[[], Awaitable[Run]]] = {
            "P1": lambda: self._subscriber(2_000),
            "P2": lambda: self._per_message(1),
            "P2 workers": lambda: self._per_message(WORKERS),
            "P3": self._limit,
            "P4": lambda: self._peer("consume", self._place(), self.events, tuned=True),
            "P9": self._quix,
        }
        asked = wanted | ({"P1"} if "P6" in wanted else set())
        found: dict[str, list[Run]] = {name: [] for name in peers if name.split(" ")[0] in asked}
        failed: dict[str, Run] = {}
        ours = []
        for _ in range(self._sizes.repetitions):
            ours.append(await self.ours(2_000))
            for name in [name for name in found if name not in failed]:
                try:
                    found[name].append(await peers[name]())
                except (Failed, TimeoutError, OSError) as error:
                    failed[name] = skipped(error)
        rows: dict[str, Run] = {}
        for name, theirs in found.items():
            if name in failed:
                rows[name] = failed[name]
                if name == "P1":
                    rows["P6"] = failed[name]
            elif name == "P1":
                rows[name] = _beside(ours, theirs)
                rows["P6"] = {
                    each.removeprefix("cpu_"): rows[name][each] for each in ("cpu_ratio", "cpu_runs")
                }
                rows["P6"] |= {each: rows[name][each] for each in ("cpu_us", "peer_cpu_us")}
            else:
                rows[name] = rated(ours, theirs, "documents_s" if name == "P3" else "rate")
        if workers := rows.pop("P2 workers", None):
            rows["P2"] |= {f"workers_{name}": value for name, value in workers.items() if name != "rate"}
        return {name: row for name, row in rows.items() if name in wanted}

    async def batches(self, batch: int, *, collector: bool = True, repetitions: int | None = None) -> Run:
        """The product at a batch size, and the batch subscriber at the same, in pairs.

        `collector`: the product's is tuned as it ships, the subscriber's left as it is; else neither's is, and the
        product takes half of the dataset.
        """
        ours, peers = [], []
        for _ in range(repetitions or self._sizes.repetitions):
            if collector:
                ours.append(await self.ours(batch))
            else:
                ours.append(await self.ours(batch, without="frozen-collector", events=self.events // 2))
            peers.append(await self._subscriber(batch))
        return _beside(ours, peers)

    async def two_processes(self) -> Run:
        """Two processes of one group beside one alone, on the same cores."""
        runs = []
        for _ in range(min(2, self._sizes.repetitions)):
            alone = await self.ours(2_000)
            place = self._place()
            both = await asyncio.gather(*(self._project(place, self.events, port=port) for port in (1, 2)))
            await self._ground.clean(place)
            seconds = max(each["ended_at"] for each in both) - min(each["begun_at"] for each in both)
            runs.append(self.events / seconds / alone["rate"])
        return {"ratio": median(runs), "runs": runs}

    async def lever(self, name: str, whole: Run, *, batch: int = 2_000) -> Run:
        """What a lever gives: the rate of `whole`, with it on, over that without it, and the CPU that it saves."""
        off = await self.ours(batch, without=name)
        return {"gain": whole["rate"] / off["rate"], "cpu_gain": off["cpu_us"] / whole["cpu_us"]}

    # -- one run each

    async def ours(self, batch: int, *, without: str = "", events: int | None = None) -> Run:
        """The product, once over the dataset, or so much of it, into a database of its own."""
        place = self._place()
        before = await self._documents()
        found = await self._project(place, events or self.events, batch=batch, without=without)
        found["documents_s"] = (await self._documents() - before) / found["seconds"]
        await self._ground.clean(place)
        return found

    async def _subscriber(self, batch: int) -> Run:
        """The batch subscriber, over a part of the dataset."""
        return await self._cleaned("batch_subscriber", self._sizes.peer_events, batch=batch)

    async def _per_message(self, workers: int) -> Run:
        """One message after the other, or so many at once, over a smaller part."""
        events = self._sizes.slow_events if workers > 1 else self._sizes.slow_events // 3
        return await self._cleaned("per_message", events, workers=workers)

    async def _cleaned(self, name: str, events: int, **options: Any) -> Run:
        place = self._place()
        found = await self._peer(name, place, min(self.events, events), **options)
        await self._ground.clean(place)
        return found

    async def _limit(self) -> Run:
        place = self._place()
        env = self._peer_env(place)
        found: Run = await self._ground.run("peers.bulk_limit", env=env, pairs=self._sizes.pairs)
        await self._ground.clean(place)
        return found

    async def _quix(self) -> Run:
        """Needs the environment of `requirements-bench.lock`."""
        if not there(QUIX_PYTHON):
            raise Failed("Quix Streams could not be installed")
        place = self._place()
        env = {**self._peer_env(place), "PYTHONWARNINGS": "ignore"}
        asked = b'{"events": %d, "batch": 2000}' % min(self.events, self._sizes.peer_events)
        script = str(Path(__file__).with_name("peers") / "quix_sink.py")
        found: Run = await run_json(script, asked, env=env, python=str(QUIX_PYTHON), script=True)
        latest = self._ground.client.database(f"{place.database_prefix}metrics")["latest"]
        if not await latest.estimated_document_count():
            raise Failed("Quix Streams stored nothing")
        await self._ground.clean(place)
        return found

    async def _project(
        self,
        place: Place,
        events: int,
        *,
        batch: int = 2_000,
        without: str = "",
        port: int = 0,
    ) -> Run:
        env = {**self._ground.environment(place, port=port), "ONBELAY_WITHOUT": without}
        found: Run = await self._ground.run("project", env=env, events=events, batch=batch)
        return found

    async def _peer(
        self,
        name: str,
        place: Place,
        events: int,
        *,
        batch: int = 2_000,
        tuned: bool = False,
        workers: int = WORKERS,
    ) -> Run:
        found: Run = await self._ground.run(
            f"peers.{name}",
            env=self._peer_env(place),
            events=events,
            batch=batch,
            tuned=tuned,
            workers=workers,
        )
        return found

    def _place(self) -> Place:
        return Place(self._data.topic_prefix, Place.new().database_prefix)

    def _peer_env(self, place: Place) -> dict[str, str]:
        return {
            "PEER_KAFKA": self._ground.kafka,
            "PEER_MONGO": self._ground.mongo,
            "PEER_DATABASE": f"{place.database_prefix}metrics",
            "PEER_TOPIC_PREFIX": place.topic_prefix,
        }

    async def _documents(self) -> int:
        """Documents that MongoDB has inserted and updated so far."""
        status = await self._ground.client.database("admin").command("serverStatus")
        documents = status["metrics"]["document"]
        return int(documents["inserted"] + documents["updated"])

    async def _sums(self, place: Place) -> dict[str, int]:
        """All of the organizations' numbers, and how many documents of each kind there are."""
        database = self._ground.client.database(f"{place.database_prefix}metrics")
        sums: dict[str, int] = {}
        async for cell in database["cells"].find({"scope": "orgs"}):
            for role in ("mentor", "mentee"):
                for number, amount in cell.get(role, {}).items():
                    sums[f"{role}.{number}"] = sums.get(f"{role}.{number}", 0) + amount
        for name in ("goals", "diaries", "mentorships"):
            sums[name] = await database[name].count_documents({})
        return {name: amount for name, amount in sums.items() if amount}


def _beside(ours: Sequence[Run], peers: Sequence[Run]) -> Run:
    """The row of rates in pairs, with what of CPU and memory was used."""
    cpu = ratios([each["cpu_us"] for each in ours], [each["cpu_us"] for each in peers])
    return {
        **rated(ours, peers),
        "cpu_ratio": median(cpu),
        "cpu_runs": cpu,
        "cpu_us": median(each["cpu_us"] for each in ours),
        "peer_cpu_us": median(each["cpu_us"] for each in peers),
        "rss_mb": max(each["rss_mb"] for each in ours),
    }


async def growth(ground: Ground, *, few: int, many: int, events: int) -> Run:
    """The cost of an event with `many` goals beside that with `few`, both folded before; memory with `many`.

    The events are alike: check-ins about so many goals as there are `few`, with `many` those of a share of the people.
    """
    found: dict[int, Run] = {}
    filled: dict[int, Run] = {}
    for goals in (few, many):
        place = Place.new()
        await ground.topics(place)
        kept: list[Told] = []
        told = await workload.publish(
            ground.kafka, place.topic_prefix, _remembering(goals, kept, few / goals)
        )
        env = ground.environment(place)
        filled[goals] = await ground.run("project", env=env, events=told, batch=2_000, timeout_s=900)
        sent = await workload.publish(ground.kafka, place.topic_prefix, _check_ins(kept, events))
        # The group's offsets are those that are stored: this process begins where the other ended.
        found[goals] = await ground.run("project", env=env, events=told + sent, batch=2_000)
        await ground.clean(place)
    runs = [found[few]["rate"] / found[many]["rate"]]
    return {
        "ratio": runs[0],
        "runs": runs,
        "cpu_ratio": found[many]["cpu_us"] / found[few]["cpu_us"],
        "rss_mb": filled[many]["rss_mb"],
        "fill_rate": filled[many]["rate"],
        "goals": many,
    }


def _remembering(goals: int, kept: list[Told], share: float) -> Iterator[Told]:
    """The setting of so many goals; those of a share of the pairs, at random, are kept to check in on."""
    chance = random.Random(5)
    keeping = False
    for each in workload.goals_set(goals // workload.GOALS_A_PAIR):
        if isinstance(each[2], contract.GoalSet):
            if keeping:
                kept.append(each)
        else:
            keeping = chance.random() < share
        yield each


def _check_ins(goals: list[Told], events: int) -> Iterator[Told]:
    """A check-in about one of the goals after the other, over and over."""
    for n in range(events):
        _, number, event, _, _ = goals[n % len(goals)]
        assert isinstance(event, contract.GoalSet)
        at = BEGIN + (workload.WEEKS / events) * n
        logged = contract.CheckInLogged(
            org_id=event.org_id,
            program_id=event.program_id,
            mentorship_id=event.mentorship_id,
            checkin_id=uuid7(),
            goal_id=event.goal_id,
            author_id=event.owner_id,
            author_role=event.owner_role,
            occurred_at=at,
            logged_at=at,
            progress=contract.Progress(value=3.0),
            confidence=7,
            realistic=True,
            attainable=True,
        )
        yield (at, number, logged, contract.subject_of(logged), 1)
