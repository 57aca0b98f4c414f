"""Mail servers that misbehave, and notifiers that die, stand still, or are two: one entry each, no message lost."""

from __future__ import annotations

import asyncio
import signal
import sys
from datetime import datetime, timedelta
from uuid import uuid4

import pytest

from deploy.local import services
from deploy.local.children import Child, Program
from deploy.local.ports import pick
from shared.time import parse_instant
from tests.conftest import NewSystem
from tests.faults.scripted_smtp import DROP, STALL, ScriptedSmtp
from tests.integration.notifier.mentors import PARTITIONS, Mentors
from tests.support.polling import eventually
from tests.support.system import System

pytestmark = [pytest.mark.engines, pytest.mark.faults, pytest.mark.timeout(240)]
LEASE_S = 5


async def mentors_of(new_system: NewSystem, smtp_port: int, **settings: str) -> Mentors:
    """A notifier alone, whose mail goes to a port of the test's."""
    env = {
        "ONBELAY_NOTIFIER_SMTP_PORT": str(smtp_port),
        "ONBELAY_NOTIFIER_LEASE_S": str(LEASE_S),
        **{f"ONBELAY_NOTIFIER_{name.upper()}": value for name, value in settings.items()},
    }
    system = await new_system(("notifier",), partitions=PARTITIONS, env=env)
    return Mentors(system, f"org-{uuid4().hex[:8]}")


async def second(system: System, tmp_path_factory: pytest.TempPathFactory) -> Child:
    """Another notifier beside the system's own."""
    (port,) = pick(1)
    env = {**system.environment(), "ONBELAY_NOTIFIER_PORT": str(port)}
    log = tmp_path_factory.mktemp("second") / "notifier.log"
    child = await Child.start(Program("second", (sys.executable, "-m", "services.notifier"), log, env))
    await child.ready(lambda: services.answers(port))
    return child


class TestAMailServerThatMisbehaves:
    async def test_makes_each_message_sent_or_failed_and_holds_up_nobody_else(
        self, new_system: NewSystem
    ) -> None:
        (port,) = pick(1)
        mentors = await mentors_of(new_system, port, send_attempts="3")
        answers = {
            "well": [],
            "unknown": ["RCPT 550 no such person"],
            "refused": ["554 not this"],
            "busy": ["RCPT 451 later", "451 later"],
            "always-busy": ["451 later"] * 9,
            "stalls": [STALL],
            "drops": [DROP],
        }
        smtp = ScriptedSmtp({mentors.address(mentor): script for mentor, script in answers.items()})
        async with smtp.listening(port):
            await mentors.hear(answers)
            ledger = await mentors.have_heard(answers)
        told = {mentor: (entry["outcome"], entry.get("reason")) for mentor, entry in ledger.items()}
        assert told == {
            "well": ("sent", None),
            "unknown": ("failed", "smtp_550"),
            "refused": ("failed", "smtp_554"),
            "busy": ("sent", None),
            "always-busy": ("failed", "smtp_451"),
            "stalls": ("sent", None),
            "drops": ("sent", None),
        }
        # However often it was tried, it was the same message; nobody got two where nothing had gone wrong.
        for mentor, entry in ledger.items():
            handed_over = smtp.handed_over[mentors.address(mentor)]
            assert set(handed_over) <= {entry["message_id"]}, mentor
        times = {mentor: len(smtp.handed_over[mentors.address(mentor)]) for mentor in answers}
        assert times == {
            "well": 1, "unknown": 0, "refused": 1, "busy": 2, "always-busy": 3, "stalls": 2, "drops": 2,
        }  # fmt: skip

    async def test_is_waited_for_while_it_is_away_and_then_used_by_few_connections(
        self, new_system: NewSystem
    ) -> None:
        (port,) = pick(1)
        mentors = await mentors_of(new_system, port, send_attempts="50", send_backoff_max_s="1", workers="4")
        names = [f"mentor-{number}" for number in range(40)]
        await mentors.hear(names)

        def has_tried() -> bool:
            return "smtp_SMTPConnectError" in mentors.system.logs("notifier")

        await eventually(has_tried, seconds=20)
        smtp = ScriptedSmtp()
        async with smtp.listening(port):
            ledger = await mentors.have_heard(names)
        assert {entry["outcome"] for entry in ledger.values()} == {"sent"}
        assert {len(ids) for ids in smtp.handed_over.values()} == {1}
        assert smtp.connections <= 8, "connections are to be used again"


