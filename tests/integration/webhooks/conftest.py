"""A world for each test."""

from __future__ import annotations

from collections.abc import AsyncIterator
from uuid import uuid4

import pytest

from tests.integration.webhooks.world import World
from tests.support.receiver import receiver
from tests.support.system import System


@pytest.fixture
async def world(system: System) -> AsyncIterator[World]:
    """An organization of the test's own, and a receiver that answers 204."""
    async with receiver() as found:
        yield World(system, found, f"org-{uuid4().hex[:10]}")
