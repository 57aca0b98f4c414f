"""Signatures, as others verify them."""

from __future__ import annotations

import base64
import json
import subprocess
from datetime import UTC, datetime
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from standardwebhooks import Webhook, WebhookVerificationError

from services.notifier.webhooks.signature import headers, new_secret, sign

VERIFY = Path(__file__).parents[3] / "integration" / "webhooks" / "verify.sh"
SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"


def now() -> str:
    return str(int(datetime.now(UTC).timestamp()))


@given(st.text(max_size=300), st.text("abcdef0123456789-", min_size=1, max_size=40))
def test_any_body_is_verified_by_the_standards_own_package(text: str, id_: str) -> None:
    body, secret = json.dumps({"title": text}, ensure_ascii=False).encode("utf-8", "replace"), new_secret()
    Webhook(secret).verify(body, headers([secret], id_, now(), body))


def test_the_example_of_the_standard_comes_out_as_it_says() -> None:
    body = b'{"test": 2432232314}'
    signed = sign(SECRET, "msg_p5jXN8AQM9LWM0D4loKWxJek", "1614265330", body)
    assert signed == "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="


def test_openssl_by_itself_agrees(tmp_path: Path) -> None:
    body = '{"title": "Größe"}'.encode()
    file = tmp_path / "body"
    file.write_bytes(body)
    secret, timestamp = new_secret(), now()
    signed = headers([new_secret(), secret], "an-id", timestamp, body)["webhook-signature"]

    def verified(by: str, id_: str) -> bool:
        done = subprocess.run(
            [str(VERIFY), by, id_, timestamp, str(file), signed], capture_output=True, check=False
        )
        return done.returncode == 0

    assert verified(secret, "an-id")
    assert not verified(secret, "another-id")
    assert not verified(new_secret(), "an-id")


def test_a_changed_body_or_another_secret_is_found_out() -> None:
    body, secret = b'{"a": 1}', new_secret()
    signed = headers([secret], "an-id", now(), body)
    with pytest.raises(WebhookVerificationError):
        Webhook(secret).verify(b'{"a": 2}', signed)
    with pytest.raises(WebhookVerificationError):
        Webhook(new_secret()).verify(body, signed)


def test_while_a_secret_is_rotated_both_verify() -> None:
    body, old, new = b"{}", new_secret(), new_secret()
    signed = headers([new, old], "an-id", now(), body)
    Webhook(old).verify(body, signed)
    Webhook(new).verify(body, signed)


def test_secrets_are_as_long_as_the_standard_asks_and_never_the_same() -> None:
    secrets = {new_secret() for _ in range(50)}
    assert len(secrets) == 50
    assert {len(base64.b64decode(secret.removeprefix("whsec_"))) for secret in secrets} == {32}
