"""`python -m deploy.local.demo`: starts a stack of its own, plays a program, and compares its numbers.

Exits with 0 when all numbers are the expected ones, 1 when some differ or something failed, 130 when it was
interrupted. At a terminal the stack stays up after numbers that agree, until Ctrl-C.
"""

from __future__ import annotations

import argparse
import asyncio
import sys
from collections.abc import Sequence
from pathlib import Path

from httpx import TransportError

from deploy.local.children import StartFailed
from deploy.local.demo.player import Refused
from deploy.local.demo.program import ProgramError, read
from deploy.local.demo.reader import NotHeard
from deploy.local.demo.screen import Screen
from deploy.local.demo.show import Show
from deploy.local.folder import Folder, InUse, NotAStack, PortTaken
from deploy.local.foreground import in_foreground
from deploy.local.jars import BadJar, kafka_jars
from deploy.local.stack import Options

ROOT = Path(__file__).resolve().parents[3]
PROGRAM = ROOT / "examples" / "program.yaml"
DATA = Path(".onbelay") / "demo"
INTERRUPTED = 130


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the demo; the exit status."""
    options = _parser().parse_args(arguments)
    screen = Screen()
    if sys.platform != "linux":
        screen.problem("this runs on Linux; elsewhere use `docker compose up`")
        return 1
    try:
        program = read(options.program)
        folder = Folder(options.data)
        with folder.locked(fresh=True):
            kafka_jars()
            show = Show(program, folder, screen)
            status = asyncio.run(in_foreground(folder, Options(free_ports=True), show.run, screen.aside))
    except (ProgramError, OSError, InUse, NotAStack, PortTaken, StartFailed, BadJar) as error:
        screen.problem(str(error))
        return 1
    except (Refused, NotHeard, TransportError) as error:
        screen.problem(f"{error!s} ({type(error).__name__}); the logs are in {folder.logs}")
        return 1
    if status is None:
        return INTERRUPTED if show.status is None else show.status
    return status


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m deploy.local.demo", description=__doc__)
    parser.add_argument(
        "program",
        nargs="?",
        type=Path,
        default=PROGRAM,
        metavar="FILE",
        help="what to play (default: examples/program.yaml)",
    )
    parser.add_argument(
        "--data",
        metavar="DIR",
        type=Path,
        default=DATA,
        help=f"the stack's folder, begun anew each time (default: {DATA})",
    )
    return parser


if __name__ == "__main__":
    sys.exit(main())
