"""`python -m deploy.local`: what it starts, keeps up and stops, seen from outside as a user sees it."""

from __future__ import annotations

import base64
import json
import os
import signal
import stat
import subprocess
import sys
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import httpx
import pytest
from aiosmtplib import send

from deploy.local.children import ROOT
from deploy.local.folder import Folder
from deploy.local.services import NAMES
from shared.errors import Unauthenticated
from shared.http.auth import Authenticator, Keys
from shared.kafka import Outgoing, Producer
from shared.mongo import Collection, Mongo
from tests.support.polling import eventually
from tests.support.records import read_all
from tests.support.stacks import Up, alive

pytestmark = pytest.mark.engines

ENGINES = ("kafka", "mongo", "mail")
OPTIONS = ("--free-ports", "--only-engines")


@pytest.fixture(scope="module")
async def stack(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Up]:
    """Engines that run for this module's tests; each leaves them running."""
    up = await Up.start(tmp_path_factory.mktemp("stack") / "data", *OPTIONS)
    try:
        await up.ready()
        yield up
    finally:
        await up.stop()


def command(*arguments: str | Path) -> subprocess.CompletedProcess[str]:
    """Run `python -m deploy.local` to its end."""
    return subprocess.run(
        [sys.executable, "-m", "deploy.local", *map(str, arguments)],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


class TestTheWholeStack:
    async def test_it_runs_in_sandbox_mode_is_kept_up_and_keeps_its_data(self, tmp_path: Path) -> None:
        up = await Up.start(tmp_path / "data", "--free-ports")
        first = await up.ready()
        assert list(first) == ["kafka", "mongo", *NAMES, "maildir", "pids"]
        assert list(first["pids"]) == [*NAMES, *ENGINES]
        assert first == up.description
        assert {log.name for log in (up.folder / "logs").iterdir()} == {
            f"{name}.log" for name in (*NAMES, *ENGINES)
        }
        token = command(
            *("token", "--sub", "kim", "--org", "acme", "--data", up.folder),
            *("--scope", "onbelay:programs onbelay:sandbox"),
        ).stdout.strip()
        async with httpx.AsyncClient(headers={"Authorization": f"Bearer {token}"}, timeout=30) as client:
            for name in NAMES:
                assert (await client.get(f"{first[name]}/readyz")).status_code == 200
            body = {"program_id": "spring", "mentor_id": "ana", "mentee_id": "ben", "time_zone": "UTC"}
            made = await client.post(f"{first['goals']}/v1/mentorships", json=body)
            assert made.status_code == 201
            clock = "/v1/sandbox/clock"
            moved = await client.put(f"{first['metrics']}{clock}", json={"now": "2040-01-02T03:04:05Z"})
            assert moved.status_code == 200

            os.kill(first["pids"]["goals"], signal.SIGKILL)
            await eventually(lambda: "goals is back" in up.said, seconds=30)
            assert (
                f"goals (process {first['pids']['goals']}) was ended by SIGKILL; it is started again"
                in up.said
            )
            pids = up.description["pids"]
            assert pids["goals"] != first["pids"]["goals"]
            assert alive(pids["goals"])
            assert up.description == {**first, "pids": {**first["pids"], "goals": pids["goals"]}}
            assert await up.stop(signal.SIGTERM) == 0
            assert not any(alive(pid) for pid in pids.values())

            up = await Up.start(tmp_path / "data", "--free-ports")
            again = await up.ready()
            found = await client.get(f"{again['goals']}{made.headers['Location']}")
            assert (found.status_code, found.json()["mentee_id"]) == (200, "ben")
            now = (await client.get(f"{again['checkins']}{clock}")).json()["now"]
            assert now.startswith("2040-01-02T03:0")
            assert await up.stop(signal.SIGINT) == 0


class TestUp:
    async def test_it_describes_what_runs_in_its_folder_and_on_standard_output(self, stack: Up) -> None:
        described = stack.description
        assert described == stack.printed
        assert set(described) == {"kafka", "mongo", "maildir", "pids"}
        assert set(described["pids"]) == set(ENGINES)
        assert all(alive(pid) for pid in described["pids"].values())

    async def test_mail_is_put_into_the_maildir(self, stack: Up) -> None:
        port = json.loads((stack.folder / "ports.json").read_text())["mail"]
        text = "From: a@example.org\r\nTo: b@example.org\r\nSubject: Grüße\r\n\r\nHello.\r\n"
        await send(
            text.encode(),
            sender="a@example.org",
            recipients=["b@example.org"],
            hostname="127.0.0.1",
            port=port,
        )
        maildir = Path(stack.description["maildir"])
        (found,) = await eventually(lambda: list((maildir / "new").iterdir()))
        assert found.read_text().splitlines()[:3] == [
            "Return-Path: <a@example.org>",
            "Delivered-To: b@example.org",
            "From: a@example.org",
        ]

    async def test_nothing_listens_but_on_loopback(self, stack: Up) -> None:
        import psutil

        for name, pid in stack.description["pids"].items():
            listening = [
                connection.laddr.ip
                for connection in psutil.Process(pid).net_connections("inet")
                if connection.status == psutil.CONN_LISTEN
            ]
            assert listening, name
            # The JVM's IPv4 sockets show as mapped into IPv6.
            assert {ip.removeprefix("::ffff:") for ip in listening} == {"127.0.0.1"}, name

    async def test_mongodb_logs_no_operation_with_what_it_writes(self, stack: Up) -> None:
        mongo = Mongo.connect(stack.description["mongo"])
        things = mongo.database("slow")["things"]
        await things.insert_one({"note": "PLANTED words"})
        begun = time.monotonic()
        slow = {"$where": "sleep(250) || true", "note": "PLANTED words"}
        assert await things.find_one(slow) is not None
        assert time.monotonic() - begun > 0.2, "so long that MongoDB would tell of it"
        await mongo.drop_database("slow")
        await mongo.close()
        assert "PLANTED" not in (stack.folder / "logs" / "mongo.log").read_text()

    async def test_a_second_one_in_the_same_folder_is_refused(self, stack: Up) -> None:
        before = stack.description
        second = await Up.start(stack.folder, *OPTIONS)
        assert await second.ended() == 1
        assert f"a stack runs in {stack.folder} already (process {stack.process.pid})" in second.said
        assert stack.description == before
        assert all(alive(pid) for pid in before["pids"].values())


class TestChildrenThatDie:
    @pytest.mark.parametrize("name", ENGINES)
    async def test_one_is_said_so_started_again_and_described_anew(self, stack: Up, name: str) -> None:
        before = stack.description
        os.kill(before["pids"][name], signal.SIGKILL)
        after = await eventually(
            lambda: stack.description if stack.description != before else None, seconds=30
        )
        assert after is not None
        assert after["pids"][name] != before["pids"][name]
        assert after == {**before, "pids": {**before["pids"], name: after["pids"][name]}}
        await eventually(lambda: f"{name} is back (process {after['pids'][name]})" in stack.said, seconds=30)
        assert (
            f"{name} (process {before['pids'][name]}) was ended by SIGKILL; it is started again" in stack.said
        )

    async def test_with_no_restart_it_is_said_so_and_stays_dead(self, tmp_path: Path) -> None:
        up = await Up.start(tmp_path / "data", *OPTIONS, "--no-restart")
        before = (await up.ready())["pids"]
        os.kill(before["mail"], signal.SIGKILL)
        await eventually(lambda: f"mail (process {before['mail']}) was ended by SIGKILL\n" in up.said)
        assert up.description["pids"] == before
        assert await up.stop() == 0
        assert "started again" not in up.said


class TestStopping:
    async def test_a_signal_stops_all_and_the_data_are_there_the_next_time(self, tmp_path: Path) -> None:
        up = await Up.start(tmp_path / "data", *OPTIONS)
        first = await up.ready()
        topic = "onbelay.nudges.v1"
        producer = Producer(first["kafka"], client_id="test")
        await (await producer.send(Outgoing(topic, b"key", b"kept", [])))
        await producer.stop()
        async with things(first["mongo"]) as collection:
            await collection.insert_one({"_id": "kept"})
        assert await up.stop(signal.SIGINT) == 0
        assert not any(alive(pid) for pid in first["pids"].values())
        assert not (up.folder / "stack.json").exists()

        up = await Up.start(tmp_path / "data", *OPTIONS)
        again = await up.ready()
        assert {name: again[name] for name in ("kafka", "mongo")} == {
            name: first[name] for name in ("kafka", "mongo")
        }
        assert [record.value for record in await read_all(again["kafka"], topic)] == [b"kept"]
        async with things(again["mongo"]) as collection:
            assert await collection.find_one() == {"_id": "kept"}
        assert await up.stop(signal.SIGTERM) == 0
        assert not any(alive(pid) for pid in again["pids"].values())

    async def test_a_signal_while_starting_leaves_nothing(self, tmp_path: Path) -> None:
        up = await Up.start(tmp_path / "data", *OPTIONS)
        await eventually(lambda: "is ready" in up.said, seconds=30)
        assert await up.stop(signal.SIGINT) == 0
        assert not children_in(up.folder)

    async def test_no_child_outlives_a_parent_that_was_killed(self, tmp_path: Path) -> None:
        up = await Up.start(tmp_path / "data", *OPTIONS)
        pids = (await up.ready())["pids"]
        assert await up.stop(signal.SIGKILL) == -signal.SIGKILL
        await eventually(lambda: not any(alive(pid) for pid in pids.values()))
        assert not children_in(up.folder)


@asynccontextmanager
async def things(url: str) -> AsyncIterator[Collection]:
    """A collection of the tests' own."""
    mongo = Mongo.connect(url)
    try:
        yield mongo.database("test")["things"]
    finally:
        await mongo.close()


def children_in(folder: Path) -> list[int]:
    """The processes whose command line names the folder."""
    import psutil

    return [
        process.pid
        for process in psutil.process_iter(["cmdline"])
        if any(str(folder) in part for part in process.info["cmdline"] or ())
        and process.pid != os.getpid()
        and alive(process.pid)
    ]


class TestStartsThatFail:
    async def test_the_last_lines_of_the_log_are_told_and_the_rest_is_stopped(self, tmp_path: Path) -> None:
        broken = tmp_path / "mongod"
        broken.write_text("#!/bin/sh\necho there is no disk >&2\nexit 3\n")
        broken.chmod(0o700)
        up = await Up.start(tmp_path / "data", *OPTIONS, env={"ONBELAY_LOCAL_MONGOD": str(broken)})
        assert await up.ended() == 1
        assert "mongo ended with 3; the last lines of" in up.said
        assert "there is no disk" in up.said
        assert not (up.folder / "stack.json").exists()
        assert not children_in(up.folder)


class TestTokens:
    def token(self, stack: Up, *options: str) -> str:
        done = command("token", "--sub", "ana", "--org", "acme", "--data", stack.folder, *options)
        assert done.returncode == 0, done.stderr
        assert done.stdout.count("\n") == 1
        return done.stdout.strip()

    @pytest.fixture
    def authenticator(self, stack: Up) -> Authenticator:
        """As the stack's services make theirs."""
        return Authenticator(
            issuer="urn:onbelay:local",
            audience="onbelay",
            keys=Keys(str(Folder(stack.folder).issuer().jwks)),
        )

    async def test_one_names_its_person_organization_and_scopes(
        self, stack: Up, authenticator: Authenticator
    ) -> None:
        caller = await authenticator.verify(
            self.token(stack, "--scope", "onbelay:participate onbelay:act_as")
        )
        assert (caller.sub, caller.org_id) == ("ana", "acme")
        assert caller.scopes == {"onbelay:participate", "onbelay:act_as"}

    @pytest.mark.parametrize(("options", "seconds"), [((), 3600), (("--ttl", "90"), 90)])
    def test_one_lasts_as_long_as_it_is_asked_to(
        self, stack: Up, options: tuple[str, ...], seconds: int
    ) -> None:
        content = self.token(stack, *options).split(".")[1]
        claims = json.loads(base64.urlsafe_b64decode(content + "=" * (-len(content) % 4)))
        assert claims["exp"] - claims["iat"] == seconds

    @pytest.mark.parametrize(
        ("options", "why"),
        [
            (("--ttl", "-1"), "expired"),
            (("--audience", "elsewhere"), "another audience"),
            (("--issuer", "https://elsewhere.example"), "another issuer"),
        ],
    )
    async def test_one_that_should_not_hold_does_not(
        self, stack: Up, authenticator: Authenticator, options: tuple[str, ...], why: str
    ) -> None:
        with pytest.raises(Unauthenticated, match=why):
            await authenticator.verify(self.token(stack, *options))

    def test_without_a_stack_there_is_none(self, tmp_path: Path) -> None:
        done = command("token", "--sub", "ana", "--org", "acme", "--data", tmp_path / "nowhere")
        assert (done.returncode, done.stdout) == (1, "")
        assert "there is no stack in" in done.stderr
        assert not (tmp_path / "nowhere").exists()

    def test_keys_can_be_made_without_a_stack(self, tmp_path: Path) -> None:
        done = command("keys", "--data", tmp_path / "data")
        assert done.stdout == f"{tmp_path / 'data' / 'keys' / 'jwks.json'}\n"
        (key,) = json.loads(Path(done.stdout.strip()).read_text())["keys"]
        assert "d" not in key
        token = command("token", "--sub", "ana", "--org", "acme", "--data", tmp_path / "data")
        assert token.returncode == 0
        assert command("keys", "--data", tmp_path / "data").stdout == done.stdout
        assert json.loads(Path(done.stdout.strip()).read_text())["keys"] == [key]

    def test_the_keys_are_their_owners_alone(self, stack: Up) -> None:
        keys = Folder(stack.folder).keys
        assert stat.S_IMODE(keys.stat().st_mode) == 0o700
        assert {stat.S_IMODE(file.stat().st_mode) for file in keys.iterdir()} == {0o600}
