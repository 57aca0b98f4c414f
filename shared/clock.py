"""Domain time: what users see. Leases, timeouts, tokens and retries keep the real clock instead.

In production it is the system's. A sandbox's can be moved forward; all its services follow it, through two
collections of the database `<prefix>sandbox`:

    clock    {_id: "clock", generation, phase: open|prepare|set, offset_ms, floor, started_at}
    members  {_id: <instance>, seen_at, prepared: generation, applied: generation}

A move goes from `open` over `prepare` to `set` and back to `open`, each step one guarded write:

1.  prepare: every member closes its gate (`deciding` waits), lets what is inside end, runs its `on_prepare`
    hooks (publishing what is stored), and notes the generation as prepared.
2.  set: once all that showed life in the last 15 s have prepared, the new offset is written; members take it
    over, still gated, and note it as applied.
3.  open: the gates open.

Gates follow the document alone, so a move whose process died is ended by any member after 15 s: given up
while it was prepared, completed once it was set. All ages are by MongoDB's clock.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager, nullcontext, suppress
from contextvars import ContextVar
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

import structlog
from pymongo import ReturnDocument
from pymongo.errors import DuplicateKeyError, PyMongoError

from shared.errors import Conflict, Unavailable
from shared.mongo import Database, Doc

Hook = Callable[[], Awaitable[object]]

FOLLOW_S = 10.0
"""How long a move waits for the members."""
ALIVE_MS = 15_000
"""A member that showed no sign of life for this long is not waited for."""
ABANDONED_MS = 15_000
"""A move that runs for longer than this has lost its process."""
STALE_S = 10.0
"""A member that could not read the clock for this long asks before it decides again; less than `ALIVE_MS`."""
POLL_S = 0.05
POLL_MOVING_S = 0.01
HEARTBEAT_S = 1.0

_CLOCK = "clock"
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MS = timedelta(milliseconds=1)
_log = structlog.get_logger(__name__)


class Clock:
    """Domain time, and the gate around decisions made by it.

    This one is the system's: `deciding` lets everything through. The sandbox's can be moved.
    """

    def __init__(self) -> None:
        self._latest_ms = 0
        self._latest = _EPOCH

    @property
    def floor(self) -> datetime | None:
        """The instant that the sandbox clock was last moved to; None where it never was.

        Everything decided before it is stored, and published unless Kafka was away.
        """
        return None

    @property
    def offset_ms(self) -> int:
        """How far domain time is ahead of the system's, in milliseconds."""
        return 0

    def now(self) -> datetime:
        """Domain time: aware, UTC, whole milliseconds, never going back within a process."""
        now_ms = _now_ms() + self.offset_ms
        if now_ms > self._latest_ms:
            self._latest_ms = now_ms
            self._latest = _EPOCH + now_ms * _MS
        return self._latest

    def deciding(self) -> AbstractAsyncContextManager[None]:
        """Hold the clock for a decision: around anything that reads `now` and stores what follows from it.

        While the sandbox clock is being moved it waits to enter; may be nested.
        """
        return _NOT_HELD

    async def pause(self, seconds: float) -> None:
        """Wait for real seconds, or until the clock was moved, whichever comes first."""
        await asyncio.sleep(seconds)


_NOT_HELD = nullcontext()


def _now_ms() -> int:
    return time.time_ns() // 1_000_000


class SystemClock(Clock):
    """The clock of production."""


@dataclass(slots=True)
class _Hold:
    """One stay inside a gate; `live` ends with it, although tasks begun inside still see it."""

    clock: SandboxClock
    live: bool = True


_HOLD: ContextVar[_Hold | None] = ContextVar("onbelay_clock_hold", default=None)


