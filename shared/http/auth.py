"""Who calls: bearer tokens (RFC 6750) that are JWTs (RFC 7519), checked against the issuer's JWKS (RFC 7517).

Tokens keep the real clock, in the sandbox too.
"""

from __future__ import annotations

import asyncio
import json
import math
import time
import warnings
from collections.abc import Callable, Collection, Iterable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import httpx
import structlog
from joserfc import jwk, jws
from joserfc.errors import JoseError, SecurityWarning
from joserfc.jws import JWSRegistry

from shared.errors import Forbidden, Unauthenticated, Unavailable, Unprocessable
from shared.http.body import SYSTEM, valid_id
from shared.http.problems import NO_TOKEN
from shared.settings import Settings

PARTICIPATE = "onbelay:participate"
ACT_AS = "onbelay:act_as"
PROGRAMS = "onbelay:programs"
ERASE = "onbelay:erase"
METRICS = "onbelay:metrics"
RECIPIENTS = "onbelay:recipients"
WEBHOOKS = "onbelay:webhooks"
SANDBOX = "onbelay:sandbox"

ACT_AS_HEADER = "Onbelay-Act-As"
ALGORITHMS = {"RS256": "RSA", "ES256": "EC", "EdDSA": "OKP"}
MAX_TOKEN_LENGTH = 8192

_log = structlog.get_logger(__name__)
_REGISTRY = JWSRegistry(algorithms=list(ALGORITHMS), strict_check_header=False)


@dataclass(frozen=True, slots=True)
class Caller:
    """Who a request is from.

    `person_id` is the acting person: the token's `sub`, or whom an integration acts as. `scopes` are what the
    request may use: with `Onbelay-Act-As`, `onbelay:participate` and nothing else. `may_act_as` tells that
    the token may name a person per item of a batch.
    """

    org_id: str
    person_id: str
    sub: str
    scopes: frozenset[str]
    acts_as: bool = False
    may_act_as: bool = False

    def has(self, scope: str) -> bool:
        """Whether the request may use `scope`."""
        return scope in self.scopes

    def acting_as(self, person_id: str) -> Caller:
        """The same integration, acting as a person: with `participate` and nothing else."""
        return replace(
            self, person_id=person_id, scopes=frozenset({PARTICIPATE}), acts_as=True, may_act_as=False
        )

    def require(self, scopes: Iterable[str]) -> None:
        """Refuse unless one of `scopes` is there.

        Raises:
            Forbidden: none is.
        """
        wanted = tuple(scopes)
        if wanted and self.scopes.isdisjoint(wanted):
            raise Forbidden(f"The token's scopes do not allow this; it needs {' or '.join(wanted)}.")


class Keys:
    """The issuer's public keys, from a URL or a file, kept while they cannot be fetched.

    A URL is fetched anew every `REFRESH_S`, and at most every `UNKNOWN_S` for a `kid` that is not known; a
    file is read again when it was changed.
    """

    REFRESH_S = 600.0
    UNKNOWN_S = 30.0
    FETCH_S = 3.0
    LOOK_S = 1.0

    def __init__(self, source: str, *, client: Callable[[], httpx.AsyncClient] | None = None) -> None:
        self._url = source if source.startswith("https://") else ""
        self._path = Path(source.removeprefix("file://"))
        self._client = client or (lambda: httpx.AsyncClient(timeout=self.FETCH_S))
        self._keys: list[jwk.Key] | None = None
        self._looked_at = -1e9
        self._stamp: tuple[int, int, int] | None = None
        self._fetching: asyncio.Lock = asyncio.Lock()
        self.version = 0

    async def candidates(self, kid: str | None, kty: str) -> list[jwk.Key]:
        """The keys that may have signed: of that id if there is one, else all of the type.

        Raises:
            Unavailable: no keys could be had so far.
        """
        await self._look(self.REFRESH_S if self._url else self.LOOK_S)
        found = self._matching(kid, kty)
        if not found and kid is not None:
            await self._look(self.UNKNOWN_S if self._url else 0)
            found = self._matching(kid, kty)
        if self._keys is None:
            raise Unavailable("The issuer's keys cannot be had just now; try again soon.", retry_after=2)
        return found

    def _matching(self, kid: str | None, kty: str) -> list[jwk.Key]:
        return [
            key
            for key in self._keys or ()
            if key.key_type == kty and (kid is None or key.as_dict(private=False).get("kid") == kid)
        ]

    async def refresh(self) -> None:
        """Look whether the keys changed, when it is time to; cheap otherwise."""
        await self._look(self.REFRESH_S if self._url else self.LOOK_S)

    async def _look(self, older_than: float) -> None:
        if self._keys is None:
            older_than = min(older_than, self.LOOK_S)
        if time.monotonic() - self._looked_at <= older_than:
            return
        async with self._fetching:
            if time.monotonic() - self._looked_at <= older_than:
                return
            self._looked_at = time.monotonic()
            try:
                text = await self._fetch() if self._url else self._read()
                if text is not None:
                    self._keys = _keys(text)
                    self.version += 1
            except (OSError, ValueError, httpx.HTTPError, JoseError) as error:
                _log.warning("jwks_unavailable", error=repr(error), stale=self._keys is not None)

    async def _fetch(self) -> str:
        async with self._client() as client:
            response = await client.get(self._url)
            response.raise_for_status()
            return response.text

    def _read(self) -> str | None:
        found = self._path.stat()
        stamp = (found.st_mtime_ns, found.st_size, found.st_ino)
        if stamp == self._stamp:
            return None
        text = self._path.read_text()
        self._stamp = stamp
        return text


