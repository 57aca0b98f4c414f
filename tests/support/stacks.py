"""`python -m deploy.local up` as a process, for tests to signal and to look at."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import psutil

from deploy.local.children import LAUNCHER, ROOT

START_S = 150.0
END_S = 30.0


class Up:
    """A stack's process. It ends with the tests, whatever ends them."""

    def __init__(self, process: asyncio.subprocess.Process, folder: Path, said: Path) -> None:
        self.process = process
        self.folder = folder
        self._said = said
        self.printed: dict[str, Any] = {}

    @classmethod
    async def start(cls, folder: Path, *options: str, env: Mapping[str, str] | None = None) -> Up:
        """Start it; `ready` waits."""
        said = folder.with_name(f"{folder.name}-said.txt")
        with said.open("ab") as stderr:
            process = await asyncio.create_subprocess_exec(
                *(sys.executable, "-I", "-S", str(LAUNCHER), str(os.getpid())),
                *(sys.executable, "-m", "deploy.local", "up", "--data", str(folder), *options),
                cwd=ROOT,
                env={**os.environ, **(env or {})},
                stdin=asyncio.subprocess.DEVNULL,
                stdout=asyncio.subprocess.PIPE,
                stderr=stderr,
                start_new_session=True,
            )
        return cls(process, folder, said)

    async def ready(self) -> dict[str, Any]:
        """What it prints on standard output when all is ready."""
        assert self.process.stdout is not None
        async with asyncio.timeout(START_S):
            line = await self.process.stdout.readline()
        assert line, f"it ended without being ready:\n{self.said}"
        self.printed = json.loads(line)
        return self.printed

    @property
    def said(self) -> str:
        """All that it told on standard error."""
        return self._said.read_text()

    @property
    def description(self) -> dict[str, Any]:
        """What `stack.json` says now."""
        found: dict[str, Any] = json.loads((self.folder / "stack.json").read_text())
        return found

    async def ended(self) -> int:
        """Wait until it has ended; its exit status."""
        async with asyncio.timeout(END_S):
            await self.process.communicate()
        assert self.process.returncode is not None
        return self.process.returncode

    async def stop(self, number: signal.Signals = signal.SIGTERM) -> int:
        """Signal it and wait; its exit status."""
        if self.process.returncode is None:
            self.process.send_signal(number)
        return await self.ended()


def alive(pid: int) -> bool:
    """Whether a process runs; one that ended and was not waited for does not."""
    try:
        return psutil.Process(pid).status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False
