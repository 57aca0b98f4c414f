"""Writes `runtime.lock`: of `requirements.lock`, what the services themselves need. Images install nothing else.

`python -m deploy.runtime` writes it, with `--check` it tells whether it is what it must be.
"""

from __future__ import annotations

import argparse
import re
import sys
import tomllib
from collections.abc import Iterator, Sequence
from importlib.metadata import PackageNotFoundError, requires
from pathlib import Path

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).resolve().parents[1]
LOCK = ROOT / "requirements.lock"
RUNTIME = Path(__file__).with_name("runtime.lock")
PYTHONS = ("3.11", "3.12", "3.13", "3.14")
_PIN = re.compile(r"^([A-Za-z0-9][A-Za-z0-9._-]*)==")


def needed() -> set[str]:
    """The names of all packages that the services need on Linux, on any Python, by what is installed."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    found: set[str] = set()
    waiting = [Requirement(each) for each in project["dependencies"]]
    seen: set[tuple[str, frozenset[str]]] = set()
    while waiting:
        requirement = waiting.pop()
        name, extras = canonicalize_name(requirement.name), frozenset(requirement.extras)
        if (name, extras) in seen:
            continue
        seen.add((name, extras))
        found.add(name)
        waiting += _of(name, extras)
    return found


def _of(name: str, extras: frozenset[str]) -> Iterator[Requirement]:
    try:
        told = requires(name) or []
    except PackageNotFoundError:  # for a platform or a Python that is not this one
        return
    for requirement in map(Requirement, told):
        if requirement.marker is None or any(
            requirement.marker.evaluate(
                {"python_version": python, "python_full_version": f"{python}.0", "extra": extra}
            )
            for python in PYTHONS
            for extra in extras | {""}
        ):
            yield requirement


def lock() -> str:
    """What `runtime.lock` must hold: the lock's own lines, hashes and all."""
    names = needed()
    kept: list[str] = []
    keeping = False
    for line in LOCK.read_text().splitlines():
        pin = _PIN.match(line)
        if pin is not None:
            keeping = canonicalize_name(pin[1]) in names
        if keeping:
            kept.append(line)
    return "\n".join(kept) + "\n"


def main(arguments: Sequence[str] | None = None) -> int:
    """Write it, or check it; 1 when it is not what it must be."""
    parser = argparse.ArgumentParser(prog="python -m deploy.runtime", description=__doc__)
    parser.add_argument("--check", action="store_true", help="change nothing")
    options = parser.parse_args(arguments)
    wanted = lock()
    if options.check:
        if RUNTIME.is_file() and RUNTIME.read_text() == wanted:
            return 0
        print(f"{RUNTIME} is not up to date: run `python -m deploy.runtime`", file=sys.stderr)
        return 1
    RUNTIME.write_text(wanted)
    return 0


if __name__ == "__main__":
    sys.exit(main())
