"""The levers of the hot paths: what makes them fast, each with a name under which it can be switched off.

All are on. `ONBELAY_WITHOUT=group-commit,thin-routes` takes the plain way instead, with the same promises: for
`tests.bench`, which shows what each lever gives, and for whoever suspects one.
"""

from __future__ import annotations

import os

GROUP_COMMIT = "group-commit"
"""Inserts of the same moment go in one command."""
RECORD_BATCHES = "record-batches"
"""The publisher hands the producer a batch a partition, not record by record."""
THIN_ROUTES = "thin-routes"
"""Hot requests that are surely right are taken by msgspec and skip the framework."""
REPLICA_CACHE = "replica-cache"
"""Checkins keeps replica documents in memory, until they change."""
OWNERS_CACHE = "owners-cache"
"""The intake remembers which organization goals and mentorships belong to."""
NEW_SUBJECTS = "new-subjects"
"""Whose first event comes is taken for new and inserted; has it come before, the batch begins again with a look."""
READ_AS_SENT = "read-as-sent"
"""A record with just the headers that we send, in our order, is read by a short way."""
FOLD_ONCE = "fold-once"
"""Each document of a batch is written once, whatever number of its events there are."""
PARALLEL_PARTITIONS = "parallel-partitions"
"""Transactions of several partitions are in flight at once."""
RAW_COMMANDS = "raw-commands"
"""Bulk updates go as one command of plain documents, without the driver's operation objects."""
FROZEN_COLLECTOR = "frozen-collector"
"""The cyclic collector is frozen after start-up, and its first threshold raised."""

ALL = frozenset(
    {
        GROUP_COMMIT,
        RECORD_BATCHES,
        THIN_ROUTES,
        REPLICA_CACHE,
        OWNERS_CACHE,
        NEW_SUBJECTS,
        READ_AS_SENT,
        FOLD_ONCE,
        PARALLEL_PARTITIONS,
        RAW_COMMANDS,
        FROZEN_COLLECTOR,
    }
)

_OFF = frozenset(filter(None, os.environ.get("ONBELAY_WITHOUT", "").split(",")))
if _OFF - ALL:
    raise ValueError(f"ONBELAY_WITHOUT names no lever: {', '.join(sorted(_OFF - ALL))}")


def on(lever: str) -> bool:
    """Whether a lever is on."""
    return lever not in _OFF
