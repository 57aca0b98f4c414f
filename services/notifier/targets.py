"""Addresses that the notifier sends to: of mail, and of chats' and webhooks' URLs."""

from __future__ import annotations

import ipaddress
import re
from urllib.parse import urlsplit

MAX_ADDRESS = 254
MAX_URL = 2048
_ADDRESS = re.compile(
    r"[A-Za-z0-9.!#$%&'*+/=?^_`{|}~-]{1,64}@[A-Za-z0-9](?:[A-Za-z0-9-]*[A-Za-z0-9])?"
    r"(?:\.[A-Za-z0-9](?:[A-Za-z0-9-]*[A-Za-z0-9])?)*",
    re.ASCII,
)
_PRIVATE_NAMES = ("localhost", ".localhost", ".local", ".internal", ".home.arpa")


def mail_address(text: str) -> str:
    """An address of mail, `local@domain` in ASCII (RFC 5321's common form).

    Raises:
        ValueError: it is none.
    """
    local = text.partition("@")[0]
    dots = local.startswith(".") or local.endswith(".") or ".." in local
    if len(text) > MAX_ADDRESS or dots or not _ADDRESS.fullmatch(text):
        raise ValueError("An address such as ana@example.com.")
    return text


def public_url(text: str, *, sandbox: bool) -> str:
    """A URL that may be called: https, and not by name or number a private address; a sandbox takes those, too.

    What a name resolves to is checked when it is called.

    Raises:
        ValueError: it may not.
    """
    try:
        parts = urlsplit(text)
        host = parts.hostname or ""
        _ = parts.port
    except ValueError as error:
        raise ValueError("A URL such as https://example.com/hook.") from error
    printable = text.isascii() and text.isprintable() and " " not in text
    if not host or len(text) > MAX_URL or not printable or parts.username is not None:
        raise ValueError("A URL such as https://example.com/hook.")
    if parts.scheme != "https" and not (sandbox and parts.scheme == "http"):
        raise ValueError("An https URL.")
    if not sandbox and _is_private(host):
        raise ValueError("A URL with a public address.")
    return text


def _is_private(host: str) -> bool:
    try:
        return not ipaddress.ip_address(host).is_global
    except ValueError:
        name = host.rstrip(".").lower()
        return name.endswith(_PRIVATE_NAMES) or "." not in name or name.replace(".", "").isdigit()
