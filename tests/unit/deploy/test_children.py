"""Child processes: how they end, and that they never outlive their parent."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from deploy.local.children import LAUNCHER, Child, Program, StartFailed, last_lines, together
from tests.support.polling import eventually
from tests.support.stacks import alive


def python(tmp_path: Path, code: str) -> Program:
    return Program("it", (sys.executable, "-c", code), tmp_path / "it.log")


async def not_yet() -> None:
    raise OSError("nothing listens")


STUBBORN = "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); print('up', flush=True); time.sleep(60)"


class TestChild:
    async def test_it_tells_how_it_ended(self, tmp_path: Path) -> None:
        child = await Child.start(python(tmp_path, "raise SystemExit(7)"))
        assert await child.wait() == "ended with 7"
        child = await Child.start(python(tmp_path, "import time; time.sleep(60)"))
        child.kill()
        assert await child.wait() == "was ended by SIGKILL"
        assert not child.running

    async def test_one_that_ends_before_it_is_ready_tells_its_last_words(self, tmp_path: Path) -> None:
        child = await Child.start(python(tmp_path, "print('no disk'); raise SystemExit(3)"))
        with pytest.raises(StartFailed, match=r"(?s)it ended with 3.*no disk"):
            await child.ready(not_yet)

    async def test_one_that_is_never_ready_tells_what_it_lacks(self, tmp_path: Path) -> None:
        child = await Child.start(python(tmp_path, "import time; time.sleep(60)"))
        with pytest.raises(StartFailed, match=r"not ready within 0\.2 s \(OSError\('nothing listens'\)\)"):
            await child.ready(not_yet, 0.2)
        await child.stop()

    async def test_one_that_does_not_stop_when_asked_is_made_to(self, tmp_path: Path) -> None:
        program = python(tmp_path, STUBBORN)
        child = await Child.start(program)
        await eventually(lambda: "up" in last_lines(program.log))
        await child.stop(0.2)
        assert await child.wait() == "was ended by SIGKILL"

    async def test_a_ctrl_c_in_the_terminal_does_not_reach_it(self, tmp_path: Path) -> None:
        child = await Child.start(python(tmp_path, "import time; time.sleep(60)"))
        assert os.getpgid(child.pid) != os.getpgid(0)
        await child.stop()


PARENT = """
import asyncio, pathlib, sys, time
from deploy.local.children import Child, Program

async def main():
    argv = (sys.executable, "-c", "import time; time.sleep(60)")
    child = await Child.start(Program("child", argv, pathlib.Path(sys.argv[1])))
    print(child.pid, flush=True)
    await asyncio.sleep(60)

asyncio.run(main())
"""


class TestDyingWithTheParent:
    @pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM, signal.SIGSEGV])
    async def test_whatever_ends_the_parent(self, tmp_path: Path, number: signal.Signals) -> None:
        parent = await asyncio.create_subprocess_exec(
            *(sys.executable, "-c", PARENT, str(tmp_path / "log")), stdout=asyncio.subprocess.PIPE
        )
        assert parent.stdout is not None
        child = int(await parent.stdout.readline())
        assert alive(child)
        parent.send_signal(number)
        await parent.communicate()
        await eventually(lambda: not alive(child))

    def test_a_parent_that_had_ended_before_is_noticed(self) -> None:
        done = subprocess.run(
            [sys.executable, "-I", "-S", str(LAUNCHER), "1", sys.executable, "-c", "print('it runs')"],
            capture_output=True,
            text=True,
            timeout=30,
            check=False,
        )
        assert (done.returncode, done.stdout) == (1, "")
        assert "the parent, 1, has ended" in done.stderr


class TestTogether:
    async def test_the_first_failure_ends_the_others_and_is_raised_as_it_is(self) -> None:
        ended: list[str] = []

        async def fail() -> None:
            raise StartFailed("first")

        async def go_on() -> None:
            try:
                await asyncio.Event().wait()
            finally:
                ended.append("the other")

        begun = time.monotonic()
        with pytest.raises(StartFailed, match="first"):
            await together(go_on(), fail())
        assert ended == ["the other"]
        assert time.monotonic() - begun < 5


class TestLastLines:
    def test_they_are_the_end_of_a_long_log(self, tmp_path: Path) -> None:
        log = tmp_path / "log"
        log.write_text("".join(f"line {number}\n" for number in range(100_000)))
        assert last_lines(log, 2) == "  line 99998\n  line 99999"

    @pytest.mark.parametrize("made", [True, False])
    def test_silence_is_said(self, tmp_path: Path, made: bool) -> None:
        log = tmp_path / "log"
        if made:
            log.touch()
        assert last_lines(log) == "  (it logged nothing)"
