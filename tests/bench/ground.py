"""Where benchmarks run: engines of their own, and for each thing measured a process of its own."""

from __future__ import annotations

import asyncio
import json
import os
import statistics
import sys
from collections.abc import AsyncIterator, Iterable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from uuid import uuid4

import psutil

from deploy import topics
from deploy.local import services
from deploy.local.children import Child, Program
from deploy.local.issuer import Issuer
from deploy.local.ports import HOST, pick
from shared.mongo import Mongo
from tests.support.engines import Engines

RUN_S = 600.0


class Failed(Exception):
    """A benchmark could not be run, or came to a wrong result; the message says how."""


@dataclass(frozen=True, slots=True)
class Place:
    """Topics and databases of one thing measured: their prefixes."""

    topic_prefix: str
    database_prefix: str

    @classmethod
    def new(cls) -> Place:
        """One that nobody has used."""
        name = uuid4().hex[:10]
        return cls(f"b{name}.", f"b{name}_")


class Ground:
    """The engines, a folder for logs, and an issuer of tokens."""

    def __init__(self, engines: Engines, folder: Path) -> None:
        self.kafka, self.mongo = engines.kafka, engines.mongo
        self.folder = folder
        self.issuer = Issuer.create(folder / "keys")
        self.client = Mongo.connect(self.mongo, name="bench")

    async def topics(self, place: Place, partitions: int = 6) -> None:
        """Make the contract's topics."""
        await topics.ensure(self.kafka, topics.wanted(place.topic_prefix, partitions))

    async def clean(self, place: Place) -> None:
        """Remove a place's databases; topics end with the engines."""
        for name in await self.client._client.list_database_names():
            if name.startswith(place.database_prefix):
                await self.client.drop_database(name)

    def environment(self, place: Place, partitions: int = 6, port: int = 0) -> dict[str, str]:
        """A service's settings as in production: no sandbox."""
        surroundings = services.Surroundings(
            kafka=self.kafka,
            mongo=self.mongo,
            mail_port=1,
            jwks=self.issuer.jwks,
            link_secret="b" * 32,
            ports=dict.fromkeys(services.NAMES, port),
            extra={
                "ONBELAY_SANDBOX": "false",
                "ONBELAY_TOPIC_PREFIX": place.topic_prefix,
                "ONBELAY_MONGO_DATABASE_PREFIX": place.database_prefix,
                "ONBELAY_PARTITIONS": str(partitions),
            },
        )
        return surroundings.environment()

    @asynccontextmanager
    async def service(
        self, name: str, place: Place, *, partitions: int = 6, env: Mapping[str, str] | None = None
    ) -> AsyncIterator[Running]:
        """A service of the product, as it is shipped, until the end of the block."""
        (port,) = pick(1)
        program = Program(
            name,
            (sys.executable, "-m", f"services.{name}"),
            self.folder / f"{name}-{port}.log",
            {**self.environment(place, partitions, port), **(env or {})},
        )
        async with self._running(program, port, "/readyz") as running:
            yield running

    @asynccontextmanager
    async def peer(self, name: str, env: Mapping[str, str]) -> AsyncIterator[Running]:
        """A peer's HTTP application under uvicorn, with what makes it fast: uvloop, httptools, no access log."""
        (port,) = pick(1)
        argv = (
            *(sys.executable, "-m", "uvicorn", f"tests.bench.peers.{name}:app"),
            *("--host", HOST, "--port", str(port), "--log-level", "warning", "--no-access-log"),
            *("--loop", "uvloop", "--http", "httptools"),
        )
        async with self._running(
            Program(name, argv, self.folder / f"{name}.log", env), port, "/openapi.json"
        ) as it:
            yield it

    @asynccontextmanager
    async def _running(self, program: Program, port: int, path: str) -> AsyncIterator[Running]:
        child = await Child.start(program)
        try:
            await child.ready(lambda: _answers(port, path))
            yield Running(child, port)
        finally:
            await child.stop()

    async def run(self, module: str, *, env: Mapping[str, str] | None = None, **told: Any) -> Any:
        """Run `python -m tests.bench.<module>` with `told` as JSON on its standard input; its JSON answer.

        Raises:
            Failed: it ended otherwise; tells what it said last.
        """
        return await run_json(f"tests.bench.{module}", json.dumps(told).encode(), env=env)


@dataclass(frozen=True, slots=True)
class Running:
    """A process that answers HTTP on a port."""

    child: Child
    port: int

    def cpu_s(self) -> float:
        """CPU seconds that it has used so far."""
        return cpu_s(self.child.pid)


def cpu_s(pid: int) -> float:
    """CPU seconds, user and system, that a process has used so far."""
    times = psutil.Process(pid).cpu_times()
    return float(times.user + times.system)


async def run_json(
    module: str,
    told: bytes,
    *,
    env: Mapping[str, str] | None = None,
    python: str = "",
    script: bool = False,
) -> Any:
    """Run a module, or a script, with JSON on standard input; its last line of standard output, from JSON."""
    process = await asyncio.create_subprocess_exec(
        *(python or sys.executable, *(() if script else ("-m",)), module),
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
        env={**os.environ, **(env or {})},
    )
    try:
        async with asyncio.timeout(RUN_S):
            said, wrong = await process.communicate(told)
    except BaseException:
        process.kill()
        raise
    if process.returncode != 0 or not said.strip():
        raise Failed(f"{module} ended with {process.returncode}:\n{wrong.decode()[-4000:]}")
    return json.loads(said.splitlines()[-1])


async def _answers(port: int, path: str) -> None:
    reader, writer = await asyncio.open_connection(HOST, port)
    try:
        writer.write(f"GET {path} HTTP/1.1\r\nHost: {HOST}\r\nConnection: close\r\n\r\n".encode())
        line = await asyncio.wait_for(reader.readline(), 3)
        if b" 200 " not in line:
            raise OSError(f"not ready: {line!r}")
    finally:
        writer.close()


def median(values: Iterable[float]) -> float:
    """The median."""
    return statistics.median(values)


def rated(
    ours: Sequence[Mapping[str, Any]], peers: Sequence[Mapping[str, Any]], by: str = "rate"
) -> dict[str, Any]:
    """The row of rates in pairs; `by` names the rate."""
    rates, theirs = ([each[by] for each in runs] for runs in (ours, peers))
    runs = ratios(rates, theirs)
    return {"ratio": median(runs), "runs": runs, "rate": median(rates), "peer_rate": median(theirs)}


def skipped(error: BaseException) -> dict[str, Any]:
    """The row of what could not be measured."""
    return {"skipped": f"failed: {str(error).splitlines()[0]}"}


def ratios(above: Sequence[float], below: Sequence[float]) -> list[float]:
    """The ratios of paired runs."""
    return [a / b for a, b in zip(above, below, strict=True)]
