"""Makes each break in a copy of the tree and runs the tests that have to notice: `python -m tests.mutation`.

    python -m tests.mutation                 all of them
    python -m tests.mutation --pure          those that need neither Kafka nor MongoDB
    python -m tests.mutation fold watermark  those whose names contain one of these words

A break that no test notices survives; the answer is 1 if one did, and 2 if the tests fail without any.
"""

from __future__ import annotations

import argparse
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from tests.mutation.breaks import BREAKS, Break

ROOT = Path(__file__).parents[2]
COPIED = ("services", "shared", "deploy", "tests", "pyproject.toml")
TIMEOUT_S = 600


@dataclass(frozen=True)
class Verdict:
    """What became of a break; `why` where it was not noticed, or could not be made."""

    noticed: bool
    why: str = ""


def main(arguments: Sequence[str]) -> int:
    """Run the breaks that are asked for; 1 if one of them survived, 2 if that cannot be told."""
    parser = argparse.ArgumentParser(prog="python -m tests.mutation", description=__doc__)
    parser.add_argument("words", nargs="*", help="only breaks whose names contain one of these")
    parser.add_argument("--pure", action="store_true", help="only what needs no engines")
    asked = parser.parse_args(arguments)
    chosen = [
        each
        for each in BREAKS
        if not (asked.pure and each.engines)
        and (not asked.words or any(word in each.name for word in asked.words))
    ]
    survivors = 0
    with tempfile.TemporaryDirectory(prefix="onbelay-mutation-") as folder:
        tree = copy_of_the_tree(Path(folder))
        tests = tuple(dict.fromkeys(test for each in chosen for test in each.tests))
        without = tested(tree, tests)
        if without.noticed or without.why or not chosen:
            print(f"the tests fail without a break, or none was chosen: that tells nothing {without.why}")
            return 2
        for each in chosen:
            began = time.monotonic()
            verdict = judged(tree, each)
            survivors += not verdict.noticed
            said = "noticed" if verdict.noticed else f"SURVIVED {verdict.why}"
            print(f"{said:<9} {time.monotonic() - began:5.1f} s  {each.name}", flush=True)
    print(f"{len(chosen) - survivors} of {len(chosen)} breaks were noticed")
    return 1 if survivors else 0


def copy_of_the_tree(folder: Path) -> Path:
    """A copy of what tests need, in a folder of its own."""
    for name in COPIED:
        source = ROOT / name
        if source.is_dir():
            shutil.copytree(source, folder / name, ignore=shutil.ignore_patterns("__pycache__"))
        else:
            shutil.copy(source, folder / name)
    return folder


def judged(tree: Path, each: Break) -> Verdict:
    """Make a break in the tree, run its tests, and mend it."""
    path = tree / each.path
    whole = path.read_text(encoding="utf-8")
    if whole.count(each.old) != 1:
        return Verdict(False, f"(it applies {whole.count(each.old)} times)")
    path.write_text(whole.replace(each.old, each.new), encoding="utf-8")
    try:
        return tested(tree, each.tests)
    finally:
        path.write_text(whole, encoding="utf-8")


def tested(tree: Path, tests: Sequence[str]) -> Verdict:
    """Whether one of the tests fails; tests that do not run at all notice nothing."""
    command = [sys.executable, "-B", "-m", "pytest", "-x", "-q", "-p", "no:cacheprovider", *tests]
    surroundings = {**os.environ, "PYTHONPATH": str(tree)}
    try:
        done = subprocess.run(
            command,
            cwd=tree,
            env=surroundings,
            capture_output=True,
            text=True,
            timeout=TIMEOUT_S,
            check=False,
        )
    except subprocess.TimeoutExpired:
        return Verdict(False, "(its tests hang)")
    if "+ Timeout +" in done.stdout + done.stderr:
        return Verdict(False, "(its tests hang)")
    if done.returncode == 1:
        return Verdict(True)
    if done.returncode == 0:
        return Verdict(False)
    return Verdict(False, f"(its tests do not run)\n{done.stdout[-2000:]}{done.stderr[-2000:]}")


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