class SandboxClock(Clock):
    """The clock that all services of a sandbox share.

    `load` it before anything is decided, then keep `run` running as a task; `leave` on a clean shutdown.

    Args:
        database: `<prefix>sandbox`.
        instance: names this process among the members; the same after a restart, so that it takes the place
            of its predecessor.

    Raises:
        ValueError: it has no name, by which others would take it for themselves.
    """

    def __init__(self, database: Database, instance: str) -> None:
        super().__init__()
        if not instance:
            raise ValueError("a member of the sandbox clock needs a name: ONBELAY_INSTANCE")
        self._clocks = database["clock"]
        self._members = database["members"]
        self._instance = instance
        self._hooks: list[Hook] = []
        self._offset_ms: int | None = None
        self._floor: datetime | None = None
        self._polled_at = 0.0
        self._open = asyncio.Event()
        self._nudge = asyncio.Event()
        self._moved = asyncio.Event()
        self._inside = 0
        self._empty = asyncio.Event()
        self._seen_at = 0.0
        self._prepared = 0
        self._noted = (0, 0)
        self._preparing: asyncio.Task[None] | None = None
        self._preparing_for = 0

    def on_prepare(self, hook: Hook) -> None:
        """Run `hook` in each move once the gate is closed and empty, before the time changes.

        It should end within 3 s; one that raises keeps this member from following.
        """
        self._hooks.append(hook)

    @property
    def floor(self) -> datetime | None:
        """See `Clock.floor`; outlives restarts."""
        return self._floor

    @property
    def offset_ms(self) -> int:
        """See `Clock.offset_ms`.

        Raises:
            RuntimeError: the clock was not loaded yet.
        """
        if self._offset_ms is None:
            raise RuntimeError("the sandbox clock has to be loaded before it is read")
        return self._offset_ms

    @asynccontextmanager
    async def deciding(self) -> AsyncIterator[None]:
        """See `Clock.deciding`. Waits for as long as a move runs (at most about 15 s) or MongoDB is away."""
        outer = _HOLD.get()
        if outer is None or outer.clock is not self or not outer.live:
            await self._enter()
        self._inside += 1
        hold = _Hold(self)
        token = _HOLD.set(hold)
        try:
            yield
        finally:
            hold.live = False
            _HOLD.reset(token)
            self._inside -= 1
            if self._inside == 0:
                self._empty.set()

    async def _enter(self) -> None:
        while True:
            while not self._open.is_set():
                await self._open.wait()
            if time.monotonic() - self._polled_at < STALE_S:
                return
            # Suspended or cut off meanwhile: the others may have moved on without this member.
            self._open.clear()
            self._nudge.set()

    async def pause(self, seconds: float) -> None:
        """See `Clock.pause`."""
        moved = self._moved
        with suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await moved.wait()

    # --- a member's side

    async def load(self) -> None:
        """Join the members, then read the clock: that order, so that no move goes past a member that begins.

        Raises:
            PyMongoError: MongoDB is away.
        """
        self._prepared = 0
        await self._note(prepared=0, applied=0)
        self._follow(await self._read())

    async def run(self) -> None:
        """Follow the clock for as long as the service lives.

        While MongoDB is away the offset known last is kept; after `STALE_S` nothing new is decided by it.
        """
        away = False
        task = asyncio.current_task()
        # Not `while True`: before Python 3.12 a driver's wait_for can swallow the cancellation.
        while task is None or not task.cancelling():
            delay = POLL_S
            try:
                clock = await self._read()
                self._follow(clock)
                if clock["phase"] != "open":
                    delay = POLL_MOVING_S
                    await self._take_part(clock)
                if time.monotonic() - self._seen_at >= HEARTBEAT_S:
                    await self._note(*self._noted)
                away = False
            except PyMongoError as error:
                if not away:
                    _log.warning("sandbox_clock_away", error=repr(error))
                away = True
                delay = 0.25
            with suppress(TimeoutError):
                async with asyncio.timeout(delay):
                    await self._nudge.wait()
            self._nudge.clear()
        raise asyncio.CancelledError

    async def leave(self) -> None:
        """End the membership: moves no longer wait for this process.

        Raises:
            PyMongoError: MongoDB is away; the others notice after 15 s.
        """
        self._stop_preparing()
        await self._members.delete_one({"_id": self._instance})

    def _follow(self, clock: Doc) -> None:
        """Take over what the document says; nothing here waits."""
        self._polled_at = time.monotonic()
        if clock["phase"] == "prepare":
            self._open.clear()
            self._offset_ms = clock["offset_ms"] if self._offset_ms is None else self._offset_ms
            if self._preparing_for != clock["generation"]:
                self._stop_preparing()
                self._preparing_for = clock["generation"]
                self._preparing = asyncio.create_task(self._prepare(clock["generation"]))
            return
        self._stop_preparing()
        self._offset_ms = clock["offset_ms"]
        moved = self._floor != clock.get("floor")
        self._floor = clock.get("floor")
        if clock["phase"] == "set":
            self._open.clear()
        else:
            self._open.set()
        if moved:
            self._moved.set()
            self._moved = asyncio.Event()

    async def _prepare(self, generation: int) -> None:
        while self._inside:
            self._empty.clear()
            await self._empty.wait()
        for hook in self._hooks:
            await hook()
        self._prepared = generation
        self._nudge.set()

    def _stop_preparing(self) -> None:
        if self._preparing is not None:
            if self._preparing.done() and not self._preparing.cancelled() and self._preparing.exception():
                _log.error("sandbox_clock_hook_failed", error=repr(self._preparing.exception()))
            self._preparing.cancel()
            self._preparing = None

    async def _take_part(self, clock: Doc) -> None:
        generation = clock["generation"]
        if clock["age_ms"] > ABANDONED_MS:
            await self._end(generation, clock["phase"])
            self._nudge.set()
        elif clock["phase"] == "set":
            if self._noted != (generation, generation):
                await self._note(generation, generation)
        elif self._prepared == generation and self._noted[0] != generation:
            await self._note(generation, self._noted[1])

    async def _note(self, prepared: int, applied: int) -> None:
        """Show life, and how far this member has followed."""
        update = [{"$set": {"seen_at": "$$NOW", "prepared": prepared, "applied": applied}}]
        await self._members.update_one({"_id": self._instance}, update, upsert=True)
        self._noted = (prepared, applied)
        self._seen_at = time.monotonic()

    async def _read(self) -> Doc:
        shown = {
            "generation": 1,
            "phase": 1,
            "offset_ms": 1,
            "floor": 1,
            "age_ms": {"$subtract": ["$$NOW", "$started_at"]},
        }
        found = await self._clocks.find_one({"_id": _CLOCK}, shown)
        return found or {"generation": 0, "phase": "open", "offset_ms": 0, "age_ms": 0}

    async def _end(self, generation: int, phase: str) -> None:
        await self._clocks.update_one(
            {"_id": _CLOCK, "generation": generation, "phase": phase}, {"$set": {"phase": "open"}}
        )

    # --- the mover's side

    async def move(self, target: datetime) -> datetime:
        """Move the clock of all services to `target`; one move at a time, others wait their turn.

        Returns once what was in flight is stored, what is stored is published (unless Kafka is away), and
        every member decides by the new time.

        Raises:
            Conflict: `target` is before now: time goes forward alone.
            Unavailable: a member did not follow within 10 s. The time is then as before, except when it
                stopped between taking part and taking over: the detail says so.
            PyMongoError: MongoDB is away.
        """
        generation = await self._announce(target)
        deadline = time.monotonic() + FOLLOW_S
        self._nudge.set()
        try:
            await self._followed("prepared", generation, deadline)
        except BaseException:
            with suppress(PyMongoError):
                await asyncio.shield(self._end(generation, "prepare"))
            self._nudge.set()
            raise
        if not await self._set(generation, target):
            raise Unavailable("This move of the clock took too long and was given up.", retry_after=1)
        self._nudge.set()
        late: Unavailable | None = None
        try:
            await self._followed("applied", generation, deadline)
        except Unavailable as error:
            # All gates are closed, and open by the new time alone: to go on is safe, to go back is not.
            late = Unavailable(f"The clock was moved, but: {error.detail}", retry_after=1)
        await self._end(generation, "set")
        self._nudge.set()
        if late is not None:
            raise late
        return target

    async def _announce(self, target: datetime) -> int:
        deadline = time.monotonic() + FOLLOW_S + ABANDONED_MS / 1000
        while True:
            clock = await self._read()
            if clock["phase"] == "open":
                # The gates are left to `run`: a document read here may be older than what it follows already.
                if target < max(self.now(), _EPOCH + (_now_ms() + clock["offset_ms"]) * _MS):
                    raise Conflict("The sandbox clock goes forward alone; that is before its present time.")
                if await self._begin(clock["generation"], target):
                    return int(clock["generation"]) + 1
            elif time.monotonic() > deadline:
                raise Unavailable("Another move of the clock is still running.", retry_after=1)
            elif clock["age_ms"] > ABANDONED_MS:
                await self._end(clock["generation"], clock["phase"])
            await asyncio.sleep(POLL_MOVING_S)

    async def _begin(self, generation: int, target: datetime) -> bool:
        """Whether this move is now the one that runs."""
        begun: Doc = {
            "generation": generation + 1,
            "phase": "prepare",
            "target": target,
            "started_at": "$$NOW",
            "offset_ms": {"$ifNull": ["$offset_ms", 0]},
        }
        guard: Doc = {"_id": _CLOCK}
        guard |= (
            {"generation": generation, "phase": "open"} if generation else {"generation": {"$exists": False}}
        )
        try:
            result = await self._clocks.update_one(guard, [{"$set": begun}], upsert=generation == 0)
        except DuplicateKeyError:
            return False
        return bool(result.matched_count or result.upserted_id)

    async def _set(self, generation: int, target: datetime) -> bool:
        target_ms = (target - _EPOCH) // _MS
        changed = await self._clocks.find_one_and_update(
            {"_id": _CLOCK, "generation": generation, "phase": "prepare"},
            [
                {
                    "$set": {
                        "phase": "set",
                        "floor": target,
                        # Never less than it was: the target may have passed while the members prepared.
                        "offset_ms": {
                            "$max": ["$offset_ms", {"$subtract": [target_ms, {"$toLong": "$$NOW"}]}]
                        },
                    }
                }
            ],
            return_document=ReturnDocument.AFTER,
        )
        return changed is not None

    async def _followed(self, step: str, generation: int, deadline: float) -> None:
        shown = {step: 1, "age_ms": {"$subtract": ["$$NOW", "$seen_at"]}}
        while True:
            members = await self._members.find({}, shown).to_list(None)
            behind = [
                str(member["_id"])
                for member in members
                if member["age_ms"] < ALIVE_MS and member.get(step, 0) < generation
            ]
            if not behind:
                return
            if time.monotonic() > deadline:
                raise Unavailable(
                    f"These services do not follow the clock: {', '.join(sorted(behind))}.", retry_after=1
                )
            await asyncio.sleep(POLL_MOVING_S)
