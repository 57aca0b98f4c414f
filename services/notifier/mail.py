"""Mail by SMTP: a message as RFC 5322 wants it, and its handing over."""

from __future__ import annotations

import asyncio
from datetime import datetime
from email.headerregistry import Address
from email.message import EmailMessage
from email.utils import format_datetime, parseaddr
from typing import Protocol

import aiosmtplib

from services.notifier.compose import Message
from services.notifier.domain.person import Recipient
from services.notifier.settings import Settings


class NotDelivered(Exception):
    """A message that could not be handed over; `reason` is a short code, without an address.

    `for_good`: another attempt would fare no better.
    """

    def __init__(self, reason: str, *, for_good: bool) -> None:
        super().__init__(reason)
        self.reason = reason
        self.for_good = for_good


class Sender(Protocol):
    """Hands a message over to one kind of channel."""

    kind: str

    async def send(self, recipient: Recipient, message: Message, message_id: str, at: datetime) -> None:
        """Hand it over.

        Raises:
            NotDelivered: it was not taken, or nobody knows.
        """


class Mailer:
    """The sender of mail.

    Delivery: at least once; the same `message_id` whenever the same message is sent again, so that mail programs
    show it once.

    Args:
        settings: the server and the sender's address.
        timeout_s: when a hand-over is given up; it may have succeeded all the same.
    """

    kind = "email"

    def __init__(self, settings: Settings, *, timeout_s: float) -> None:
        self._settings = settings
        self._timeout_s = timeout_s
        self._sender = parseaddr(settings.notifier_mail_from)
        if "@" not in self._sender[1]:
            raise ValueError("ONBELAY_NOTIFIER_MAIL_FROM needs an address")

    def new_message_id(self, unique: str) -> str:
        """The Message-ID, angle brackets included, made of an id that is unique."""
        return f"<{unique}@{self._sender[1].rpartition('@')[2]}>"

    async def send(self, recipient: Recipient, message: Message, message_id: str, at: datetime) -> None:
        """See `Sender.send`. A 5xx answer, or no address, is for good."""
        address = next((c.address for c in recipient.channels if c.kind == self.kind and c.address), None)
        if address is None:
            raise NotDelivered("no_address", for_good=True)
        settings = self._settings
        try:
            async with asyncio.timeout(self._timeout_s):
                await aiosmtplib.send(
                    self.mail(recipient, address, message, message_id, at),
                    sender=self._sender[1],
                    recipients=[address],
                    hostname=settings.notifier_smtp_host,
                    port=settings.notifier_smtp_port,
                    username=settings.notifier_smtp_username or None,
                    password=settings.notifier_smtp_password.get_secret_value() or None,
                    use_tls=settings.notifier_smtp_tls == "tls",
                    start_tls={"auto": None, "starttls": True, "tls": False, "none": False}[
                        settings.notifier_smtp_tls
                    ],
                    timeout=self._timeout_s,
                )
        except aiosmtplib.SMTPRecipientsRefused as error:
            codes = [refused.code for refused in error.recipients]
            raise NotDelivered(f"smtp_{max(codes)}", for_good=all(code >= 500 for code in codes)) from None
        except aiosmtplib.SMTPResponseException as error:
            raise NotDelivered(f"smtp_{error.code}", for_good=error.code >= 500) from None
        except (aiosmtplib.SMTPException, OSError, TimeoutError) as error:
            raise NotDelivered(f"smtp_{type(error).__name__}", for_good=False) from error

    def mail(
        self, recipient: Recipient, address: str, message: Message, message_id: str, at: datetime
    ) -> EmailMessage:
        """The message as mail: text and HTML, and the headers by which mail programs treat it well.

        Source: RFC 5322; RFC 8058 for the one-click `List-Unsubscribe`; RFC 3834 for `Auto-Submitted`.
        """
        mail = EmailMessage()
        mail["From"] = _address(*self._sender)
        mail["To"] = _address(recipient.display_name or "", address)
        mail["Subject"] = message.subject
        mail["Date"] = format_datetime(at)
        mail["Message-ID"] = message_id
        mail["Auto-Submitted"] = "auto-generated"
        mail["X-Auto-Response-Suppress"] = "All"
        mail["Content-Language"] = message.language
        mail["List-Unsubscribe"] = f"<{message.quiet_url}>"
        mail["List-Unsubscribe-Post"] = "List-Unsubscribe=One-Click"
        mail.set_content(message.text)
        mail.add_alternative(message.html, subtype="html")
        return mail


def _address(name: str, address: str) -> Address:
    return Address(display_name=name, addr_spec=address)