def _keys(text: str) -> list[jwk.Key]:
    """The signing keys of a JWKS; those of other uses and types are passed over, secrets above all."""
    document = json.loads(text)
    if not isinstance(document, dict) or not isinstance(document.get("keys"), list):
        raise ValueError("no JWKS")  # noqa: TRY004 - a wrong document, not a wrong call
    keys: list[jwk.Key] = []
    for data in document["keys"]:
        if not isinstance(data, dict) or data.get("kty") not in ALGORITHMS.values():
            continue
        if data.get("use", "sig") != "sig" or data.get("alg") not in {None, *ALGORITHMS}:
            continue
        try:
            keys.append(jwk.import_key(data))
        except (JoseError, ValueError) as error:
            _log.warning("jwk_passed_over", kid=data.get("kid"), error=repr(error))
    return keys


@dataclass(frozen=True, slots=True)
class _Verified:
    caller: Caller
    expires: float
    keys_version: int


class Authenticator:
    """Checks tokens: signature, `iss`, `aud`, `exp` (without leeway), `nbf` (5 s), `sub`, `org_id`, `scope`.

    What was verified is kept until it expires or the keys change, since verifying costs more than a request.
    """

    NOT_BEFORE_LEEWAY_S = 5.0
    KEPT = 10_000

    def __init__(
        self, *, issuer: str, audience: str, keys: Keys, now: Callable[[], float] = time.time
    ) -> None:
        self._issuer = issuer
        self._audience = audience
        self._keys = keys
        self._now = now
        self._verified: dict[str, _Verified] = {}

    @classmethod
    def of(cls, settings: Settings) -> Authenticator:
        """The authenticator that the settings describe.

        Raises:
            ValueError: they name no issuer or no keys.
        """
        if not settings.auth_issuer or not settings.auth_jwks or not settings.auth_audience:
            raise ValueError("ONBELAY_AUTH_ISSUER, ONBELAY_AUTH_AUDIENCE and ONBELAY_AUTH_JWKS are needed")
        return cls(
            issuer=settings.auth_issuer, audience=settings.auth_audience, keys=Keys(settings.auth_jwks)
        )

    async def caller(
        self, authorization: str | None, act_as: str | None = None, scopes: Collection[str] = ()
    ) -> Caller:
        """The caller of a request, from its `Authorization` and `Onbelay-Act-As` headers.

        `scopes`: one of them is needed, unless there are none.

        Raises:
            Unauthenticated: no token, or one that does not hold.
            Forbidden: `act_as` without the scope for it, or none of `scopes`.
            Unprocessable: `act_as` is no person's id.
            Unavailable: the issuer's keys cannot be had.
        """
        if authorization is None:
            raise Unauthenticated(NO_TOKEN)
        scheme, _, token = authorization.partition(" ")
        token = token.strip()
        if scheme.lower() != "bearer" or not token:
            raise Unauthenticated(NO_TOKEN)
        caller = await self.verify(token)
        if act_as is None:
            caller.require(scopes)
            return caller
        if not caller.may_act_as:
            raise Forbidden(f"{ACT_AS_HEADER} needs the scope {ACT_AS}.")
        acting = caller.acting_as(act_as)
        # Whether the scopes allow it comes before what the header holds.
        acting.require(scopes)
        if not valid_id(act_as) or act_as == SYSTEM:
            raise Unprocessable.parameter(ACT_AS_HEADER, "A person's id: 1-128 of A-Z a-z 0-9 . _ : - .")
        return acting

    async def verify(self, token: str) -> Caller:
        """The caller that a token names by itself.

        Raises:
            Unauthenticated: it does not hold; the detail says why, without telling the token.
        """
        now = self._now()
        await self._keys.refresh()
        known = self._verified.get(token)
        if known is not None and known.keys_version == self._keys.version:
            if known.expires <= now:
                del self._verified[token]
                raise Unauthenticated("The token has expired.")
            return known.caller
        claims = await self._claims(token)
        expires = self._checked(claims, now)
        caller = _caller(claims)
        if len(self._verified) >= self.KEPT:
            for stale in list(self._verified)[: self.KEPT // 4]:
                del self._verified[stale]
        self._verified[token] = _Verified(caller, expires, self._keys.version)
        return caller

    async def _claims(self, token: str) -> dict[str, Any]:
        if len(token) > MAX_TOKEN_LENGTH:
            raise Unauthenticated("The token is too long.")
        try:
            signed = jws.extract_compact(token.encode("ascii"), registry=_REGISTRY)
            header = signed.headers()
            algorithm, kid = header.get("alg"), header.get("kid")
            if not isinstance(algorithm, str) or algorithm not in ALGORITHMS:
                raise Unauthenticated("The token is not signed with RS256, ES256 or EdDSA.")
            if kid is not None and not isinstance(kid, str):
                raise Unauthenticated("The token names no key.")
        except (JoseError, ValueError, TypeError) as error:
            raise Unauthenticated("The token is no signed JWT.") from error
        for key in await self._keys.candidates(kid, ALGORITHMS[algorithm]):
            if key.as_dict(private=False).get("alg", algorithm) == algorithm and _signed(signed, key):
                break
        else:
            raise Unauthenticated("The token's signature is not by a key of the issuer.")
        try:
            claims = json.loads(signed.payload or b"")
        except ValueError as error:
            raise Unauthenticated("The token's claims are not JSON.") from error
        if not isinstance(claims, dict):
            raise Unauthenticated("The token's claims are no object.")
        return claims

    def _checked(self, claims: dict[str, Any], now: float) -> float:
        if claims.get("iss") != self._issuer:
            raise Unauthenticated("The token is by another issuer.")
        audience = claims.get("aud")
        if self._audience not in (audience if isinstance(audience, list) else [audience]):
            raise Unauthenticated("The token is for another audience.")
        expires = _number(claims.get("exp"))
        if expires is None:
            raise Unauthenticated("The token has no time at which it expires.")
        if expires <= now:
            raise Unauthenticated("The token has expired.")
        begins = _number(claims.get("nbf", 0))
        if begins is None or begins > now + self.NOT_BEFORE_LEEWAY_S:
            raise Unauthenticated("The token is not valid yet.")
        return expires


def _signed(signed: jws.CompactSignature, key: jwk.Key) -> bool:
    try:
        with warnings.catch_warnings():
            # RFC 9864 renames EdDSA to Ed25519; the contract names EdDSA, and Ed25519 keys are what it gets.
            warnings.simplefilter("ignore", SecurityWarning)
            return jws.validate_compact(signed, key, registry=_REGISTRY)
    except (JoseError, ValueError, TypeError):
        return False


def _number(value: Any) -> float | None:
    if isinstance(value, bool) or not isinstance(value, int | float) or abs(value) > 1e12:
        return None
    return None if math.isnan(value) else float(value)


def _caller(claims: dict[str, Any]) -> Caller:
    sub, org_id, scope = claims.get("sub"), claims.get("org_id"), claims.get("scope", "")
    if not isinstance(sub, str) or not valid_id(sub) or sub == SYSTEM:
        raise Unauthenticated("The token's sub is no person's id.")
    if not isinstance(org_id, str) or not valid_id(org_id):
        raise Unauthenticated("The token names no organization.")
    if isinstance(scope, list) and all(isinstance(name, str) for name in scope):
        scope = " ".join(scope)
    if not isinstance(scope, str):
        raise Unauthenticated("The token's scope is no text.")
    scopes = frozenset(scope.split())
    return Caller(org_id, sub, sub, scopes, may_act_as=ACT_AS in scopes)
