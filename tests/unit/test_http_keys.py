"""The issuer's keys over https, from a server that a test can break."""

from __future__ import annotations

import asyncio
import time

import httpx
import pytest
from joserfc import jwk, jwt

from shared.errors import Forbidden, Unauthenticated, Unavailable, Unprocessable
from shared.http import ACT_AS, PARTICIPATE, PROGRAMS, Authenticator, Keys

ISSUER = "https://issuer.example"


class Issuer:
    """Serves a JWKS and counts how often it is asked."""

    def __init__(self) -> None:
        self.keys: list[jwk.ECKey] = []
        self.asked = 0
        self.broken = False

    def new_key(self, kid: str) -> jwk.ECKey:
        key = jwk.ECKey.generate_key("P-256", {"kid": kid})
        self.keys.append(key)
        return key

    def client(self) -> httpx.AsyncClient:
        return httpx.AsyncClient(transport=httpx.MockTransport(self._answer))

    def _answer(self, request: httpx.Request) -> httpx.Response:
        self.asked += 1
        if self.broken:
            raise httpx.ConnectError("away")
        return httpx.Response(200, json={"keys": [key.as_dict(private=False) for key in self.keys]})


@pytest.fixture
def issuer() -> Issuer:
    return Issuer()


@pytest.fixture
def authenticator(issuer: Issuer) -> Authenticator:
    keys = Keys("https://issuer.example/jwks", client=issuer.client)
    return Authenticator(issuer=ISSUER, audience="onbelay", keys=keys)


def bearer(key: jwk.ECKey, kid: str, sub: str = "ana", scope: str = "") -> str:
    claims = {"iss": ISSUER, "aud": "onbelay", "exp": time.time() + 60, "sub": sub, "org_id": "acme"}
    claims["scope"] = scope
    return "Bearer " + jwt.encode({"alg": "ES256", "kid": kid}, claims, key)


class TestActingAsSomebody:
    async def test_the_scopes_are_asked_for_before_who_it_is(
        self, issuer: Issuer, authenticator: Authenticator
    ) -> None:
        robot = bearer(issuer.new_key("one"), "one", scope=f"{ACT_AS} {PROGRAMS}")
        for person in ("ben", "a@b.example"):
            with pytest.raises(Forbidden):
                await authenticator.caller(robot, person, [PROGRAMS])
        assert (await authenticator.caller(robot, "ben", [PARTICIPATE])).person_id == "ben"
        with pytest.raises(Unprocessable):
            await authenticator.caller(robot, "a@b.example", [PARTICIPATE])


class TestKeysOfAnUrl:
    async def test_they_are_fetched_once(self, issuer: Issuer, authenticator: Authenticator) -> None:
        key = issuer.new_key("one")
        callers = [authenticator.caller(bearer(key, "one", f"person-{n}")) for n in range(20)]
        assert {caller.sub for caller in await asyncio.gather(*callers)} == {f"person-{n}" for n in range(20)}
        assert issuer.asked == 1

    async def test_an_unknown_key_is_asked_for_at_most_every_30_s(
        self, issuer: Issuer, authenticator: Authenticator, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        await authenticator.caller(bearer(issuer.new_key("one"), "one"))
        newer = issuer.new_key("two")
        for _ in range(10):
            with pytest.raises(Unauthenticated):
                await authenticator.caller(bearer(newer, "two"))
        assert issuer.asked == 1
        monkeypatch.setattr(Keys, "UNKNOWN_S", 0.0)
        assert (await authenticator.caller(bearer(newer, "two"))).sub == "ana"
        assert issuer.asked == 2

    async def test_they_are_kept_while_the_issuer_is_away(
        self, issuer: Issuer, authenticator: Authenticator, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        key = issuer.new_key("one")
        await authenticator.caller(bearer(key, "one"))
        issuer.broken = True
        monkeypatch.setattr(Keys, "REFRESH_S", 0.0)
        assert (await authenticator.caller(bearer(key, "one", "ben"))).sub == "ben"
        assert issuer.asked > 1

    async def test_without_any_so_far_it_is_503(self, issuer: Issuer, authenticator: Authenticator) -> None:
        key = issuer.new_key("one")
        issuer.broken = True
        with pytest.raises(Unavailable):
            await authenticator.caller(bearer(key, "one"))
        issuer.broken = False
        authenticator._keys.LOOK_S = 0.0
        assert (await authenticator.caller(bearer(key, "one"))).sub == "ana"

    async def test_a_token_that_was_verified_ends_at_its_time(self, issuer: Issuer) -> None:
        now = [time.time()]
        keys = Keys("https://issuer.example/jwks", client=issuer.client)
        authenticator = Authenticator(issuer=ISSUER, audience="onbelay", keys=keys, now=lambda: now[0])
        token = bearer(issuer.new_key("one"), "one")
        await authenticator.caller(token)
        now[0] += 61
        with pytest.raises(Unauthenticated):
            await authenticator.caller(token)

    async def test_verified_tokens_are_kept_up_to_a_bound(
        self, issuer: Issuer, authenticator: Authenticator, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(Authenticator, "KEPT", 8)
        key = issuer.new_key("one")
        for n in range(30):
            await authenticator.caller(bearer(key, "one", f"person-{n}"))
        assert len(authenticator._verified) <= 8
