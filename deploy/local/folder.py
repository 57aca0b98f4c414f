"""The folder of a stack on one machine (`.onbelay`): what is in it, and the lock of who uses it.

stack.json   where everything is, there while the stack is ready
ports.json   the ports that were picked, used again next time, since Kafka's clients remember where brokers are
lock         held by the process that runs the stack
keys/        the token issuer's key, its public half (jwks.json), and the secret of signed links
kafka/  mongo/  mail/  logs/
"""

from __future__ import annotations

import fcntl
import json
import os
import secrets
import shutil
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from deploy.local import ports
from deploy.local.issuer import Issuer, write_private

DEFAULT = Path(".onbelay")
DEFAULT_PORTS = {
    "kafka": 9092,
    "kafka-controller": 9093,
    "mongo": 27017,
    "mail": 1025,
    "goals": 8001,
    "checkins": 8002,
    "notifier": 8003,
    "metrics": 8004,
}
LEFT_S = 5.0
"""A stack that was killed a moment ago has let go of its ports by then."""


class InUse(Exception):
    """Another process runs a stack in this folder."""


class NotAStack(Exception):
    """A folder holds something else than a stack, and is not emptied for one."""


class PortTaken(Exception):
    """Something else listens on a port that is needed."""


class Folder:
    """A stack's folder, made where it is not there."""

    def __init__(self, path: Path) -> None:
        self.path = path.absolute()
        self.description = self.path / "stack.json"
        self.keys = self.path / "keys"
        self.kafka = self.path / "kafka"
        self.mongo = self.path / "mongo"
        self.mail = self.path / "mail"
        self.logs = self.path / "logs"

    def log(self, name: str) -> Path:
        """Where a child's output goes."""
        return self.logs / f"{name}.log"

    @contextmanager
    def locked(self, *, fresh: bool = False) -> Iterator[None]:
        """Hold the folder. The kernel lets go of it when this process ends, however it does.

        Args:
            fresh: remove what an earlier stack left in it.

        Raises:
            InUse: another process holds it.
            NotAStack: it is to be fresh, and holds what no stack left.
        """
        if fresh and self.path.is_dir() and any(self.path.iterdir()) and not (self.path / "lock").is_file():
            raise NotAStack(f"{self.path} holds something else than a stack: name another folder")
        self.path.mkdir(parents=True, exist_ok=True)
        with (self.path / "lock").open("a+") as file:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError as error:
                file.seek(0)
                holder = file.read().strip() or "unknown"
                raise InUse(f"a stack runs in {self.path} already (process {holder})") from error
            file.truncate(0)
            file.write(f"{os.getpid()}\n")
            file.flush()
            if fresh:
                self._empty()
            yield

    def _empty(self) -> None:
        for part in (self.keys, self.kafka, self.mongo, self.mail, self.logs):
            shutil.rmtree(part, ignore_errors=True)
        for file in (self.description, self.path / "ports.json"):
            file.unlink(missing_ok=True)

    def issuer(self) -> Issuer:
        """The token issuer, made at first use."""
        return Issuer.create(self.keys)

    def link_secret(self) -> str:
        """What signs the links in nudges and calendars, made at first use."""
        path = self.keys / "link-secret"
        if not path.is_file():
            path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
            write_private(path, secrets.token_urlsafe(32))
        return path.read_text()

    def ports(self, *, free: bool) -> dict[str, int]:
        """The ports to listen on, by name: the default ones, or with `free` those of last time, or free ones.

        Raises:
            PortTaken: without `free`, a default port is taken.
        """
        if not free:
            self._wait_for(DEFAULT_PORTS)
            taken = [f"{port} ({name})" for name, port in DEFAULT_PORTS.items() if not ports.is_free(port)]
            if taken:
                raise PortTaken(f"taken already: {', '.join(taken)}; --free-ports picks others")
            return DEFAULT_PORTS
        file = self.path / "ports.json"
        known: dict[str, int] = json.loads(file.read_text()) if file.is_file() else {}
        self._wait_for(known)
        kept = {name: port for name, port in known.items() if ports.is_free(port)}
        lacking = [name for name in DEFAULT_PORTS if name not in kept]
        found = kept | dict(zip(lacking, ports.pick(len(lacking)), strict=True))
        file.write_text(json.dumps(found))
        return found

    @staticmethod
    def _wait_for(wanted: Mapping[str, int]) -> None:
        deadline = time.monotonic() + LEFT_S
        while not all(map(ports.is_free, wanted.values())) and time.monotonic() < deadline:
            time.sleep(0.05)

    def rotate_logs(self) -> None:
        """Begin new logs, keeping one old one of each."""
        for log in self.logs.glob("*.log"):
            log.replace(log.with_suffix(".log.1"))

    def describe(self, description: Mapping[str, Any] | None) -> None:
        """Replace `stack.json` at once, or with None remove it."""
        if description is None:
            self.description.unlink(missing_ok=True)
            return
        fresh = self.description.with_name(f".stack.json.{os.getpid()}")
        fresh.write_text(json.dumps(description, indent=2) + "\n")
        fresh.replace(self.description)
