"""What an `Idempotency-Key` stands for, and the answer that is kept for it. Free of frameworks.

The edge makes an `Idem` of each POST that names a key; the store keeps the `Answer` beside the effect, in the
same write, and gives it back when the key comes again.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from typing import Any

import msgspec

MAX_KEY_LENGTH = 255


class Idem(msgspec.Struct, frozen=True):
    """One use of an idempotency key.

    `k` names the key within its organization, acting person, method and path; `fp` is the fingerprint of the
    body, the same for the same JSON however it was written. Both are SHA-256, in hex.
    """

    k: str
    fp: str


class Answer(msgspec.Struct, frozen=True):
    """An answer to a request, as it is sent and as it is kept.

    `body` holds JSON's own types alone (instants as strings), since it is stored and sent again later.
    `replayed` marks an answer that was kept from an earlier request.
    """

    status: int = 200
    body: dict[str, Any] | None = None
    headers: dict[str, str] = {}
    replayed: bool = False


def idem(*, org_id: str, person_id: str, method: str, path: str, key: str, body: Any) -> Idem:
    """The `Idem` of a request: `body` is the JSON value that was sent."""
    named = (
        f"{len(org_id)}:{org_id}{len(person_id)}:{person_id}{len(method)}:{method}{len(path)}:{path}"
        f"{len(key)}:{key}"
    )
    return Idem(k=_sha256(named), fp=fingerprint(body))


def fingerprint(body: Any) -> str:
    """The same for two JSON values exactly when they are equal, whatever the order of their members."""
    return hashlib.sha256(msgspec.json.encode(body, order="sorted")).hexdigest()


def without(body: Mapping[str, Any], *names: str) -> dict[str, Any]:
    """A batch's item as it would be sent alone."""
    return {name: value for name, value in body.items() if name not in names}


def _sha256(text: str) -> str:
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()
