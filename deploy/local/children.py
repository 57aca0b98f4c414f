"""Child processes that never outlive their parent, with their output in a log file."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import sys
import time
from collections.abc import Awaitable, Callable, Coroutine, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

LAUNCHER = Path(__file__).with_name("die_with_parent.py")
ROOT = Path(__file__).resolve().parents[2]
"""The repository, from where children run."""
PROBE_EVERY_S = 0.05
READY_S = 120.0
STOP_S = 10.0

Probe = Callable[[], Awaitable[None]]
"""Returns once the program does its work, raises any error while it does not yet."""


class StartFailed(Exception):
    """A program did not come up; the message says how it ended and what it logged last."""


@dataclass(frozen=True, slots=True)
class Program:
    """What to run: an absolute path and arguments, what to add to the environment, and the log to append to."""

    name: str
    argv: tuple[str, ...]
    log: Path
    env: Mapping[str, str] = field(default_factory=dict)


class Child:
    """A running program.

    Start it in the main thread: it is ended when the thread that started it ends (see `die_with_parent`). It is in
    a session of its own, so that a Ctrl-C in the terminal reaches its parent alone, which stops all in order.
    """

    def __init__(self, program: Program, process: asyncio.subprocess.Process) -> None:
        self.program = program
        self._process = process

    @classmethod
    async def start(cls, program: Program) -> Child:
        """Start `program`; it may not be ready yet."""
        program.log.parent.mkdir(parents=True, exist_ok=True)
        with program.log.open("ab") as log:
            process = await asyncio.create_subprocess_exec(
                *(sys.executable, "-I", "-S", str(LAUNCHER), str(os.getpid())),
                *program.argv,
                cwd=ROOT,
                env={**os.environ, **program.env},
                stdin=asyncio.subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )
        return cls(program, process)

    @property
    def pid(self) -> int:
        """The process id, the same before and after the launcher's exec."""
        return self._process.pid

    @property
    def running(self) -> bool:
        """Whether it has not been seen to end."""
        return self._process.returncode is None

    async def wait(self) -> str:
        """Wait until it ends; how it did, in words: `ended with 1`, `was ended by SIGKILL`."""
        code = await self._process.wait()
        if code >= 0:
            return f"ended with {code}"
        return f"was ended by {signal.Signals(-code).name}"

    async def ready(self, probe: Probe, seconds: float = READY_S) -> None:
        """Wait until `probe` holds.

        Raises:
            StartFailed: the program ended before, or it took longer than `seconds`.
        """
        deadline = time.monotonic() + seconds
        ended = asyncio.create_task(self.wait())
        try:
            while True:
                try:
                    await probe()
                    return
                except Exception as error:  # whatever it is: not ready yet, and told if it stays so
                    last = error
                if ended.done():
                    raise StartFailed(self.told(ended.result()))
                if time.monotonic() > deadline:
                    raise StartFailed(self.told(f"was not ready within {seconds:g} s ({last!r})"))
                await asyncio.wait([ended], timeout=PROBE_EVERY_S)
        finally:
            ended.cancel()

    def told(self, what: str) -> str:
        lines = last_lines(self.program.log)
        return f"{self.program.name} {what}; the last lines of {self.program.log}:\n{lines}"

    def signal(self, number: signal.Signals) -> None:
        """Send a signal, if it still runs."""
        with contextlib.suppress(ProcessLookupError):
            self._process.send_signal(number)

    async def stop(self, seconds: float = STOP_S) -> None:
        """Ask it to end (SIGTERM), and after `seconds` make it (SIGKILL). Does nothing when it has ended."""
        if not self.running:
            return
        self.signal(signal.SIGTERM)
        try:
            async with asyncio.timeout(seconds):
                await self._process.wait()
        except TimeoutError:
            self.kill()
            await self._process.wait()

    def kill(self) -> None:
        """End it at once (SIGKILL)."""
        self.signal(signal.SIGKILL)


async def together(*steps: Coroutine[Any, Any, Any]) -> None:
    """Run the steps at once. The first that fails ends the others, and its error is raised as it is."""
    tasks = [asyncio.ensure_future(step) for step in steps]
    try:
        await asyncio.gather(*tasks)
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


def last_lines(log: Path, count: int = 20) -> str:
    """The last lines of a log, indented; of a long one, only its end is read."""
    if not log.is_file():
        return "  (it logged nothing)"
    with log.open("rb") as file:
        file.seek(max(0, log.stat().st_size - 64 * 1024))
        lines = file.read().decode(errors="replace").splitlines()[-count:]
    return "\n".join(f"  {line}" for line in lines) or "  (it logged nothing)"
