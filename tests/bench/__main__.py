"""`python -m tests.bench [ROW ...] [--quick] [--levers]`: measures, prints the table, and writes `bench.json`.

Engines of its own are started and stopped. Rows are those of `tests.bench.rows`; without any, all are measured.
`--quick` measures little of each and takes under three minutes: it shows what is broken, not what is fast. `levers`, in
place of a row, measures them alone.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

from shared import levers
from tests.bench import end_to_end, others, writes
from tests.bench.ground import Failed, Ground, median, ratios, skipped
from tests.bench.projections import QUIX_PYTHON, Projections, Sizes, growth
from tests.bench.rows import ROWS, lines, number
from tests.support.engines import embedded

CACHE_GB = 4.0
"""Of MongoDB's: by default it takes half of a machine's memory; the local stack's half gigabyte is for one desk."""
BENCH_JSON = Path("bench.json")
LOCK = Path("requirements-bench.lock")
AT_2000 = ("P1", "P2", "P3", "P4", "P6", "P9")
PROJECTIONS = (*AT_2000, "P5", "two processes")
OF_PROJECTIONS = (
    levers.READ_AS_SENT,
    levers.NEW_SUBJECTS,
    levers.OWNERS_CACHE,
    levers.RAW_COMMANDS,
    levers.PARALLEL_PARTITIONS,
    levers.FROZEN_COLLECTOR,
)
OF_WRITES = (levers.GROUP_COMMIT, levers.THIN_ROUTES, levers.REPLICA_CACHE, levers.RECORD_BATCHES)
LEVERS = "levers"
"""In place of a row: the levers alone."""
Results = dict[str, dict[str, Any]]


class Bench:
    """All rows that are wanted, on one ground."""

    def __init__(
        self, ground: Ground, wanted: set[str], *, quick: bool, repetitions: int, say: Callable[[str], None]
    ) -> None:
        self._ground = ground
        self._wanted = wanted
        self._quick = quick
        self._repetitions = repetitions
        self._say = say
        self._many = 1_000_000
        self.results: Results = {}

    async def run(self) -> None:
        """Measure; a row that fails says so, and the others are measured all the same."""
        quick = self._quick
        await self._try(
            ("N1",),
            lambda: others.relay(
                self._ground, events=20_000 if quick else 200_000, repetitions=self._repetitions
            ),
        )
        # After what has warmed the engines up: a broker that has just begun runs code that is not compiled yet.
        await self._try(
            ("R1", "R2", "R3"),
            lambda: writes.measure(self._ground, repetitions=self._repetitions, seconds=1.5 if quick else 4),
        )
        await self._try(
            ("T1",),
            lambda: others.deadlines(
                self._ground,
                goals=2_000 if quick else 20_000,
                alone=300 if quick else 1_500,
                repetitions=self._repetitions,
            ),
        )
        await self._try(
            ("P8",),
            lambda: others.idle(self._ground, events=30 if quick else 60, repetitions=self._repetitions),
        )
        await self._try(("end to end",), lambda: end_to_end.measure(self._ground, seconds=8 if quick else 30))
        if self._wanted & set(PROJECTIONS):
            await self._projections()
        if not quick:
            await self._try(
                ("growth",),
                lambda: growth(self._ground, few=10_000, many=self._many, events=60_000),
            )

    async def _projections(self) -> None:
        quick = self._quick
        sizes = Sizes(
            pairs=400 if quick else 5_000,
            peer_events=8_000 if quick else 30_000,
            slow_events=400 if quick else 3_000,
            repetitions=self._repetitions,
        )
        on = Projections(self._ground, sizes)
        self._say("publishing the events of the projections")
        await on.publish()

        async def at_2000() -> dict[str, Any]:
            await on.check()
            return await on.at_2000(self._wanted)

        async def untuned() -> dict[str, Any]:
            found = await on.batches(2_000, collector=False, repetitions=min(3, self._repetitions))
            return self.results["P1"] | {"untuned_ratio": found["ratio"], "untuned_runs": found["runs"]}

        await self._try(AT_2000, at_2000)
        if not quick and "ratio" in self.results.get("P1", {}):
            await self._try(("P1",), untuned)
        await self._try(("P5",), lambda: on.batches(500))
        if not quick:
            await self._try(("two processes",), on.two_processes)

    async def levers(self) -> dict[str, Any]:
        """What each lever gives: the rate with all on over that with it off; one that fails says so."""
        projected: dict[str, Any] = {}
        written: dict[str, Any] = {}
        on = Projections(self._ground, Sizes(2_000, 0, 0, 1))
        # Without it each event is some seven round trips: a batch of thousands would outlast its transaction.
        few = Projections(self._ground, Sizes(100, 0, 0, 1))
        for projections, names, batch in ((on, OF_PROJECTIONS, 2_000), (few, (levers.FOLD_ONCE,), 200)):
            await projections.publish()
            whole = await projections.ours(batch)
            for name in names:
                await self._lever(projected, name, projections.lever(name, whole, batch=batch))
        rates = await writes.rate(self._ground, without="")
        for name in OF_WRITES:
            await self._lever(written, name, self._of_writes(name, rates))
        return {"projection": projected, "writes": written}

    async def _of_writes(self, name: str, rates: list[float]) -> dict[str, float]:
        return {"gain": median(ratios(rates, await writes.rate(self._ground, without=name)))}

    async def _lever(self, into: dict[str, Any], name: str, measuring: Awaitable[dict[str, Any]]) -> None:
        try:
            into[name] = await measuring
        except (Failed, TimeoutError, OSError) as error:
            into[name] = skipped(error)
        self._say(f"without {name}: {into[name]}")

    async def _try(self, keys: tuple[str, ...], measure: Callable[[], Awaitable[dict[str, Any]]]) -> None:
        wanted = [key for key in keys if key in self._wanted]
        if not wanted:
            return
        begun = time.monotonic()
        try:
            found = await measure()
        except (Failed, TimeoutError, OSError) as error:
            self._say(f"{', '.join(wanted)} failed: {error}")
            self.results |= dict.fromkeys(wanted, skipped(error))
            return
        if len(keys) == 1:
            self.results[keys[0]] = found
        else:
            self.results |= found
        for cells in lines({key: self.results[key] for key in keys if key in self.results}):
            self._say(f"{cells[0]}: {cells[2]}, goal {cells[3]}: {cells[4]}")
        self._say(f"{', '.join(wanted)} measured in {time.monotonic() - begun:.0f} s")


