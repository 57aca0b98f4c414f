"""`make demo` as a newcomer meets it: one command, a story, numbers beside the expected ones."""

from __future__ import annotations

import asyncio
import json
import os
import pty
import re
import signal
import sys
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import psutil
import pytest
import yaml

from deploy.local.children import LAUNCHER, ROOT
from tests.support.polling import eventually
from tests.support.stacks import alive

pytestmark = [pytest.mark.engines, pytest.mark.timeout(300)]

STORY = (
    "Piotr mentors Emre, with Lena as their leader",
    "Ben sets a goal: “Finish 40 practice exams”, due",
    "Mara and Ben agree what they expect of each other",
    "Chidi checks in on “Publish an article”: 1 of 4 milestones, confidence 3, not realistic",
    "Chidi moves “Publish an article” to",
    "the mentorship of Ruth and Finn pauses",
    "the pause moves “Give a talk at the team day” to",
    "Ben's “Finish 40 practice exams” is met, 17.5 days early",
    "Dana's “Hold three customer interviews” is missed, 67% of the way",
    "the miss of Dana's “Hold three customer interviews” is taken back",
    "Dana's “Hold three customer interviews” is met",
    "Chidi's “Publish an article” is met",
    "no check-in on Emre's “Lead two releases” came by",
    "Lena's “Open two positions for the pilot” is missed, 50% of the way",
    "Finn's “Give a talk at the team day” is met",
)
"""What must be told, in this order."""

PAIRS = 3
SHORT: dict[str, Any] = {
    "organization": "acme",
    "program": "short",
    "time_zone": "Europe/Berlin",
    "weeks": 1,
    "coordinator": "kim",
    "people": {"kim": "Kim"}
    | {f"{role}-{n}": f"{role.title()} {n}" for role in ("mentor", "mentee") for n in range(PAIRS)},
    "mentorships": {f"pair-{n}": {"mentor": f"mentor-{n}", "mentee": f"mentee-{n}"} for n in range(PAIRS)},
    "expectations": {
        "proposed": "week 1 mon 09:30",
        "signed": "week 1 mon 10:00",
        "review": "week 2 wed",
        "items": [{"role": "mentor", "text": "I make an hour a week."}],
    },
    "steps": [
        {
            "at": "week 1 mon 11:00",
            "who": "mentee-0",
            "set": {
                "goal": "talk",
                "mentorship": "pair-0",
                "title": "Give a talk",
                "measure": {"kind": "done"},
                "due": "week 1 fri 17:00",
            },
        },
        {"at": "week 1 thu 11:00", "who": "mentee-0", "check_in": {"goal": "talk", "done": True}},
    ],
}


@dataclass
class Demo:
    """A run of the demo that has ended."""

    status: int | None
    told: str
    complained: str


def command(folder: Path, *arguments: str | Path) -> list[str]:
    """Ends with the tests, whatever ends them."""
    demo = [sys.executable, "-m", "deploy.local.demo", "--data", str(folder), *map(str, arguments)]
    return [sys.executable, "-I", "-S", str(LAUNCHER), str(os.getpid()), *demo]


