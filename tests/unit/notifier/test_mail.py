"""A mail as it goes over the wire: what mail programs read in its headers."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest
from aiosmtplib.email import flatten_message

from services.notifier.compose import Message
from services.notifier.domain.person import Recipient
from services.notifier.mail import Mailer
from services.notifier.settings import Settings

NOW = datetime(2026, 11, 2, 9, tzinfo=UTC)
QUIET = "https://nudges.example/quiet/" + "WyJxdWlldCIsImFjbWUiLCJydXRoIixudWxsLDE4MTgzNDU2" * 4


def sent(subject: str = "A check-in is due", name: str = "Mor & Söhne") -> bytes:
    mailer = Mailer(Settings(), timeout_s=1)
    message = Message(subject=subject, text="Hello", html="<p>Hello</p>", quiet_url=QUIET, language="en")
    recipient = Recipient(time_zone="UTC", display_name=name, put_at=NOW)
    return flatten_message(mailer.mail(recipient, "mor@acme.example", message, "<1@acme.example>", NOW))


class TestHeaders:
    def test_the_address_to_unsubscribe_by_stands_as_it_is_on_one_line(self) -> None:
        lines = sent().split(b"\r\n")
        assert b"List-Unsubscribe: <" + QUIET.encode() + b">" in lines
        assert b"List-Unsubscribe-Post: List-Unsubscribe=One-Click" in lines

    @pytest.mark.parametrize(
        "name", ["Ada\n", "Ada\r\nBcc: all@acme.example", "Ada\x00", "\ud800", "=?utf-8?q?A=0ABcc:_all?="]
    )
    def test_a_name_that_cannot_stand_in_one_is_left_out(self, name: str) -> None:
        assert b"To: mor@acme.example" in sent(name=name).split(b"\r\n")

    def test_others_are_folded_and_encoded(self) -> None:
        head = sent("Fällig: " + "sieben Aufsätze lesen " * 9).partition(b"\r\n\r\n")[0]
        assert head.isascii()
        assert all(len(line) <= 78 for line in head.split(b"\r\n") if not line.startswith(b"List-Unsub"))

    def test_the_language_is_told_of_the_whole_and_once(self) -> None:
        head = sent().partition(b"\r\n\r\n")[0].split(b"\r\n")
        assert b"Content-Language: en" in head
        assert sent().count(b"Content-Language") == 1

    def test_all_lines_end_as_the_standard_says(self) -> None:
        assert b"\n" not in sent().replace(b"\r\n", b"")
