"""Plays random histories against the model for as long as one likes: `python -m tests.fuzz`.

    python -m tests.fuzz                        10 minutes on the pure rules, first by seeds, then by Hypothesis
    python -m tests.fuzz --minutes 60
    python -m tests.fuzz --seed 1557            one seed again
    python -m tests.fuzz --live --minutes 30    on the services as they run, with Kafka and MongoDB

What can be given can be set as well: `ONBELAY_FUZZ_MINUTES`, `ONBELAY_FUZZ_STEPS`, `ONBELAY_FUZZ_SEED`;
`ONBELAY_FUZZ_HISTORIES` and `ONBELAY_FUZZ_ROUNDS` say how many live histories go side by side, and how long.
A seed that fails is told with its whole history, and the answer is 1.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import time
from collections.abc import Sequence
from random import SystemRandom

from tests.model.seeded import play

HYPOTHESIS_S = 0.2
"""About what an example takes: as many are tried as fit into half of the time."""


def main(arguments: Sequence[str]) -> int:
    """Fuzz as asked; 1 if something differed."""
    asked = _parser().parse_args(arguments)
    if asked.live:
        return _live(asked)
    if asked.seed is not None:
        return _seeds([asked.seed], asked.steps, float("inf"))
    begin = time.monotonic()
    first = SystemRandom().randrange(10**9)
    failed = _seeds(range(first, first + 10**9), asked.steps, begin + asked.minutes * 30)
    return failed or _hypothesis(asked)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m tests.fuzz", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    seed = os.environ.get("ONBELAY_FUZZ_SEED")
    parser.add_argument("--minutes", type=float, default=float(os.environ.get("ONBELAY_FUZZ_MINUTES", "10")))
    parser.add_argument("--steps", type=int, default=int(os.environ.get("ONBELAY_FUZZ_STEPS", "100")))
    parser.add_argument("--seed", type=int, default=int(seed) if seed is not None else None)
    parser.add_argument("--live", action="store_true", help="on the services as they run")
    return parser


def _seeds(seeds: Sequence[int], steps: int, until: float) -> int:
    played = 0
    for seed in seeds:
        if time.monotonic() > until:
            break
        try:
            play(seed, steps)
        except AssertionError as error:
            print(error)
            print(f"again: python -m tests.fuzz --seed {seed} --steps {steps}")
            return 1
        played += 1
    print(f"{played} seeded histories of {steps} steps came out as the rules say")
    return 0


def _hypothesis(asked: argparse.Namespace) -> int:
    examples = max(10, int(asked.minutes * 30 / HYPOTHESIS_S))
    surroundings = {"ONBELAY_FUZZ_EXAMPLES": str(examples), "ONBELAY_FUZZ_STEPS": str(asked.steps)}
    return _pytest("tests/model/test_histories.py::TestHistories", surroundings)


def _live(asked: argparse.Namespace) -> int:
    seed = asked.seed if asked.seed is not None else SystemRandom().randrange(10**6)
    until = time.monotonic() + asked.minutes * 60
    while True:
        print(f"live histories of seed {seed}", flush=True)
        # The tests' own number of rounds is for every day; these are longer.
        surroundings = {"ONBELAY_FUZZ_ROUNDS": "40", **os.environ, "ONBELAY_FUZZ_SEED": str(seed)}
        failed = _pytest("tests/integration/test_model.py", surroundings)
        if failed or asked.seed is not None or time.monotonic() > until:
            return failed
        seed += 1


def _pytest(what: str, surroundings: dict[str, str]) -> int:
    command = [sys.executable, "-m", "pytest", "-q", what]
    return subprocess.run(command, env={**os.environ, **surroundings}, check=False).returncode


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
