"""The pairs of people that these tests need, on the session's system."""

from __future__ import annotations

import pytest

from tests.integration.checkins.world import Pair
from tests.support.system import System


@pytest.fixture(scope="module")
async def pair(system: System) -> Pair:
    """A mentorship for the tests of a module, with leader, coordinator and support contact."""
    made = await Pair(system).begin()
    await made.agree("contact")
    return made
