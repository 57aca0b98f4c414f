"""The token issuer of a stack on one machine: a key pair in its folder, of which the services read the public half.

Not for production, where tokens are an identity provider's: whoever can read the folder can be anyone.
"""

from __future__ import annotations

import json
import os
import time
from pathlib import Path

from joserfc import jwk, jwt

ISSUER = "urn:onbelay:local"
AUDIENCE = "onbelay"
TTL_S = 3600
ALGORITHM = "ES256"
_PRIVATE = "issuer.json"
_PUBLIC = "jwks.json"


class NoIssuer(Exception):
    """There is no issuer in that folder: no stack was ever started with it."""


class Issuer:
    """Signs tokens, with a key that was made once and stays."""

    def __init__(self, key: jwk.ECKey, jwks: Path) -> None:
        self._key = key
        self.jwks = jwks

    @classmethod
    def create(cls, folder: Path) -> Issuer:
        """The issuer in `folder`, made where there is none yet."""
        if not (folder / _PRIVATE).is_file():
            folder.mkdir(parents=True, exist_ok=True, mode=0o700)
            key = jwk.ECKey.generate_key("P-256", {"use": "sig", "alg": ALGORITHM}, auto_kid=True)
            write_private(folder / _PUBLIC, json.dumps({"keys": [key.as_dict(private=False)]}))
            write_private(folder / _PRIVATE, json.dumps(key.as_dict(private=True)))
        return cls.read(folder)

    @classmethod
    def read(cls, folder: Path) -> Issuer:
        """The issuer in `folder`.

        Raises:
            NoIssuer: there is none.
        """
        try:
            text = (folder / _PRIVATE).read_text()
        except FileNotFoundError as error:
            raise NoIssuer(str(folder)) from error
        return cls(jwk.ECKey.import_key(json.loads(text)), folder / _PUBLIC)

    def token(
        self,
        sub: str,
        org: str,
        scope: str = "",
        *,
        ttl: float = TTL_S,
        audience: str = AUDIENCE,
        issuer: str = ISSUER,
    ) -> str:
        """A token for that person in that organization; with a `ttl` below zero, one that has expired.

        Args:
            scope: scopes, with spaces between.
            ttl: seconds from now on the real clock.
            audience: another than the services expect is refused by them; so is another `issuer`.
        """
        now = int(time.time())
        claims = {
            "iss": issuer,
            "aud": audience,
            "sub": sub,
            "org_id": org,
            "scope": scope,
            "iat": now,
            "exp": now + int(ttl),
        }
        header = {"alg": ALGORITHM, "kid": self._key.kid, "typ": "JWT"}
        return jwt.encode(header, claims, self._key, algorithms=[ALGORITHM])


def write_private(path: Path, text: str) -> None:
    """Write a file that only its owner may read; it appears whole or not at all."""
    fresh = path.with_name(f".{path.name}.{os.getpid()}")
    fresh.unlink(missing_ok=True)
    with os.fdopen(os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
        file.write(text)
    fresh.rename(path)
