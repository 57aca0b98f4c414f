"""How a message leaves: by the first of its recipient's channels that takes it.

A kind of channel is added by a `Sender` in `app.py`, and by its name in `domain.person.SENDABLE`.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from datetime import datetime
from typing import Protocol

from services.notifier.compose import Message
from services.notifier.domain.person import Channel, Recipient


class NotDelivered(Exception):
    """A message that could not be handed over; `reason` is a short code, without an address.

    `for_good`: another attempt by this channel would fare no better. `channel` is its kind, once that is known.
    """

    def __init__(self, reason: str, *, for_good: bool, channel: str | None = None) -> None:
        super().__init__(reason)
        self.reason = reason
        self.for_good = for_good
        self.channel = channel


class Sender(Protocol):
    """Hands messages over to one kind of channel."""

    @property
    def kind(self) -> str:
        """The kind of channel."""

    async def send(
        self, recipient: Recipient, channel: Channel, message: Message, message_id: str, at: datetime
    ) -> None:
        """Hand it over, under the same `message_id` however often it is tried.

        Raises:
            NotDelivered: it was not taken, or nobody knows.
        """

    async def close(self) -> None:
        """Let go of connections."""


class Senders:
    """All senders there are.

    Args:
        senders: one per kind of channel.
        timeout_s: when a hand-over, by whatever channels, is given up; it may have succeeded all the same.
    """

    def __init__(self, senders: Iterable[Sender], *, timeout_s: float) -> None:
        self._by_kind = {sender.kind: sender for sender in senders}
        self._timeout_s = timeout_s

    async def send(self, recipient: Recipient, message: Message, message_id: str, at: datetime) -> str:
        """Hand a message over by the recipient's first channel; by the next one where that is refused for good.

        Returns:
            The kind of the channel that took it.

        Raises:
            NotDelivered: none did.
        """
        refused = NotDelivered("no_channel", for_good=True)
        tried: str | None = None
        try:
            async with asyncio.timeout(self._timeout_s):
                for channel in recipient.channels:
                    sender = self._by_kind.get(channel.kind)
                    if sender is None:
                        continue
                    tried = channel.kind
                    try:
                        await sender.send(recipient, channel, message, message_id, at)
                    except NotDelivered as failure:
                        failure.channel = channel.kind
                        if not failure.for_good:
                            raise
                        refused = failure
                    else:
                        return channel.kind
        except TimeoutError:
            raise NotDelivered("timeout", for_good=False, channel=tried) from None
        raise refused

    async def close(self) -> None:
        """Let go of all connections."""
        for sender in self._by_kind.values():
            await sender.close()
