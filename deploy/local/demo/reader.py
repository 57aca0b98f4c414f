"""Reads a stack's topics, as any other service could, and lets others wait for what is read."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

from aiokafka import AIOKafkaConsumer

from shared import events
from shared.settings import Settings

TOPICS = ("goals", "checkins", "nudges")


class NotHeard(Exception):
    """An event that must come did not come in time."""


class Reader:
    """Hands each event to `tell` once, and keeps it.

    Delivery: from the beginning of the topics, without a group; a duplicate, which has the same id, is passed over. A
    record that is no event of the contract ends it: on a stack of its own there is none.
    """

    def __init__(self, bootstrap: str, tell: Callable[[events.Decoded], None]) -> None:
        self._bootstrap = bootstrap
        settings = Settings()  # the stack's services have the same surroundings
        self._topics = {settings.topic(events.TOPICS[name]): name for name in TOPICS}
        self._tell = tell
        self._heard: dict[str, events.Decoded] = {}
        self._more = asyncio.Condition()

    @property
    def heard(self) -> list[events.Decoded]:
        """All events so far, in the order in which they were read."""
        return list(self._heard.values())

    async def run(self) -> None:
        """Read until cancelled."""
        consumer = AIOKafkaConsumer(
            *self._topics,
            bootstrap_servers=self._bootstrap,
            enable_auto_commit=False,
            auto_offset_reset="earliest",
            fetch_max_wait_ms=50,
        )
        await consumer.start()
        try:
            async for message in consumer:
                await self._take(message)
        finally:
            await consumer.stop()

    async def _take(self, message: Any) -> None:
        event = events.decode(message.headers, message.key, message.value, self._topics[message.topic])
        if event.id in self._heard or event.type == "CheckInsWatermark":
            return
        async with self._more:
            self._heard[event.id] = event
            self._tell(event)
            self._more.notify_all()

    async def until(self, what: str, came: Callable[[events.Decoded], bool], seconds: float) -> None:
        """Wait until an event for which `came` holds was read, now or before.

        Raises:
            NotHeard: none was, within `seconds`; names `what`.
        """
        if not await self.seen(came, seconds):
            raise NotHeard(f"{what} did not come within {seconds:g} s")

    async def seen(self, came: Callable[[events.Decoded], bool], seconds: float) -> bool:
        """Whether such an event was read, now or before, or is within `seconds`."""
        try:
            async with asyncio.timeout(seconds), self._more:
                return await self._more.wait_for(lambda: any(map(came, self._heard.values())))
        except TimeoutError:
            return False

    async def quiet(self, for_s: float, at_most_s: float) -> None:
        """Wait until nothing new was read for `for_s`, or `at_most_s` passed."""
        loop = asyncio.get_running_loop()
        deadline = loop.time() + at_most_s
        while loop.time() < deadline:
            before = len(self._heard)
            await asyncio.sleep(for_s)
            if len(self._heard) == before:
                return
