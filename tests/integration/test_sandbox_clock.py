"""The sandbox clock over a real MongoDB: members in one process, each with its own client state."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Collection
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Protocol
from uuid import uuid4

import httpx
import pytest

from shared import clock as clock_module
from shared.clock import SandboxClock
from shared.errors import Conflict, Unavailable
from shared.http import SANDBOX, Caller, Reply, Router, create_app
from shared.http.auth import Authenticator
from shared.mongo import Database, Mongo
from shared.settings import Settings
from shared.time import format_instant, parse_instant

pytestmark = pytest.mark.engines
WEEK = timedelta(days=7)


class Engines(Protocol):
    """What this needs of the `engines` fixture."""

    mongo: str


@dataclass
class Sandbox:
    """A sandbox's database, and the members that a test starts on it."""

    database: Database
    running: dict[str, tuple[SandboxClock, asyncio.Task[None]]] = field(default_factory=dict)

    async def join(self, name: str) -> SandboxClock:
        """A member that follows, as a service does."""
        clock = SandboxClock(self.database, name)
        await clock.load()
        self.running[name] = (clock, asyncio.create_task(clock.run()))
        return clock

    async def crash(self, name: str) -> None:
        """End a member as kill -9 does: without a farewell."""
        _, task = self.running.pop(name)
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task

    async def document(self) -> dict[str, object]:
        found = await self.database["clock"].find_one({"_id": "clock"})
        assert found is not None
        return found


@asynccontextmanager
async def sandbox_on(mongo: Mongo) -> AsyncIterator[Sandbox]:
    """An empty sandbox, removed afterwards."""
    name = f"clock_{uuid4().hex}_sandbox"
    sandbox = Sandbox(mongo.database(name))
    try:
        yield sandbox
    finally:
        for member in list(sandbox.running):
            await sandbox.crash(member)
        await mongo.drop_database(name)


@pytest.fixture(params=["pymongo", "motor"])
async def sandbox(engines: Engines, request: pytest.FixtureRequest) -> AsyncIterator[Sandbox]:
    mongo = Mongo.connect(engines.mongo, request.param)
    async with sandbox_on(mongo) as made:
        yield made
    await mongo.close()


class TestMovingTheClock:
    async def test_every_member_follows(self, sandbox: Sandbox) -> None:
        first, second = await sandbox.join("a"), await sandbox.join("b")
        target = first.now() + WEEK
        await first.move(target)
        for member in (first, second):
            assert timedelta() <= member.now() - target < timedelta(seconds=5)
            assert member.floor == target

    async def test_a_move_takes_a_moment_only(self, sandbox: Sandbox) -> None:
        members = [await sandbox.join(name) for name in "abcd"]
        begun = time.monotonic()
        for _ in range(10):
            await members[0].move(members[0].now() + timedelta(hours=1))
        assert (time.monotonic() - begun) / 10 < 0.5

    async def test_it_goes_forward_alone(self, sandbox: Sandbox) -> None:
        member = await sandbox.join("a")
        await member.move(member.now() + WEEK)
        with pytest.raises(Conflict):
            await member.move(member.now() - timedelta(milliseconds=50))

    async def test_it_ticks_on_after_a_move(self, sandbox: Sandbox) -> None:
        member = await sandbox.join("a")
        await member.move(member.now() + WEEK)
        seen = member.now()
        assert seen.microsecond % 1000 == 0
        await until(lambda: member.now() > seen)

    async def test_the_offset_outlives_all_members(self, sandbox: Sandbox) -> None:
        member = await sandbox.join("a")
        target = member.now() + WEEK
        await member.move(target)
        await sandbox.crash("a")
        again = await sandbox.join("a")
        assert again.now() >= target
        assert again.floor == target

    async def test_a_member_that_has_not_loaded_it_knows_no_time(self, sandbox: Sandbox) -> None:
        clock = SandboxClock(sandbox.database, "a")
        with pytest.raises(RuntimeError):
            clock.now()

    async def test_moves_at_once_come_one_after_another(self, sandbox: Sandbox) -> None:
        members = [await sandbox.join(name) for name in "abc"]
        now = members[0].now()
        targets = [now + n * WEEK for n in (1, 2, 3, 4, 5, 6)]
        moves = [members[n % 3].move(target) for n, target in enumerate(targets)]
        outcomes = await asyncio.gather(*moves, return_exceptions=True)
        # Those whose turn came after a later target's are too late; none is lost or overtaken.
        assert targets[-1] in outcomes
        assert all(isinstance(outcome, datetime | Conflict) for outcome in outcomes)
        for member in members:
            assert targets[-1] <= member.now() < targets[-1] + timedelta(minutes=1)
        assert (await sandbox.document())["phase"] == "open"

    async def test_a_pause_ends_with_the_move(self, sandbox: Sandbox) -> None:
        first, second = await sandbox.join("a"), await sandbox.join("b")
        pausing = asyncio.create_task(second.pause(60))
        await asyncio.sleep(0)
        await first.move(first.now() + WEEK)
        await asyncio.wait_for(pausing, 2)

    async def test_a_pause_ends_by_itself(self, sandbox: Sandbox) -> None:
        member = await sandbox.join("a")
        begun = time.monotonic()
        await member.pause(0.05)
        assert 0.04 < time.monotonic() - begun < 2