async def demo(folder: Path, *arguments: str | Path) -> Demo:
    """Run it to its end, with no terminal."""
    process = await asyncio.create_subprocess_exec(
        *command(folder, *arguments),
        cwd=ROOT,
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    told, complained = await process.communicate()
    return Demo(process.returncode, told.decode(), complained.decode())


def short(tmp_path: Path, **changes: Any) -> Path:
    """The file of a program of one week."""
    file = tmp_path / "short.yaml"
    file.write_text(yaml.safe_dump({**SHORT, **changes}))
    return file


def processes_of(folder: Path) -> list[int]:
    return [
        process.pid
        for process in psutil.process_iter(["cmdline"])
        if any(str(folder) in part for part in process.info["cmdline"] or ()) and alive(process.pid)
    ]


class TestWithoutATerminal:
    async def test_it_tells_the_story_and_the_expected_numbers_and_stops_everything(
        self, tmp_path: Path
    ) -> None:
        ended = await demo(tmp_path / "stack")
        assert ended.status == 0, ended.told + ended.complained
        places = [ended.told.find(line) for line in STORY]
        assert -1 not in places, STORY[places.index(-1)]
        assert places == sorted(places)
        assert "→ to Lena: “Open two positions for the pilot” was missed" in ended.told
        assert re.search(r"│ goals set +│ +7 = 7 │ withheld = withheld │ +5 = 5 │", ended.told)
        assert re.search(r"│ misses taken back +│( +\d = \d │){5}", ended.told)
        assert "≠" not in ended.told
        assert "Every number is the expected one" in ended.told
        assert "\x1b" not in ended.told
        assert not processes_of(tmp_path)

    async def test_numbers_that_are_not_the_expected_ones_are_named_and_end_in_failure(
        self, tmp_path: Path
    ) -> None:
        file = short(tmp_path, expect={"goals.met": 2, "follow_through": None})
        ended = await demo(tmp_path / "stack", file)
        assert ended.status == 1
        assert re.search(r"│ met in time +│ +1 ≠ 2 │", ended.told)
        assert "the program: goals.met is 1, expected 2" in ended.told
        assert "the program: follow_through is 1.000, expected –" in ended.told
        assert "2 numbers differ" in ended.told
        assert not processes_of(tmp_path)

    async def test_interrupted_it_stops_everything_and_says_so(self, tmp_path: Path) -> None:
        process = await asyncio.create_subprocess_exec(
            *command(tmp_path / "stack", short(tmp_path)), cwd=ROOT, stdout=asyncio.subprocess.PIPE
        )
        assert process.stdout is not None
        while b"Week 1" not in await process.stdout.readline():
            assert not process.stdout.at_eof()
        assert processes_of(tmp_path / "stack" / "mongo")
        process.send_signal(signal.SIGINT)
        told = (await process.communicate())[0].decode()
        assert process.returncode == 130
        assert told.rstrip().endswith("stopping")
        assert not processes_of(tmp_path)

    async def test_a_file_that_is_no_program_is_refused_before_anything_starts(self, tmp_path: Path) -> None:
        ended = await demo(tmp_path / "stack", short(tmp_path, coordinator="nobody"))
        assert (ended.status, ended.told) == (1, "")
        assert "the coordinator, nobody, is not among the people" in ended.complained
        assert not (tmp_path / "stack").exists()

    async def test_a_folder_that_holds_something_else_is_left_alone(self, tmp_path: Path) -> None:
        mine = tmp_path / "mail" / "letter"
        mine.parent.mkdir()
        mine.write_text("mine")
        ended = await demo(tmp_path)
        assert (ended.status, ended.told) == (1, "")
        assert "holds something else than a stack" in ended.complained
        assert mine.read_text() == "mine"


class TestAtATerminal:
    async def test_the_stack_stays_up_until_it_is_ended_and_says_where_everything_is(
        self, tmp_path: Path
    ) -> None:
        async with terminal(tmp_path / "stack", short(tmp_path)) as screen:
            await eventually(
                lambda: screen.process.returncode or "Ctrl-C stops everything." in screen.text, 90
            )
            assert "Every number is the expected one" in screen.text, screen.text
            described = json.loads((tmp_path / "stack" / "stack.json").read_text())
            for name in ("goals", "checkins", "notifier", "metrics"):
                assert f"{described[name]}/docs" in screen.text
            (token,) = re.findall(r"^ey\S+$", screen.text, re.MULTILINE)
            (dashboard,) = re.findall(r"all weeks +(http\S+)", screen.text)
            async with httpx.AsyncClient() as browser:
                signed_in = await browser.post(f"{described['metrics']}/sign-in", data={"token": token})
                assert signed_in.status_code == 303
                page = await browser.get(dashboard)
            assert page.status_code == 200
            assert "short" in page.text
            assert all(map(alive, described["pids"].values()))
            screen.type("\x03")
            assert await screen.process.wait() == 0
        assert not any(map(alive, described["pids"].values()))


class Screen:
    """A process at a terminal of its own."""

    def __init__(self, process: asyncio.subprocess.Process, descriptor: int) -> None:
        self.process = process
        self._descriptor = descriptor
        self._shown = b""
        asyncio.get_running_loop().add_reader(descriptor, self._read)

    def _read(self) -> None:
        try:
            self._shown += os.read(self._descriptor, 65_536)
        except OSError:  # the other end is gone
            asyncio.get_running_loop().remove_reader(self._descriptor)

    @property
    def text(self) -> str:
        """What was shown, without colours and movements."""
        plain = re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", self._shown.decode(errors="replace"))
        return plain.replace("\r\n", "\n")

    def type(self, keys: str) -> None:
        os.write(self._descriptor, keys.encode())

    def close(self) -> None:
        asyncio.get_running_loop().remove_reader(self._descriptor)
        os.close(self._descriptor)


@asynccontextmanager
async def terminal(folder: Path, file: Path) -> AsyncIterator[Screen]:
    """The demo at a terminal, as a shell starts it."""
    ours, theirs = pty.openpty()
    env: Mapping[str, str] = {**os.environ, "TERM": "xterm-256color", "COLUMNS": "100"}
    # A session whose terminal this is, so that what is typed there reaches it as signals.
    shell = "import fcntl, os, sys, termios; fcntl.ioctl(0, termios.TIOCSCTTY, 0); os.execv(sys.argv[1], sys.argv[1:])"
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-c", shell, *command(folder, file)),
        cwd=ROOT,
        env=env,
        stdin=theirs,
        stdout=theirs,
        stderr=theirs,
        start_new_session=True,
    )
    os.close(theirs)
    screen = Screen(process, ours)
    try:
        yield screen
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
        screen.close()
