"""Fixtures: the engines and the system of a session, and systems of one test."""

from __future__ import annotations

import os
from collections.abc import AsyncIterator, Generator, Mapping, Sequence
from typing import Protocol

import pytest
import structlog

from tests.support.engines import Engines, engines_for_tests
from tests.support.system import DEFAULT_SERVICES, System

KEPT_SETTINGS = frozenset({"ONBELAY_TEST_ENGINES", "ONBELAY_LOCAL_MONGOD"})
KEPT_PREFIXES = ("ONBELAY_FAULTS_", "ONBELAY_FUZZ_", "ONBELAY_BENCH_")


class NewSystem(Protocol):
    """Starts a system for the present test."""

    async def __call__(
        self,
        services: Sequence[str] = DEFAULT_SERVICES,
        *,
        partitions: int = 3,
        env: Mapping[str, str] | None = None,
    ) -> System: ...


def pytest_configure() -> None:
    """What the shell sets for a stack of its own is not for the tests."""
    for name in [name for name in os.environ if name.startswith("ONBELAY_")]:
        if name not in KEPT_SETTINGS and not name.startswith(KEPT_PREFIXES):
            del os.environ[name]
    # Unless told otherwise, structlog draws tracebacks with the values of all variables, which takes seconds.
    structlog.configure(
        processors=[structlog.processors.format_exc_info, structlog.processors.KeyValueRenderer()]
    )


@pytest.fixture(scope="session")
async def engines(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Engines]:
    """The real Kafka and MongoDB; see `tests.support.engines` for which."""
    async with engines_for_tests(tmp_path_factory.mktemp("engines")) as found:
        yield found


@pytest.fixture(scope="session")
async def system(engines: Engines, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[System]:
    """The four services, for all tests that neither kill nor configure them; be alone by an organization."""
    made = System(engines, tmp_path_factory.mktemp("system"))
    try:
        await made.begin()
        yield made
    finally:
        await made.end()


@pytest.fixture
async def new_system(engines: Engines, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[NewSystem]:
    """Systems of this test's own, stopped at its end: `await new_system(services=("goals",), partitions=3)`."""
    made: list[System] = []

    async def start(
        services: Sequence[str] = DEFAULT_SERVICES,
        *,
        partitions: int = 3,
        env: Mapping[str, str] | None = None,
    ) -> System:
        folder = tmp_path_factory.mktemp("system")
        system = System(engines, folder, names=services, partitions=partitions, env=env)
        made.append(system)
        await system.begin()
        return system

    yield start
    for system in made:
        await system.end()


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item, call: pytest.CallInfo[None]
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """A failed test shows what the services of its system logged last."""
    report = yield
    if report.when == "call" and report.failed:
        for value in getattr(item, "funcargs", {}).values():
            # Of a whole stack it is `systems`; other things answer to any name.
            systems = [value] if isinstance(value, System) else getattr(value, "systems", None)
            for system in systems if isinstance(systems, list) else []:
                for name in system.names:
                    report.sections.append((f"log of {name}", system.logs(name, 30)))
    return report
