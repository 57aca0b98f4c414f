"""Ids of what Onbelay creates: UUIDv7 (RFC 9562), so that they sort by the moment of their making."""

from __future__ import annotations

import uuid_utils


def uuid7() -> str:
    """A new UUIDv7 in its canonical form."""
    return str(uuid_utils.uuid7())
