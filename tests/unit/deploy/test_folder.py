"""A stack's folder: its ports, its lock and its description."""

from __future__ import annotations

import json
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from deploy.local import folder as module
from deploy.local import ports
from deploy.local.folder import Folder, InUse, NotAStack, PortTaken


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Folder:
    monkeypatch.setattr(module, "LEFT_S", 0.2)
    (tmp_path / "data").mkdir()
    return Folder(tmp_path / "data")


@contextmanager
def taken(port: int) -> Iterator[None]:
    with socket.create_server(("127.0.0.1", port)):
        yield


class TestPorts:
    def test_picked_ones_are_remembered(self, folder: Folder) -> None:
        first = folder.ports(free=True)
        assert len(set(first.values())) == len(module.DEFAULT_PORTS)
        assert folder.ports(free=True) == first

    def test_one_that_was_taken_meanwhile_is_replaced_alone(self, folder: Folder) -> None:
        first = folder.ports(free=True)
        with taken(first["kafka"]):
            again = folder.ports(free=True)
        assert again["kafka"] != first["kafka"]
        assert {**again, "kafka": 0} == {**first, "kafka": 0}

    def test_a_default_one_that_is_taken_is_named(
        self, folder: Folder, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        free, other = ports.pick(2)
        monkeypatch.setattr(module, "DEFAULT_PORTS", {"kafka": free, "goals": other})
        with taken(other), pytest.raises(PortTaken, match=rf"taken already: {other} \(goals\); --free-ports"):
            folder.ports(free=False)
        assert folder.ports(free=False) == {"kafka": free, "goals": other}

    def test_they_are_not_among_those_of_outgoing_connections(self) -> None:
        low = int(Path("/proc/sys/net/ipv4/ip_local_port_range").read_text().split()[0])
        assert max(ports.pick(20)) < max(low, 32_768)


class TestLock:
    def test_one_holds_it_at_a_time(self, folder: Folder) -> None:
        with folder.locked(), pytest.raises(InUse, match="a stack runs in"), Folder(folder.path).locked():
            pass
        with folder.locked():
            pass


class TestAFreshOne:
    def test_what_an_earlier_stack_left_is_removed_and_nothing_else(self, folder: Folder) -> None:
        with folder.locked():
            folder.describe({"pids": {}})
            folder.ports(free=True)
            folder.issuer()
            for part in (folder.kafka, folder.mongo, folder.mail, folder.logs):
                (part / "deep").mkdir(parents=True)
        (folder.path / "notes").write_text("mine")
        with folder.locked(fresh=True):
            assert {path.name for path in folder.path.iterdir()} == {"lock", "notes"}

    def test_one_that_runs_is_not_emptied(self, folder: Folder) -> None:
        with folder.locked():
            folder.issuer()
            with pytest.raises(InUse), Folder(folder.path).locked(fresh=True):
                pass
            assert folder.keys.is_dir()

    def test_a_folder_of_something_else_is_not_emptied(self, folder: Folder) -> None:
        letter = folder.mail / "letter"
        letter.parent.mkdir()
        letter.write_text("mine")
        with pytest.raises(NotAStack, match="holds something else"), folder.locked(fresh=True):
            pass
        assert letter.read_text() == "mine"
        assert not (folder.path / "lock").exists()


class TestDescription:
    def test_it_is_replaced_and_removed(self, folder: Folder) -> None:
        folder.describe({"pids": {"kafka": 1}})
        folder.describe({"pids": {"kafka": 2}})
        assert json.loads(folder.description.read_text()) == {"pids": {"kafka": 2}}
        folder.describe(None)
        folder.describe(None)
        assert not folder.description.exists()

    def test_logs_of_the_last_time_are_kept_once(self, folder: Folder) -> None:
        for text in ("first", "second", "third"):
            folder.rotate_logs()
            folder.logs.mkdir(exist_ok=True)
            folder.log("goals").write_text(text)
        assert {path.name: path.read_text() for path in folder.logs.iterdir()} == {
            "goals.log": "third",
            "goals.log.1": "second",
        }
