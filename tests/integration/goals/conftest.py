"""The pair that the tests of a module share, on the session's system; and goals' store without Kafka."""

from __future__ import annotations

from collections.abc import AsyncIterator
from uuid import uuid4

import pytest

from services.goals.store import Store
from shared.mongo import Collection, Doc, Mongo
from tests.integration.goals.world import GRACE, Pair
from tests.support.engines import Engines
from tests.support.system import System


class Mute:
    """A publisher without Kafka."""

    def kick(self, collection: Collection, document: Doc) -> None:
        pass


@pytest.fixture(scope="module")
async def pair(system: System) -> Pair:
    """A mentorship for the tests of a module."""
    return await Pair(system).begin()


@pytest.fixture
async def store(engines: Engines) -> AsyncIterator[Store]:
    """A store of its own, whose events nobody publishes."""
    mongo = Mongo.connect(engines.mongo)
    name = f"t{uuid4().hex[:12]}_goals"
    made = Store(mongo, mongo.database(name), Mute(), partitions=3, grace=GRACE)
    try:
        await made.make_indexes()
        yield made
    finally:
        await mongo.drop_database(name)
        await mongo.close()
