"""Where the demo is told: at a terminal in colours under a bar over the weeks, elsewhere as plain lines."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.markup import escape
from rich.progress import BarColumn, Progress, TaskID, TextColumn, TimeElapsedColumn
from rich.table import Table

from deploy.local.demo.story import Line

LOG_WIDTH = 120


class Screen:
    """Prints; every line goes out at once, that a log can be followed."""

    def __init__(self) -> None:
        terminal = sys.stdout.isatty()
        self.console = Console(highlight=False, soft_wrap=True, width=None if terminal else LOG_WIDTH)
        self._bar: Progress | None = None
        self._task = TaskID(0)

    @property
    def interactive(self) -> bool:
        """Whether somebody sits there who could end what is left running."""
        return self.console.is_terminal and sys.stdin.isatty()

    def say(self, text: str = "", style: str = "") -> None:
        """A line of the demo's own."""
        self.console.print(escape(text), style=style or None)
        sys.stdout.flush()

    def aside(self, text: str) -> None:
        """A line about the stack."""
        self.say(f"  {text}", "bright_black")

    def problem(self, text: str) -> None:
        """What went wrong, on standard error."""
        Console(stderr=True, highlight=False, soft_wrap=True).print(escape(text), style="bold red")

    def line(self, line: Line) -> None:
        """A line of the story."""
        self.console.print(
            f"[bright_black]{line.at:%a %d %b %H:%M}[/]  [{line.style or 'none'}]{escape(line.text)}[/]"
        )
        sys.stdout.flush()

    def table(self, table: Table) -> None:
        """A table, with a line before it."""
        self.console.print()
        self.console.print(table)
        sys.stdout.flush()

    @contextmanager
    def weeks(self, count: int) -> Iterator[None]:
        """Show a bar over that many weeks meanwhile, at a terminal."""
        with Progress(
            TextColumn("{task.description}"),
            BarColumn(),
            TimeElapsedColumn(),
            console=self.console,
            transient=True,
            disable=not self.console.is_terminal,
        ) as bar:
            self._bar, self._task = bar, bar.add_task("week 1", total=float(count))
            yield
        self._bar = None

    def passed(self, weeks: float) -> None:
        """Move the bar: so many weeks have passed."""
        if self._bar is not None:
            self._bar.update(self._task, completed=weeks, description=f"week {int(weeks) + 1}")
