"""The pair that the tests of a module share, on the session's system."""

from __future__ import annotations

import pytest

from tests.integration.goals.world import Pair
from tests.support.system import System


@pytest.fixture(scope="module")
async def pair(system: System) -> Pair:
    """A mentorship for the tests of a module."""
    return await Pair(system).begin()
