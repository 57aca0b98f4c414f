"""Mail by SMTP: a message as RFC 5322 wants it, and its handing over by connections that are kept."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import datetime
from email.errors import MessageError
from email.headerregistry import Address, BaseHeader, HeaderRegistry, UnstructuredHeader
from email.message import EmailMessage
from email.policy import SMTP, Policy
from email.utils import format_datetime, parseaddr
from unicodedata import category

import aiosmtplib

from services.notifier.compose import Message
from services.notifier.domain.person import Channel, Recipient
from services.notifier.senders import NotDelivered
from services.notifier.settings import Settings

IDLE_S = 30.0
"""Servers close what is idle; most not before a minute."""
MESSAGES_EACH = 100
"""Many servers take no more than so many on one connection."""
_START_TLS = {"auto": None, "starttls": True, "tls": False, "none": False}


class _Unfolded(UnstructuredHeader, BaseHeader):
    """Stands on one line: folded, a long address would become encoded words, which nobody reads as an address."""

    def fold(self, *, policy: Policy) -> str:
        return f"{self.name}: {self}{policy.linesep}"


_HEADERS = HeaderRegistry()
_HEADERS.map_to_type("list-unsubscribe", _Unfolded)
_POLICY = SMTP.clone(header_factory=_HEADERS)


class Mailer:
    """The sender of mail.

    Delivery: at least once; the same `message_id` whenever the same message is sent again, so that mail programs
    show it once.

    Args:
        settings: the server and the sender's address.
        timeout_s: how long one step of the conversation may take.

    Raises:
        ValueError: `ONBELAY_NOTIFIER_MAIL_FROM` has no address.
    """

    kind = "email"

    def __init__(self, settings: Settings, *, timeout_s: float) -> None:
        self._sender = parseaddr(settings.notifier_mail_from)
        if "@" not in self._sender[1]:
            raise ValueError("ONBELAY_NOTIFIER_MAIL_FROM needs an address")

        def connection() -> aiosmtplib.SMTP:
            return aiosmtplib.SMTP(
                hostname=settings.notifier_smtp_host,
                port=settings.notifier_smtp_port,
                username=settings.notifier_smtp_username or None,
                password=settings.notifier_smtp_password.get_secret_value() or None,
                use_tls=settings.notifier_smtp_tls == "tls",
                start_tls=_START_TLS[settings.notifier_smtp_tls],
                cert_bundle=settings.notifier_smtp_ca or None,
                timeout=timeout_s,
            )

        self._connections = Connections(connection)

    @property
    def domain(self) -> str:
        """Of the sender's address: that of the Message-IDs, too."""
        return self._sender[1].rpartition("@")[2]

    async def send(
        self, recipient: Recipient, channel: Channel, message: Message, message_id: str, at: datetime
    ) -> None:
        """See `Sender.send`. A 5xx for the recipient or the message is for good.

        One for the connection, the login or the sender is the server's trouble with us, which somebody will mend.
        """
        address = channel.address or ""
        try:
            mail = self.mail(recipient, address, message, message_id, at)
        except (ValueError, MessageError) as error:
            raise NotDelivered("no_mail", for_good=True) from error
        try:
            async with self._connections.one() as smtp:
                await smtp.send_message(mail, sender=self._sender[1], recipients=[address])
        except aiosmtplib.SMTPRecipientsRefused as error:
            codes = [refused.code for refused in error.recipients]
            raise NotDelivered(f"smtp_{max(codes)}", for_good=all(code >= 500 for code in codes)) from None
        except aiosmtplib.SMTPResponseException as error:
            for_good = isinstance(error, aiosmtplib.SMTPDataError) and error.code >= 500
            raise NotDelivered(f"smtp_{error.code}", for_good=for_good) from None
        except (aiosmtplib.SMTPException, OSError) as error:
            raise NotDelivered(f"smtp_{type(error).__name__}", for_good=False) from error

    async def close(self) -> None:
        """Close what is kept open."""
        self._connections.close()

    def mail(
        self, recipient: Recipient, address: str, message: Message, message_id: str, at: datetime
    ) -> EmailMessage:
        """The message as mail: text and HTML, and the headers by which mail programs treat it well.

        Source: RFC 5322; RFC 8058 for the one-click `List-Unsubscribe`; RFC 3834 for `Auto-Submitted`.
        """
        mail = EmailMessage(policy=_POLICY)
        mail["From"] = Address(*_named(*self._sender))
        name = recipient.display_name or ""
        mail["To"] = Address(*_named(name if _can_stand(name) else "", address))
        mail["Subject"] = message.subject
        mail["Date"] = format_datetime(at)
        mail["Message-ID"] = message_id
        mail["Auto-Submitted"] = "auto-generated"
        mail["X-Auto-Response-Suppress"] = "All"
        mail["List-Unsubscribe"] = f"<{message.quiet_url}>"
        mail["List-Unsubscribe-Post"] = "List-Unsubscribe=One-Click"
        mail.set_content(message.text)
        mail.add_alternative(message.html, subtype="html")
        # Last, since content that is set takes earlier headers of content away.
        mail["Content-Language"] = message.language
        return mail


def _can_stand(name: str) -> bool:
    """Whether a name can stand in a header. One that holds an encoded word is read as what that says."""
    return "=?" not in name and not any(category(character) in ("Cc", "Cs") for character in name)


def _named(name: str, address: str) -> tuple[str, str, str]:
    local, _, domain = address.rpartition("@")
    return name, local, domain


@dataclass(slots=True)
class _Kept:
    smtp: aiosmtplib.SMTP
    sent: int = 0
    since: float = 0.0


class Connections:
    """SMTP connections that are used again: the last one given back first, and one message at a time on each.

    There are never more than messages on their way at once, which the worker bounds.
    """

    def __init__(self, make: Callable[[], aiosmtplib.SMTP]) -> None:
        self._make = make
        self._idle: list[_Kept] = []

    @asynccontextmanager
    async def one(self) -> AsyncIterator[aiosmtplib.SMTP]:
        """A connection that the server has just answered on.

        After an error that is the server's answer it is kept; after any other nobody knows what it would say next.

        Raises:
            aiosmtplib.SMTPException, OSError: the server is not to be had.
        """
        kept = await self._take()
        try:
            yield kept.smtp
        except (aiosmtplib.SMTPRecipientsRefused, aiosmtplib.SMTPResponseException):
            self._give_back(kept)
            raise
        except BaseException:
            kept.smtp.close()
            raise
        else:
            self._give_back(kept)

    def close(self) -> None:
        """Close all that is idle."""
        while self._idle:
            self._idle.pop().smtp.close()

    async def _take(self) -> _Kept:
        while self._idle:
            kept = self._idle.pop()
            if time.monotonic() - kept.since < IDLE_S:
                try:
                    # A server may have gone meanwhile; better to learn it now than with a message half said.
                    await kept.smtp.rset()
                except (aiosmtplib.SMTPException, OSError):
                    pass
                except BaseException:
                    kept.smtp.close()
                    raise
                else:
                    return kept
            kept.smtp.close()
        smtp = self._make()
        try:
            await smtp.connect()
        except BaseException:
            smtp.close()
            raise
        return _Kept(smtp)

    def _give_back(self, kept: _Kept) -> None:
        kept.sent += 1
        kept.since = time.monotonic()
        if kept.sent < MESSAGES_EACH and kept.smtp.is_connected:
            self._idle.append(kept)
        else:
            kept.smtp.close()