class TestKilledBetweenSendAndRecord:
    async def test_sends_one_more_copy_under_the_same_id_and_records_it_once(
        self, new_system: NewSystem
    ) -> None:
        (port,) = pick(1)
        mentors = await mentors_of(new_system, port)
        killed = asyncio.Event()

        async def kill(address: str) -> None:
            if not killed.is_set():
                killed.set()
                mentors.system.kill("notifier")
                await mentors.system.ended("notifier")

        smtp = ScriptedSmtp(on_message=kill)
        async with smtp.listening(port):
            await mentors.hear(["ben"])
            await asyncio.wait_for(killed.wait(), 30)
            await mentors.system.start("notifier")
            ledger = await mentors.have_heard(["ben"])
        handed_over = smtp.handed_over[mentors.address("ben")]
        assert handed_over == [ledger["ben"]["message_id"]] * 2
        assert ledger["ben"]["outcome"] == "sent"
        await one_event_each(mentors, 1)


class TestAClockThatIsMoved:
    async def test_waits_for_a_message_on_its_way_so_that_it_is_recorded_when_it_was_decided(
        self, new_system: NewSystem
    ) -> None:
        (port,) = pick(1)
        mentors = await mentors_of(new_system, port, lease_s="20")
        moves: list[asyncio.Task[datetime]] = []
        moved_meanwhile: list[bool] = []

        async def move(address: str) -> None:
            moves.append(asyncio.create_task(mentors.system.move(timedelta(days=3))))
            done, _ = await asyncio.wait(moves, timeout=2)
            moved_meanwhile.append(bool(done))

        smtp = ScriptedSmtp(on_message=move)
        async with smtp.listening(port):
            await mentors.hear(["ben"])
            ledger = await mentors.have_heard(["ben"])
        assert moved_meanwhile == [False]
        assert parse_instant(ledger["ben"]["at"]) < await moves[0] - timedelta(days=2)


class TestOneThatStandsStillPastItsLease:
    async def test_is_relieved_and_does_nothing_more_when_it_wakes(
        self, new_system: NewSystem, tmp_path_factory: pytest.TempPathFactory
    ) -> None:
        (port,) = pick(1)
        mentors = await mentors_of(new_system, port)
        stopped = asyncio.Event()

        async def stop(address: str) -> None:
            if not stopped.is_set():
                stopped.set()
                mentors.system.kill("notifier", signal.SIGSTOP)

        smtp = ScriptedSmtp(on_message=stop)
        async with smtp.listening(port):
            await mentors.hear(["ben"])
            await asyncio.wait_for(stopped.wait(), 30)
            relief = await second(mentors.system, tmp_path_factory)
            try:

                def taken_over() -> bool:
                    return len(smtp.handed_over[mentors.address("ben")]) == 2

                await eventually(taken_over, seconds=40)
                mentors.system.kill("notifier", signal.SIGCONT)
                ledger = await mentors.have_heard(["ben"])

                def has_noticed() -> bool:
                    return "lease lost" in mentors.system.logs("notifier")

                await eventually(has_noticed, seconds=20)
            finally:
                await relief.stop()
        assert smtp.handed_over[mentors.address("ben")] == [ledger["ben"]["message_id"]] * 2
        await one_event_each(mentors, 1)


class TestTwoAtOnce:
    async def test_share_the_work_and_survive_the_death_of_one(
        self, new_system: NewSystem, tmp_path_factory: pytest.TempPathFactory
    ) -> None:
        (port,) = pick(1)
        mentors = await mentors_of(new_system, port, workers="8")
        names = [f"mentor-{number}" for number in range(60)]
        enough = asyncio.Event()

        async def count(address: str) -> None:
            if sum(map(len, smtp.handed_over.values())) == len(names) // 3:
                enough.set()

        smtp = ScriptedSmtp(on_message=count)
        async with smtp.listening(port):
            other = await second(mentors.system, tmp_path_factory)
            try:
                await mentors.hear(names)
                await asyncio.wait_for(enough.wait(), 60)
                mentors.system.kill("notifier")
                await mentors.system.start("notifier")
                ledger = await mentors.have_heard(names, seconds=90)
            finally:
                await other.stop()
        assert {entry["outcome"] for entry in ledger.values()} == {"sent"}
        twice = 0
        for mentor, entry in ledger.items():
            handed_over = smtp.handed_over[mentors.address(mentor)]
            assert set(handed_over) == {entry["message_id"]}
            assert len(handed_over) <= 2
            twice += len(handed_over) == 2
        assert twice <= 8, "more messages were doubled than were on their way when it died"
        await one_event_each(mentors, len(names))


async def one_event_each(mentors: Mentors, count: int) -> None:
    """So many mentors, so many NudgeSent."""

    async def published() -> bool:
        events = await mentors.system.events("nudges", mentors.org)
        sent = {e["id"]: e["data"]["recipient_id"] for e in events if e["data"]["kind"] == "goal_met"}
        assert sorted(sent.values()) == sorted(set(sent.values())), "told twice"
        assert len(sent) == count
        return True

    await eventually(published, seconds=20, every=0.2)
