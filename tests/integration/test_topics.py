"""`python -m deploy.topics` on a real cluster."""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
from collections.abc import AsyncIterator
from dataclasses import replace
from uuid import uuid4

import pytest
from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.admin.config_resource import ConfigResource, ConfigResourceType

from deploy import topics
from deploy.local.children import ROOT
from tests.support.engines import Engines

pytestmark = pytest.mark.engines

NAMES = {
    "onbelay.goals.v1",
    "onbelay.checkins.v1",
    "onbelay.nudges.v1",
    "onbelay.support.v1",
    "onbelay.dead-letters.v1",
}


@pytest.fixture
async def admin(engines: Engines) -> AsyncIterator[AIOKafkaAdminClient]:
    made = AIOKafkaAdminClient(bootstrap_servers=engines.kafka)
    await made.start()
    yield made
    await made.close()


@pytest.fixture
async def prefix(admin: AIOKafkaAdminClient) -> AsyncIterator[str]:
    """A prefix of this test's own; its topics are removed in the end."""
    name = f"t{uuid4().hex[:12]}."
    yield name
    there = [topic for topic in await admin.list_topics() if topic.startswith(name)]
    if there:
        await admin.delete_topics(there)


async def configs(admin: AIOKafkaAdminClient, topic: str) -> dict[str, str]:
    (answer,) = await admin.describe_configs([ConfigResource(ConfigResourceType.TOPIC, topic)])
    return {entry[0]: entry[1] for entry in answer.resources[0][4]}


class TestEnsure:
    async def test_topics_are_made_as_the_contract_says(
        self, engines: Engines, admin: AIOKafkaAdminClient, prefix: str
    ) -> None:
        result = await topics.ensure(engines.kafka, topics.wanted(prefix))
        assert {name.removeprefix(prefix) for name in result.made} == NAMES
        assert (result.kept, result.differences) == ([], [])
        partitions = {
            topic["topic"].removeprefix(prefix): len(topic["partitions"])
            for topic in await admin.describe_topics()
            if topic["topic"].startswith(prefix)
        }
        assert partitions == {**dict.fromkeys(NAMES, 12), "onbelay.dead-letters.v1": 1}
        goals = await configs(admin, f"{prefix}onbelay.goals.v1")
        assert (goals["retention.ms"], goals["cleanup.policy"]) == ("-1", "delete")
        dead_letters = await configs(admin, f"{prefix}onbelay.dead-letters.v1")
        assert dead_letters["retention.ms"] == str(30 * 24 * 3600 * 1000)

    async def test_those_that_are_there_are_left_as_they_are(self, engines: Engines, prefix: str) -> None:
        await topics.ensure(engines.kafka, topics.wanted(prefix)[:2])
        again = await topics.ensure(engines.kafka, topics.wanted(prefix))
        assert (len(again.made), len(again.kept), again.differences) == (3, 2, [])

    async def test_what_differs_is_told_and_not_changed(self, engines: Engines, prefix: str) -> None:
        (goals, *_) = topics.wanted(prefix, 3)
        await topics.ensure(engines.kafka, [replace(goals, configs={"retention.ms": "1000000"})])
        expected = [
            f"{goals.name} has 3 partitions, not 12",
            f"{goals.name} has retention.ms=1000000, not -1",
        ]
        for _ in range(2):
            result = await topics.ensure(engines.kafka, topics.wanted(prefix))
            assert result.differences == expected

    async def test_several_at_once_make_them_once(self, engines: Engines, prefix: str) -> None:
        results = await asyncio.gather(
            *(topics.ensure(engines.kafka, topics.wanted(prefix)) for _ in range(4))
        )
        assert all(result.differences == [] for result in results)


class TestCommand:
    def run(self, kafka: str, prefix: str, **env: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, "-m", "deploy.topics"],
            cwd=ROOT,
            env={**os.environ, "ONBELAY_KAFKA_BOOTSTRAP": kafka, "ONBELAY_TOPIC_PREFIX": prefix, **env},
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )

    async def test_it_says_what_it_did(self, engines: Engines, prefix: str) -> None:
        first = await asyncio.to_thread(self.run, engines.kafka, prefix)
        assert (first.returncode, first.stderr) == (0, "")
        assert set(first.stdout.splitlines()) == {f"made {prefix}{name}" for name in NAMES}
        again = await asyncio.to_thread(self.run, engines.kafka, prefix)
        assert (again.returncode, again.stderr) == (0, "")
        assert set(again.stdout.splitlines()) == {f"{prefix}{name} is there" for name in NAMES}

    async def test_it_fails_where_something_differs(self, engines: Engines, prefix: str) -> None:
        await topics.ensure(engines.kafka, topics.wanted(prefix, 3))
        done = await asyncio.to_thread(self.run, engines.kafka, prefix)
        assert done.returncode == 1
        assert f"differs: {prefix}onbelay.goals.v1 has 3 partitions, not 12" in done.stderr

    def test_it_fails_where_there_is_no_cluster(self) -> None:
        done = self.run("127.0.0.1:1", "")
        assert done.returncode == 1
        assert "127.0.0.1:1: KafkaConnectionError" in done.stderr
