"""Random histories come out as the rules say: by Hypothesis, which shrinks what fails, and by seeds, which are quick.

`python -m tests.fuzz` plays many more.
"""

from __future__ import annotations

import os

import pytest
from hypothesis import HealthCheck, settings

from tests.model.machine import Histories
from tests.model.seeded import play

FUZZING = "ONBELAY_FUZZ_EXAMPLES" in os.environ

# To shrink a history that failed takes minutes; a fuzzer may take as long as it likes.
pytestmark = pytest.mark.timeout(0 if FUZZING else 900)

EXAMPLES = int(os.environ.get("ONBELAY_FUZZ_EXAMPLES", "60"))
STEPS = int(os.environ.get("ONBELAY_FUZZ_STEPS", "50"))
SEEDS = 200

TestHistories = Histories.TestCase
TestHistories.settings = settings(
    max_examples=EXAMPLES,
    stateful_step_count=STEPS,
    deadline=None,
    database=None,
    derandomize=not FUZZING,  # of every day the same; chance is for `tests.fuzz`
    suppress_health_check=list(HealthCheck),
)


@pytest.mark.parametrize("seed", range(0, SEEDS, 20))
def test_seeded_histories_come_out_as_the_rules_say(seed: int) -> None:
    for each in range(seed, seed + 20):
        play(each, steps=80)
