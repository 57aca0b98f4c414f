from __future__ import annotations

import base64
import json
from datetime import UTC, datetime, timedelta

import pytest

from shared.errors import Gone, NotFound
from shared.links import CALENDAR, CHECK_IN, Link, Links

NOW = datetime(2026, 11, 24, 9, tzinfo=UTC)
LINKS = Links("a secret of enough characters, surely")
LINK = Link(CHECK_IN, "acme", "ana", "0199-goal", NOW + timedelta(days=7))


class TestASignedLink:
    def test_it_says_what_was_signed(self) -> None:
        assert LINKS.read(LINKS.token(LINK), CHECK_IN, NOW) == LINK

    def test_it_is_safe_in_a_path(self) -> None:
        assert set(LINKS.token(LINK)) <= set(
            "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_."
        )

    def test_it_holds_until_its_end_and_is_gone_then(self) -> None:
        token = LINKS.token(LINK)
        assert LINKS.read(token, CHECK_IN, NOW + timedelta(days=7, milliseconds=-1)) == LINK
        with pytest.raises(Gone):
            LINKS.read(token, CHECK_IN, NOW + timedelta(days=7))

    def test_any_changed_character_makes_it_nobodys(self) -> None:
        token = LINKS.token(LINK)
        for index, character in enumerate(token):
            changed = token[:index] + ("A" if character != "A" else "B") + token[index + 1 :]
            with pytest.raises(NotFound):
                LINKS.read(changed, CHECK_IN, NOW)

    @pytest.mark.parametrize("token", ["", ".", "x", "a.b", "é.ü", "\ud800.x", "a" * 5000, "W10.W10"])
    def test_what_is_no_token_is_nobodys(self, token: str) -> None:
        with pytest.raises(NotFound):
            LINKS.read(token, CHECK_IN, NOW)

    @pytest.mark.parametrize("padding", [0, 2000])
    def test_an_unsigned_payload_is_nobodys(self, padding: int) -> None:
        fields = json.dumps([CHECK_IN, "acme", "ana", "0199-goal", None]) + " " * padding
        payload = base64.urlsafe_b64encode(fields.encode()).decode().rstrip("=")
        for token in (payload, f"{payload}."):
            with pytest.raises(NotFound):
                LINKS.read(token, CHECK_IN, NOW)

    def test_it_is_for_its_purpose_alone(self) -> None:
        with pytest.raises(NotFound):
            LINKS.read(LINKS.token(LINK), CALENDAR, NOW)

    def test_a_wrong_one_that_is_old_too_is_nobodys(self) -> None:
        with pytest.raises(NotFound):
            LINKS.read(LINKS.token(LINK)[:-1] + "!", CHECK_IN, NOW + timedelta(days=30))

    def test_another_secret_signs_another_token(self) -> None:
        other = Links("another secret of enough characters")
        with pytest.raises(NotFound):
            other.read(LINKS.token(LINK), CHECK_IN, NOW)

    def test_without_an_end_it_holds(self) -> None:
        feed = Link(CALENDAR, "acme", "ana")
        assert LINKS.read(LINKS.token(feed), CALENDAR, NOW + timedelta(days=4000)) == feed

    def test_a_short_secret_is_refused(self) -> None:
        with pytest.raises(ValueError, match="32"):
            Links("short")
