"""Signed links: a token that lets whoever holds it do one thing, as one person, for a while.

A token is `<payload>.<signature>`, both base64url: the payload is a JSON array, the signature HMAC-SHA-256
over the payload's text with a key derived from `ONBELAY_LINK_SECRET`. Nothing is stored; a changed secret
ends all.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import json
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from shared.errors import Gone, NotFound
from shared.settings import Settings

CHECK_IN = "check_in"
"""The one-tap form that a nudge links to."""
CALENDAR = "calendar"
"""A person's calendar feed."""

MAX_TOKEN_LENGTH = 1024
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MS = timedelta(milliseconds=1)


@dataclass(frozen=True, slots=True)
class Link:
    """What a token stands for. `expires` is domain time; None: it holds until the secret changes."""

    purpose: str
    org_id: str
    person_id: str
    goal_id: str | None = None
    expires: datetime | None = None


class Links:
    """Makes and reads tokens.

    Args:
        secret: at least 32 characters, the same in all services.

    Raises:
        ValueError: the secret is too short.
    """

    def __init__(self, secret: str) -> None:
        if len(secret) < 32:
            raise ValueError("ONBELAY_LINK_SECRET is needed: at least 32 characters")
        self._key = hmac.digest(secret.encode(), b"onbelay links v1", hashlib.sha256)

    @classmethod
    def of(cls, settings: Settings) -> Links:
        """The links that the settings' secret signs."""
        return cls(settings.link_secret.get_secret_value())

    def token(self, link: Link) -> str:
        """The token of a link; safe in a URL's path."""
        expires = None if link.expires is None else (link.expires - _EPOCH) // _MS
        fields = [link.purpose, link.org_id, link.person_id, link.goal_id, expires]
        payload = _encode(json.dumps(fields, separators=(",", ":")).encode())
        return f"{payload}.{self._signature(payload)}"

    def read(self, token: str, purpose: str, now: datetime) -> Link:
        """The link of a token, for `purpose` alone; `now` is domain time.

        Raises:
            NotFound: it is none of ours, or for something else.
            Gone: it was, and has expired.
        """
        payload, _, signature = token.partition(".")
        # The texts are compared, not what they decode to: then no other text stands for the same signature.
        if len(token) > MAX_TOKEN_LENGTH or not hmac.compare_digest(
            self._signature(payload).encode(), signature.encode("utf-8", "replace")
        ):
            raise NotFound("There is no such link.")
        try:
            found, org_id, person_id, goal_id, expires = json.loads(_decode(payload))
        except (ValueError, binascii.Error) as error:  # signed by us, but in a form we no longer make
            raise NotFound("There is no such link.") from error
        if found != purpose:
            raise NotFound("There is no such link.")
        link = Link(found, org_id, person_id, goal_id, None if expires is None else _EPOCH + expires * _MS)
        if link.expires is not None and link.expires <= now:
            raise Gone("This link has expired; a newer message has a newer one.")
        return link

    def _signature(self, payload: str) -> str:
        text = payload.encode("utf-8", "replace")
        return _encode(hmac.digest(self._key, text, hashlib.sha256))


def _encode(raw: bytes) -> str:
    return base64.urlsafe_b64encode(raw).rstrip(b"=").decode()


def _decode(text: str) -> bytes:
    return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))
