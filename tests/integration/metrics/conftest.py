"""The metrics service alone: what others would send, tests publish."""

from __future__ import annotations

from collections.abc import AsyncIterator
from uuid import uuid4

import pytest

from tests.integration.metrics.published import PARTITIONS
from tests.support.engines import Engines
from tests.support.system import System


@pytest.fixture(scope="session")
async def metrics(engines: Engines, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[System]:
    """The service, for all tests here; each is alone by an organization of its own."""
    system = System(engines, tmp_path_factory.mktemp("metrics"), names=("metrics",), partitions=PARTITIONS)
    try:
        await system.begin()
        yield system
    finally:
        await system.end()


@pytest.fixture
def org() -> str:
    """An organization that nobody else has."""
    return f"org-{uuid4().hex[:12]}"
