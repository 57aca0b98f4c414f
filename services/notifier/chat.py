"""Chat by incoming webhooks: of the services that apprise knows and that are allowed here, or of any other chat.

A URL of one of the allowed services is sent to by apprise, in that service's own form. Which plugin that is follows
from the host alone, and of the URL's query only what the service needs goes on: apprise takes options there, some of
which read files or call other addresses. Every other URL gets `{"text": ...}`, which Mattermost, Rocket.Chat and
their like take, by the guarded POST of webhooks.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Protocol
from urllib.parse import parse_qsl, urlencode, urlsplit, urlunsplit

import msgspec

from services.notifier.compose import Message
from services.notifier.domain.person import Channel, Recipient
from services.notifier.senders import NotDelivered
from services.notifier.webhooks.outbound import NotReached, Outbound

AT_ONCE = 16
"""Messages handed to apprise at once; it blocks a thread for each."""
_FOR_GOOD = frozenset({400, 401, 403, 404, 405, 410, 413, 415, 422})
_REFUSED = frozenset({"refused_url", "refused_address"})


@dataclass(frozen=True, slots=True)
class Service:
    """A chat service that apprise speaks to: by which of its schemes, and what a URL's query may hold."""

    scheme: str
    query: frozenset[str] = frozenset()


_WORKFLOWS = Service("workflows", frozenset({"api-version", "sp", "sv", "sig"}))
SERVICES = {
    "hooks.slack.com": Service("slack"),
    "discord.com": Service("discord"),
    "discordapp.com": Service("discord"),
    "chat.googleapis.com": Service("gchat", frozenset({"key", "token", "threadKey"})),
    "webexapis.com": Service("webex"),
    "open.larksuite.com": Service("lark"),
}
"""By host."""
SERVICES_BELOW = {".logic.azure.com": _WORKFLOWS, ".api.powerplatform.com": _WORKFLOWS}
"""By what a host ends with."""


class Plugin(Protocol):
    """What is needed of an apprise plugin; `notify` blocks, and tells whether the service took the message."""

    def notify(self, body: str, title: str) -> bool: ...


class Chat:
    """The sender of chat messages.

    Delivery: at least once; a chat has no id by which it would know a message again.

    Args:
        outbound: posts to chats that are none of the services.
        plugin: makes the plugin for a URL of a service, or None when apprise does not know it as one.
    """

    kind = "chat"

    def __init__(
        self, outbound: Outbound, *, plugin: Callable[[str, Service], Plugin | None] | None = None
    ) -> None:
        self._outbound = outbound
        self._plugin = plugin or by_apprise
        self._threads = ThreadPoolExecutor(AT_ONCE, "chat")

    async def send(
        self, recipient: Recipient, channel: Channel, message: Message, message_id: str, at: datetime
    ) -> None:
        """See `Sender.send`."""
        url = channel.url
        if url is None:
            raise NotDelivered("no_address", for_good=True)
        service = service_of(url)
        if service is None:
            await self._post(url, message, message_id)
        else:
            await self._by_service(url, service, message)

    async def _post(self, url: str, message: Message, message_id: str) -> None:
        headers = {"content-type": "application/json", "onbelay-message-id": message_id}
        try:
            answered = await self._outbound.post(url, headers, msgspec.json.encode({"text": message.text}))
        except NotReached as failure:
            raise NotDelivered(f"chat_{failure.reason}", for_good=failure.reason in _REFUSED) from None
        if not 200 <= answered.status < 300:
            raise NotDelivered(f"chat_{answered.status}", for_good=answered.status in _FOR_GOOD)

    async def _by_service(self, url: str, service: Service, message: Message) -> None:
        def hand_over() -> bool:
            plugin = self._plugin(bare(url, service), service)
            if plugin is None:
                raise NotDelivered(f"{service.scheme}_unknown_url", for_good=True)
            return plugin.notify(body=message.text, title="")

        taken = await asyncio.get_running_loop().run_in_executor(self._threads, hand_over)
        if not taken:
            raise NotDelivered(f"{service.scheme}_refused", for_good=False)

    async def close(self) -> None:
        """Let go of the threads."""
        self._threads.shutdown(wait=False, cancel_futures=True)


def service_of(url: str) -> Service | None:
    """The service that a URL belongs to, by its host."""
    parts = urlsplit(url)
    host = (parts.hostname or "").lower()
    if parts.scheme != "https" or parts.port not in (None, 443):
        return None
    below = (found for end, found in SERVICES_BELOW.items() if host.endswith(end))
    return SERVICES.get(host) or next(below, None)


def bare(url: str, service: Service) -> str:
    """The URL with no more than the service needs of it."""
    parts = urlsplit(url)
    kept = [(name, value) for name, value in parse_qsl(parts.query) if name in service.query]
    return urlunsplit((parts.scheme, parts.netloc, parts.path, urlencode(kept), ""))


def by_apprise(url: str, service: Service) -> Plugin | None:
    """Apprise's plugin for a URL, if it is the one of the service."""
    import apprise  # its hundred modules take half a second, for those who use them

    asset = apprise.AppriseAsset(secure_logging=True, plugin_paths=[])
    plugin: Any = apprise.Apprise.instantiate(url, asset=asset)
    if plugin is None or service.scheme not in _schemes(plugin):
        return None
    plugin.redirects = False
    found: Plugin = plugin
    return found


def _schemes(plugin: Any) -> set[str]:
    named = (plugin.protocol, plugin.secure_protocol)
    return {scheme for each in named if each for scheme in ((each,) if isinstance(each, str) else each)}
