"""The demo from the first instant to the comparison, on a stack that runs."""

from __future__ import annotations

import asyncio
import email
import time
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

from deploy.local.demo import tables
from deploy.local.demo.expected import Expected, expected
from deploy.local.demo.player import Apis, Player
from deploy.local.demo.program import Calendar, Program
from deploy.local.demo.reader import Reader
from deploy.local.demo.screen import Screen
from deploy.local.demo.story import Story
from deploy.local.folder import Folder
from deploy.local.issuer import Issuer
from deploy.local.stack import Stack
from shared.events import Decoded
from shared.time import local_date, parse_instant

NUMBERS_SETTLED_S = 6.0
"""Numbers that differ and have not changed for this long are what they are."""
POLL_S = 0.2
WEEK = timedelta(weeks=1)
SIGN_IN_TTL_S = 24 * 3600
SIGN_IN_SCOPES = "onbelay:metrics onbelay:programs"


class Show:
    """One performance. `status` is the exit status once the numbers were compared."""

    def __init__(self, program: Program, folder: Folder, screen: Screen) -> None:
        self._program = program
        self._folder = folder
        self._screen = screen
        self.status: int | None = None

    async def run(self, stack: Stack) -> int:
        """Play, compare, and where somebody sits at a terminal and all agrees, stay until it is ended.

        Raises:
            Refused, NotHeard, httpx.TransportError: it does not go as it must.
        """
        begun = time.monotonic()
        apis = Apis(stack.description, Issuer.read(self._folder.keys), self._program.organization)
        try:
            window = await self._play_and_compare(stack, apis)
        finally:
            await apis.close()
        self._screen.say(f"played in {time.monotonic() - begun:.0f} s")
        if self.status == 0 and self._screen.interactive:
            self._addresses(stack, window)
            await asyncio.Event().wait()
        assert self.status is not None  # noqa: S101 - narrows
        return self.status

    async def _play_and_compare(self, stack: Stack, apis: Apis) -> str:
        """The window of its numbers, as a query."""
        program, screen = self._program, self._screen
        now = parse_instant((await apis.get("goals", "/v1/sandbox/clock"))["now"])
        today = local_date(now, program.time_zone)
        calendar = Calendar(today + timedelta(days=7 - today.weekday()), program.time_zone)
        wanted = expected(program, calendar)
        screen.say()
        screen.say(
            f"The program “{program.program}” of {program.organization}: {len(program.mentorships)} mentorships, "
            f"{program.weeks} weeks from {calendar.first_day:%a %d %b %Y}, times of {program.time_zone}",
            "bold",
        )
        weeks = _Weeks(calendar, screen)
        story = Story(program.people, program.time_zone)

        def tell(event: Decoded) -> None:
            line = story.line(event) if event.org_id == program.organization else None
            if line is not None:
                screen.line(line)

        reader = Reader(stack.description["kafka"], tell)
        player = Player(program, calendar, wanted, apis, reader, weeks.passed)
        with screen.weeks(program.weeks):
            await _beside(reader.run(), player.play())
        heard = [event for event in reader.heard if event.org_id == program.organization]
        # Numbers are by days of UTC.
        begin, end = calendar.instant("week 1 mon"), calendar.due(f"week {program.weeks} sun")
        window = f"from={begin.astimezone(UTC):%Y-%m-%d}&to={end.astimezone(UTC):%Y-%m-%d}"
        await self._compare(apis, player, wanted, heard, window)
        return window

    async def _compare(
        self, apis: Apis, player: Player, wanted: Expected, heard: Sequence[Decoded], window: str
    ) -> None:
        program = {"the program": ("programs", self._program.program, wanted.program)}
        pairs = {
            f"{self._program.people[it.mentor]}–{self._program.people[it.mentee]}": (
                "mentorships",
                player.mentorships[name],
                wanted.mentorships[name],
            )
            for name, it in self._program.mentorships.items()
        }
        before: list[str] | None = None
        while True:
            whole = await self._columns(apis, program, window)
            roles = tables.parts("the program", *whole["the program"])
            columns = await self._columns(apis, pairs, window)
            mails = self._mails(heard)
            differing = [*tables.differences({**whole, **columns}), *tables.differences(mails)]
            if differing != before:
                before, deadline = differing, time.monotonic() + NUMBERS_SETTLED_S
            if not differing or time.monotonic() > deadline:
                break
            await asyncio.sleep(POLL_S)
        self._screen.table(tables.table("The program, and by role", roles))
        self._screen.table(tables.table("Each mentorship", columns))
        self._screen.table(tables.reminders(heard))
        self._screen.say(f"{mails['mail'][0]['messages']} messages are in {self._folder.mail}")
        self._screen.say()
        for difference in differing:
            self._screen.say(difference, "bold red")
        verdict = ("Every number is the expected one", "bold green")
        if differing:
            verdict = (f"{len(differing)} numbers differ; the logs are in {self._folder.logs}", "bold red")
        self._screen.say(*verdict)
        self.status = 1 if differing else 0

    @staticmethod
    async def _columns(
        apis: Apis, wanted: dict[str, tuple[str, str, dict[str, Any]]], window: str
    ) -> dict[str, tuple[dict[str, Any], dict[str, Any]]]:
        return {
            title: (await apis.get("metrics", f"/v1/metrics/{scope}/{id_}?{window}"), numbers)
            for title, (scope, id_, numbers) in wanted.items()
        }

    def _mails(self, heard: Sequence[Decoded]) -> dict[str, tuple[dict[str, int], dict[str, int]]]:
        """Of the messages that reminders are said to have gone out in, how many there are in the maildir."""
        told = {event.data.message_id for event in heard if event.type == "NudgeSent"}
        there = {
            email.message_from_bytes(path.read_bytes())["Message-ID"]
            for path in (self._folder.mail / "new").glob("*")
        }
        return {"mail": ({"messages": len(told & there)}, {"messages": len(told)})}

    def _addresses(self, stack: Stack, window: str) -> None:
        say, found = self._screen.say, stack.description
        token = Issuer.read(self._folder.keys).token(
            "kim", self._program.organization, SIGN_IN_SCOPES, ttl=SIGN_IN_TTL_S
        )
        say()
        say("The stack stays up.", "bold")
        say(f"  dashboard  {found['metrics']}/ (sign in with the token below)")
        say(f"    all weeks  {found['metrics']}/?program_id={self._program.program}&{window}")
        for name in ("goals", "checkins", "notifier", "metrics"):
            say(f"  {name:9}  {found[name]}/docs")
        say(f"  Kafka      {found['kafka']}")
        say(f"  MongoDB    {found['mongo']}")
        say(f"  mail       {found['maildir']}")
        say(f"  logs       {self._folder.logs}")
        say(f"  a token    python -m deploy.local token --data {self._folder.path} --org ...")
        say()
        say(token)
        say()
        say("Ctrl-C stops everything.", "bold")


class _Weeks:
    """Moves the bar, and says so when a week begins."""

    def __init__(self, calendar: Calendar, screen: Screen) -> None:
        self._begin = calendar.instant("week 1 mon")
        self._screen = screen
        self._said = 0

    def passed(self, now: datetime) -> None:
        passed = (now - self._begin) / WEEK
        if int(passed) + 1 > self._said:
            self._said = int(passed) + 1
            self._screen.say()
            self._screen.say(f"Week {self._said}", "bold")
        self._screen.passed(passed)


async def _beside(endless: Any, work: Any) -> None:
    """Do the work while the other runs beside it; an error of either is raised, and ends both."""
    tasks = [asyncio.ensure_future(endless), asyncio.ensure_future(work)]
    try:
        done, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        for task in done:
            task.result()
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
