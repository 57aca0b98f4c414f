"""The Kafka cluster, as the publisher remembers it."""

from __future__ import annotations

from shared.mongo import Database

META = "meta"


class Cluster:
    """What the publisher remembers of the Kafka cluster that it has filled."""

    def __init__(self, database: Database) -> None:
        self._meta = database[META]

    async def filled(self) -> str | None:
        """The id of the cluster that has all that was ever published; None while one is being filled."""
        found = await self._meta.find_one({"_id": "kafka"})
        return None if found is None or found.get("refilling") else str(found["cluster_id"])
