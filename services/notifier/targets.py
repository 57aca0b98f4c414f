"""Addresses that the notifier sends to: of mail, and of chats' and webhooks' URLs."""

from __future__ import annotations

import ipaddress
import re
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network
from urllib.parse import urlsplit

MAX_ADDRESS = 254
MAX_URL = 2048
Network = IPv4Network | IPv6Network
_IP = IPv4Address | IPv6Address

_ADDRESS = re.compile(
    r"[A-Za-z0-9.!#$%&'*+/=?^_`{|}~-]{1,64}@[A-Za-z0-9](?:[A-Za-z0-9-]*[A-Za-z0-9])?"
    r"(?:\.[A-Za-z0-9](?:[A-Za-z0-9-]*[A-Za-z0-9])?)*",
    re.ASCII,
)
_LOCAL_NAME = ("localhost", ".localhost")
_PRIVATE_NAMES = (".local", ".internal", ".home.arpa")
_NUMBER = re.compile(r"[0-9]+|0x[0-9a-f]*", re.ASCII)
_A_URL = "A URL such as https://example.com/hook."

_NOT_PUBLIC = tuple(
    ipaddress.ip_network(text)
    for text in (
        "192.0.0.0/24",  # protocol assignments; holds a cloud's metadata address, and counts as global in part
        "192.88.99.0/24",  # relays of 6to4
        "168.63.129.16/32",  # a cloud's metadata on an address that is public everywhere else
        "fec0::/10",  # site-local: deprecated, still routed in some networks
        "64:ff9b:1::/48",  # NAT64 with a prefix of one's own (RFC 8215)
        "100::/64",  # discarded
        "3fff::/20",  # documentation
        "5f00::/16",  # segment routing
    )
)
_NAT64 = IPv6Network("64:ff9b::/96")
_COMPATIBLE = IPv6Network("::/96")
_LOW_32_BITS = (1 << 32) - 1


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


@dataclass(frozen=True, slots=True)
class Targets:
    """Which URLs may be called: https on public addresses, and what an operator allows beside.

    Args:
        sandbox: takes http and loopback, too.
        allow: networks of the operator's own, for targets inside of them.
    """

    sandbox: bool = False
    allow: tuple[Network, ...] = ()

    def url(self, text: str) -> str:
        """The URL, if it may be called as far as its text tells; what its name resolves to is asked at each call.

        Raises:
            ValueError: it may not.
        """
        try:
            parts = urlsplit(text)
            host = parts.hostname or ""
            port = parts.port
        except ValueError as error:
            raise ValueError(_A_URL) from error
        printable = text.isascii() and text.isprintable() and " " not in text and "\\" not in text
        if not host or port == 0 or len(text) > MAX_URL or not printable or "@" in parts.netloc:
            raise ValueError(_A_URL)
        if parts.scheme != "https" and not (self.sandbox and parts.scheme == "http"):
            raise ValueError("An https URL.")
        if not self._may_be(host):
            raise ValueError("A URL with a public address.")
        return text

    def permits(self, address: str) -> bool:
        """Whether a connection to an IP address may be made."""
        try:
            ip = ipaddress.ip_address(address.partition("%")[0])
        except ValueError:
            return False
        # A mapped address is the IPv4 one by another name; the other forms lead there by way of a network.
        plain = ip.ipv4_mapped or ip if isinstance(ip, IPv6Address) else ip
        inner = _embedded(plain)
        reached = (plain,) if inner is None else (plain, inner)
        if any(each in network for each in reached for network in self.allow):
            return True
        if self.sandbox and plain.is_loopback:
            return True
        return all(_is_public(each) for each in reached)

    def _may_be(self, host: str) -> bool:
        try:
            ipaddress.ip_address(host)
        except ValueError:
            return self._name_may_be(host.rstrip(".").lower())
        return self.permits(host)

    def _name_may_be(self, name: str) -> bool:
        # Resolvers take 0x7f.1 and 2130706433 for addresses, whatever they look like.
        if _NUMBER.fullmatch(name.rpartition(".")[2]):
            return False
        if name.endswith(_LOCAL_NAME):
            return self.sandbox or bool(self.allow)
        return bool(self.allow) or ("." in name and not name.endswith(_PRIVATE_NAMES))


def _is_public(ip: _IP) -> bool:
    return (
        ip.is_global
        and not ip.is_multicast
        and (not ip.is_reserved or _carries_ipv4(ip))
        and not any(ip in network for network in _NOT_PUBLIC)
    )


def _carries_ipv4(ip: _IP) -> bool:
    """Whether it is as public as the IPv4 address in it."""
    return isinstance(ip, IPv6Address) and ip in _NAT64


def _embedded(ip: _IP) -> IPv4Address | None:
    """The IPv4 address that an IPv6 one leads to: compatible, 6to4, NAT64, Teredo, ISATAP."""
    if isinstance(ip, IPv4Address):
        return None
    low = int(ip) & _LOW_32_BITS
    if ip in _NAT64 or (ip in _COMPATIBLE and low > 1):
        return IPv4Address(low)
    if int(ip) >> 32 & 0xFDFFFFFF == 0x5EFE:
        return IPv4Address(low)
    teredo = ip.teredo
    return ip.sixtofour or (teredo[1] if teredo is not None else None)