def install_peers() -> str | None:
    """Quix Streams and py-spy in an environment of their own; why not, if it cannot be."""
    if QUIX_PYTHON.is_file():
        return None
    try:
        subprocess.run([sys.executable, "-m", "venv", str(QUIX_PYTHON.parents[1])], check=True)
        subprocess.run(
            [str(QUIX_PYTHON), "-m", "pip", "install", "-q", "--require-hashes", "-r", str(LOCK)], check=True
        )
    except (OSError, subprocess.CalledProcessError) as error:
        with contextlib.suppress(OSError):
            QUIX_PYTHON.unlink()
        return str(error)
    return None


async def measured(
    wanted: set[str], *, quick: bool, repetitions: int, with_levers: bool, console: Console
) -> Results:
    """Run the benchmarks on engines of their own."""
    begun = time.monotonic()

    def say(text: str) -> None:
        console.print(f"[dim]{time.monotonic() - begun:6.0f} s[/dim]  {text}")

    with tempfile.TemporaryDirectory(prefix="onbelay-bench-") as folder:
        async with embedded(Path(folder), mongo_cache_gb=CACHE_GB) as engines:
            ground = Ground(engines, Path(folder))
            bench = Bench(ground, wanted, quick=quick, repetitions=repetitions, say=say)
            await bench.run()
            if with_levers:
                bench.results["levers"] = await bench.levers()
            return bench.results


def _levers_table(told: dict[str, Any]) -> Table:
    """What each lever gives: rates, and where it was measured CPU of the process, as ratios above 1 where it helps."""
    table = Table(title="Levers: with it, over without")
    for heading in ("lever", "measured on", "rate", "CPU saved"):
        table.add_column(heading)
    for on, found in told.items():
        for name, gains in found.items():
            told_of = [number(gains[each]) if each in gains else "" for each in ("gain", "cpu_gain")]
            table.add_row(name, on, *(told_of if "gain" in gains else (gains["skipped"], "")))
    return table


def main() -> None:
    """Parse the arguments, measure, print, and write."""
    parser = argparse.ArgumentParser(prog="python -m tests.bench", description=__doc__)
    parser.add_argument(
        "rows", nargs="*", metavar="ROW", help=", ".join([*(row.key for row in ROWS), LEVERS])
    )
    parser.add_argument("--quick", action="store_true", help="little of each, in under 3 minutes")
    parser.add_argument("--repetitions", type=int, help="of each pair; by default 5, and 1 of the quick ones")
    parser.add_argument("--levers", action="store_true", help="measure each lever switched off, too")
    asked = parser.parse_args()
    known = {row.key for row in ROWS}
    if unknown := set(asked.rows) - known - {LEVERS}:
        parser.error(f"no such row: {', '.join(sorted(unknown))}")
    console = Console(width=max(120, Console().width))
    if not asked.quick and (why := install_peers()):
        console.print(f"Quix Streams is not there: {why}")
    os.environ.pop("ONBELAY_WITHOUT", None)
    results = asyncio.run(
        measured(
            set(asked.rows) or known,
            quick=asked.quick,
            repetitions=asked.repetitions or (1 if asked.quick else 5),
            with_levers=asked.levers or LEVERS in asked.rows,
            console=console,
        )
    )
    table = Table(title="Benchmarks" + (" (quick)" if asked.quick else ""))
    for heading in ("", "measure", "measured", "goal", ""):
        table.add_column(heading)
    for cells in lines(results):
        table.add_row(*cells)
    if table.row_count:
        console.print(table)
    if "levers" in results:
        console.print(_levers_table(results["levers"]))
    kept = json.loads(BENCH_JSON.read_text()) if asked.rows and BENCH_JSON.is_file() else {}
    BENCH_JSON.write_text(json.dumps(kept | results, indent=2) + "\n")


if __name__ == "__main__":
    main()
