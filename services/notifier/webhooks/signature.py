"""Signatures of Standard Webhooks, symmetric (`v1`): HMAC-SHA-256 over id, timestamp and body.

Source: Standard Webhooks 1.0, "Signature scheme" and "Webhook headers".
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import secrets
from collections.abc import Iterable

PREFIX = "whsec_"
SECRET_BYTES = 32
"""The standard asks for 24 to 64."""


def new_secret() -> str:
    """A secret as it is shown: the prefix, and random bytes in base64."""
    return PREFIX + base64.b64encode(secrets.token_bytes(SECRET_BYTES)).decode()


def sign(secret: str, id_: str, timestamp: str, body: bytes) -> str:
    """One signature, `v1,<base64>`; `timestamp` is in whole seconds since 1970."""
    key = base64.b64decode(secret.removeprefix(PREFIX))
    signed = b".".join((id_.encode(), timestamp.encode(), body))
    return "v1," + base64.b64encode(hmac.digest(key, signed, hashlib.sha256)).decode()


def headers(secrets_: Iterable[str], id_: str, timestamp: str, body: bytes) -> dict[str, str]:
    """The three headers; one signature per secret, with spaces between them."""
    return {
        "webhook-id": id_,
        "webhook-timestamp": timestamp,
        "webhook-signature": " ".join(sign(secret, id_, timestamp, body) for secret in secrets_),
    }