class TestDeciding:
    async def test_a_move_waits_for_the_decisions_under_way(self, sandbox: Sandbox) -> None:
        first, second = await sandbox.join("a"), await sandbox.join("b")
        stored: list[datetime] = []
        entered, go_on = asyncio.Event(), asyncio.Event()

        async def decide() -> None:
            async with second.deciding():
                entered.set()
                await go_on.wait()
                stored.append(second.now())

        target = first.now() + WEEK
        deciding = asyncio.create_task(decide())
        await entered.wait()
        moving = asyncio.create_task(first.move(target))
        await until_phase(sandbox, "prepare")
        await asyncio.wait([moving], timeout=0.3)
        assert not moving.done()
        go_on.set()
        await moving
        assert deciding.done()
        assert stored[0] < target

    async def test_nothing_is_decided_by_the_new_time_before_all_are_done_with_the_old(
        self, sandbox: Sandbox
    ) -> None:
        members = [await sandbox.join(name) for name in "abc"]
        start = members[0].now()
        decisions: list[tuple[float, datetime]] = []
        stop = asyncio.Event()

        async def decide(member: SandboxClock) -> None:
            while not stop.is_set():
                async with member.deciding():
                    now = member.now()
                    await asyncio.sleep(0.04)  # what storing takes
                    decisions.append((time.monotonic(), now))

        workers = [asyncio.create_task(decide(member)) for member in members for _ in range(3)]
        answered = []
        for week in range(1, 9):
            await members[week % 3].move(start + week * WEEK)
            answered.append(time.monotonic())
        stop.set()
        await asyncio.gather(*workers)
        weeks = [(now - start) // WEEK for _, now in decisions]
        assert weeks == sorted(weeks), "a decision by an older time was stored after one by a newer"
        for week, moment in enumerate(answered, 1):
            assert all((now - start) // WEEK >= week for at, now in decisions if at > moment + 0.05)

    async def test_it_may_be_nested_while_a_move_waits(self, sandbox: Sandbox) -> None:
        member = await sandbox.join("a")
        target = member.now() + WEEK
        async with member.deciding():
            moving = asyncio.create_task(member.move(target))
            await until_phase(sandbox, "prepare")
            await until(lambda: not member._open.is_set())
            async with asyncio.timeout(2):
                async with member.deciding():
                    assert member.now() < target
        assert await moving == target

    async def test_a_task_that_outlives_the_decision_is_not_inside_any_more(self, sandbox: Sandbox) -> None:
        member = await sandbox.join("a")
        released = asyncio.Event()
        seen: list[datetime] = []

        async def later() -> None:
            await released.wait()
            async with member.deciding():
                seen.append(member.now())

        async with member.deciding():
            child = asyncio.create_task(later())
        target = member.now() + WEEK
        entered, go_on = asyncio.Event(), asyncio.Event()

        async def hold() -> None:
            async with member.deciding():
                entered.set()
                await go_on.wait()

        holding = asyncio.create_task(hold())
        await entered.wait()
        moving = asyncio.create_task(member.move(target))
        await until(lambda: not member._open.is_set())
        released.set()
        await asyncio.sleep(0)
        go_on.set()
        await asyncio.gather(moving, holding, child)
        assert seen[0] >= target

    async def test_hooks_run_after_the_last_decision_and_before_the_time_changes(
        self, sandbox: Sandbox
    ) -> None:
        member = await sandbox.join("a")
        order: list[str] = []
        start = member.now()

        async def hook() -> None:
            order.append("hook" if member.now() < start + WEEK else "too late")

        member.on_prepare(hook)
        go_on, entered = asyncio.Event(), asyncio.Event()

        async def decide() -> None:
            async with member.deciding():
                entered.set()
                await go_on.wait()
                order.append("decided")

        deciding = asyncio.create_task(decide())
        await entered.wait()
        moving = asyncio.create_task(member.move(start + WEEK))
        await until_phase(sandbox, "prepare")
        go_on.set()
        await asyncio.gather(moving, deciding)
        assert order == ["decided", "hook"]


class TestMembersThatFail:
    @pytest.fixture(autouse=True)
    def _shorter(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """The same proportions in a tenth of the time."""
        monkeypatch.setattr(clock_module, "FOLLOW_S", 1.0)
        monkeypatch.setattr(clock_module, "ALIVE_MS", 1_500)
        monkeypatch.setattr(clock_module, "ABANDONED_MS", 1_500)
        monkeypatch.setattr(clock_module, "STALE_S", 1.0)
        monkeypatch.setattr(clock_module, "HEARTBEAT_S", 0.1)

    async def test_a_member_that_does_not_follow_keeps_the_time_as_it_was(self, sandbox: Sandbox) -> None:
        first, second = await sandbox.join("a"), await sandbox.join("b")
        before = first.now()
        entered, go_on = asyncio.Event(), asyncio.Event()

        async def stuck() -> None:
            async with second.deciding():
                entered.set()
                await go_on.wait()

        holding = asyncio.create_task(stuck())
        await entered.wait()
        with pytest.raises(Unavailable, match="b"):
            await first.move(before + WEEK)
        for member in (first, second):
            async with asyncio.timeout(1), member.deciding():
                assert member.now() < before + timedelta(minutes=1)
        go_on.set()
        await holding
        await first.move(before + WEEK)
        assert second.now() >= before + WEEK

    async def test_a_crashed_member_is_waited_for_until_it_counts_as_gone(self, sandbox: Sandbox) -> None:
        first = await sandbox.join("a")
        await sandbox.join("b")
        await sandbox.crash("b")
        with pytest.raises(Unavailable, match="b"):
            await first.move(first.now() + WEEK)
        await until_async(lambda: moves(first, WEEK))

    async def test_a_restarted_member_takes_the_place_of_its_predecessor(self, sandbox: Sandbox) -> None:
        first = await sandbox.join("a")
        await sandbox.join("b")
        await sandbox.crash("b")
        again = await sandbox.join("b")
        target = first.now() + WEEK
        await first.move(target)
        assert again.now() >= target

    async def test_a_member_that_left_is_not_waited_for(self, sandbox: Sandbox) -> None:
        first, second = await sandbox.join("a"), await sandbox.join("b")
        await sandbox.crash("b")
        await second.leave()
        await first.move(first.now() + WEEK)

    async def test_a_member_that_joins_during_a_move_decides_by_the_new_time(self, sandbox: Sandbox) -> None:
        first = await sandbox.join("a")
        target = first.now() + WEEK
        entered, go_on = asyncio.Event(), asyncio.Event()

        async def hold() -> None:
            async with first.deciding():
                entered.set()
                await go_on.wait()

        holding = asyncio.create_task(hold())
        await entered.wait()
        moving = asyncio.create_task(first.move(target))
        await until_phase(sandbox, "prepare")
        newcomer = await sandbox.join("c")

        async def decide() -> datetime:
            async with newcomer.deciding():
                return newcomer.now()

        deciding = asyncio.create_task(decide())
        go_on.set()
        await asyncio.gather(moving, holding)
        assert await deciding >= target

    async def test_a_move_whose_process_died_while_preparing_is_given_up(self, sandbox: Sandbox) -> None:
        member = await sandbox.join("a")
        before = member.now()
        await begin_and_die(sandbox, "prepare", before + WEEK)
        await until(lambda: not member._open.is_set())
        async with asyncio.timeout(5), member.deciding():
            assert member.now() < before + timedelta(minutes=1)
        await member.move(before + WEEK)

    async def test_a_move_whose_process_died_after_it_was_set_is_completed(self, sandbox: Sandbox) -> None:
        member = await sandbox.join("a")
        before = member.now()
        await begin_and_die(sandbox, "set", before + WEEK)
        await until(lambda: not member._open.is_set())
        async with asyncio.timeout(5), member.deciding():
            assert member.now() >= before + WEEK
        await until_phase(sandbox, "open")

    async def test_a_member_that_was_suspended_asks_before_it_decides(self, sandbox: Sandbox) -> None:
        first, second = await sandbox.join("a"), await sandbox.join("b")
        await sandbox.crash("b")  # its process stands still: it neither follows nor shows life
        target = first.now() + WEEK
        await until_async(lambda: moves(first, target - first.now()))
        deciding = asyncio.create_task(decided(second))
        resumed = asyncio.create_task(second.run())
        assert await deciding >= target
        resumed.cancel()

    async def test_a_failing_hook_keeps_the_time_as_it_was(self, sandbox: Sandbox) -> None:
        member = await sandbox.join("a")

        async def hook() -> None:
            raise OSError("no disk")

        member.on_prepare(hook)
        before = member.now()
        with pytest.raises(Unavailable):
            await member.move(before + WEEK)
        assert await decided(member) < before + timedelta(minutes=1)


class TestOverHttp:
    @pytest.fixture
    async def http(self, sandbox: Sandbox) -> AsyncIterator[httpx.AsyncClient]:
        clock = await sandbox.join("a")
        router = Router()

        @router.post("/v1/things", scopes=(), status_code=201)
        async def make() -> Reply:
            return {"at": format_instant(clock.now())}

        app = create_app("Onbelay things", Settings(), clock, routers=[router], authenticator=_Anyone())
        transport = httpx.ASGITransport(app)
        async with httpx.AsyncClient(transport=transport, base_url="http://things") as client:
            yield client

    async def test_put_moves_and_get_reads(self, http: httpx.AsyncClient) -> None:
        now = parse_instant((await http.get("/v1/sandbox/clock")).json()["now"])
        target = (now + WEEK).replace(microsecond=0)
        sent = target.isoformat().replace("+00:00", "Z")
        response = await http.put("/v1/sandbox/clock", json={"now": sent}, headers={"Authorization": SANDBOX})
        assert (response.status_code, response.json()) == (200, {"now": sent})
        assert parse_instant((await http.get("/v1/sandbox/clock")).json()["now"]) >= target
        made = await http.post("/v1/things")
        assert parse_instant(made.json()["at"]) >= target

    async def test_a_write_during_a_move_happens_after_it(
        self, http: httpx.AsyncClient, sandbox: Sandbox
    ) -> None:
        clock, _ = sandbox.running["a"]
        target = clock.now() + WEEK
        entered, go_on = asyncio.Event(), asyncio.Event()

        async def hold() -> None:
            async with clock.deciding():
                entered.set()
                await go_on.wait()

        holding = asyncio.create_task(hold())
        await entered.wait()
        moving = asyncio.create_task(clock.move(target))
        await until(lambda: not clock._open.is_set())
        writing = asyncio.create_task(http.post("/v1/things"))
        assert (await http.get("/v1/sandbox/clock")).status_code == 200  # reads do not wait
        go_on.set()
        made, *_ = await asyncio.gather(writing, moving, holding)
        assert parse_instant(made.json()["at"]) >= target

    async def test_backwards_is_409(self, http: httpx.AsyncClient) -> None:
        response = await http.put(
            "/v1/sandbox/clock",
            json={"now": "2020-01-01T00:00:00Z"},
            headers={"Authorization": SANDBOX},
        )
        assert response.status_code == 409

    async def test_it_needs_its_scope(self, http: httpx.AsyncClient) -> None:
        response = await http.put("/v1/sandbox/clock", json={"now": "2030-01-01T00:00:00Z"})
        assert response.status_code == 403

    @pytest.mark.parametrize("now", ["tomorrow", "2030-01-01", 5, None, "9999-01-01T00:00:00Z"])
    async def test_what_is_no_instant_is_422(self, http: httpx.AsyncClient, now: object) -> None:
        response = await http.put("/v1/sandbox/clock", json={"now": now}, headers={"Authorization": SANDBOX})
        assert response.status_code == 422
        assert [error["pointer"] for error in response.json()["errors"]] == ["/now"]


class _Anyone(Authenticator):
    def __init__(self) -> None:
        pass

    async def caller(
        self, authorization: str | None, act_as: str | None = None, scopes: Collection[str] = ()
    ) -> Caller:
        caller = Caller("acme", "ana", "ana", frozenset((authorization or "").split()))
        caller.require(scopes)
        return caller


async def decided(clock: SandboxClock) -> datetime:
    """The time by which `clock` decides next."""
    async with clock.deciding():
        return clock.now()


async def moves(clock: SandboxClock, by: timedelta) -> bool:
    """Whether the clock can be moved."""
    try:
        await clock.move(clock.now() + by)
    except Unavailable:
        return False
    return True


async def begin_and_die(sandbox: Sandbox, phase: str, target: datetime) -> None:
    """Leave the document as a process does that dies in `phase` of a move."""
    real = datetime.now(UTC)
    found = await sandbox.database["clock"].find_one({"_id": "clock"}) or {"generation": 0}
    changed = {"generation": found["generation"] + 1, "phase": phase, "started_at": real}
    if phase == "set":
        changed |= {"offset_ms": round((target - real).total_seconds() * 1000), "floor": target}
    else:
        changed |= {"offset_ms": found.get("offset_ms", 0)}
    await sandbox.database["clock"].update_one({"_id": "clock"}, {"$set": changed}, upsert=True)


async def until(holds: Callable[[], bool], seconds: float = 5) -> None:
    deadline = time.monotonic() + seconds
    while not holds():
        assert time.monotonic() < deadline, "it did not come to pass"
        await asyncio.sleep(0.005)


async def until_async(holds: Callable[[], Awaitable[bool]], seconds: float = 10) -> None:
    deadline = time.monotonic() + seconds
    while not await holds():
        assert time.monotonic() < deadline, "it did not come to pass"


async def until_phase(sandbox: Sandbox, phase: str) -> None:
    deadline = time.monotonic() + 5
    while True:
        found = await sandbox.database["clock"].find_one({"_id": "clock"})
        if found is not None and found["phase"] == phase:
            return
        assert time.monotonic() < deadline, f"it never came to {phase}"
        await asyncio.sleep(0.005)
