"""Two generations beside each other: what differs between them, document by document."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Any

from pymongo import ASCENDING

from services.metrics.store.generations import FOLDED, Generation
from shared.mongo import Doc

COMPARED = tuple(name for name in FOLDED if name not in ("risks", "stale"))
"""Assessments of risk follow from the rest and from what time it is."""

Offsets = dict[tuple[str, int], int]
"""By topic and partition the offset that comes next."""


@dataclass(frozen=True, slots=True)
class Difference:
    """A document that is not the same in both, and its fields that are not."""

    collection: str
    id: str
    fields: tuple[str, ...]

    def __str__(self) -> str:
        return f"{self.collection} {self.id}: {', '.join(self.fields)}"


async def differences(one: Generation, other: Generation) -> AsyncIterator[Difference]:
    """The documents that differ, collection by collection, in the order of their ids; in constant memory."""
    for name in COMPARED:
        ours, theirs = (
            generation.collection(name).find({}).sort("_id", ASCENDING) for generation in (one, other)
        )
        left, right = await anext(ours, None), await anext(theirs, None)
        while left is not None or right is not None:
            if right is None or (left is not None and left["_id"] < right["_id"]):
                pair: tuple[Doc | None, Doc | None] = (left, None)
            elif left is None or right["_id"] < left["_id"]:
                pair = (None, right)
            else:
                pair = (left, right)
            difference = _difference(name, *pair)
            if difference is not None:
                yield difference
            if pair[0] is not None:
                left = await anext(ours, None)
            if pair[1] is not None:
                right = await anext(theirs, None)


async def still_differs(one: Generation, other: Generation, difference: Difference) -> bool:
    """Whether a document that differed does so now."""
    left, right = [
        await generation.collection(difference.collection).find_one({"_id": difference.id})
        for generation in (one, other)
    ]
    return _difference(difference.collection, left, right) is not None


async def offsets_of(generation: Generation) -> Offsets:
    """How far a generation is folded."""
    return {
        (document["topic"], document["partition"]): document["next"]
        async for document in generation.collection("offsets").find({})
    }


def _difference(name: str, left: Doc | None, right: Doc | None) -> Difference | None:
    if left is None or right is None:
        found = left or right
        return None if found is None else Difference(name, str(found["_id"]), ("missing",))
    ours, theirs = _normal(left), _normal(right)
    if ours == theirs:
        return None
    fields = sorted(field for field in ours.keys() | theirs.keys() if ours.get(field) != theirs.get(field))
    return Difference(name, str(left["_id"]), tuple(fields))


def _normal(value: Any) -> Any:
    """A document without what depends on how batches were cut: sums that cancelled out, the order within sets."""
    if isinstance(value, dict):
        normal = {field: _normal(found) for field, found in value.items()}
        return {field: found for field, found in normal.items() if not _nothing(found)}
    if isinstance(value, list):
        items = [_normal(item) for item in value]
        if all(isinstance(item, str) for item in items):
            return sorted(items)
        if all(isinstance(item, dict) and "id" in item for item in items):
            return sorted(items, key=lambda item: str(item["id"]))
        return items
    return value


def _nothing(value: Any) -> bool:
    return value in ({}, []) or (value == 0 and not isinstance(value, bool))
