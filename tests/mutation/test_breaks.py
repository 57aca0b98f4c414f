"""The breaks are breaks of the code as it is; `python -m tests.mutation` sees whether tests notice them."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.mutation.breaks import BREAKS, Break

ROOT = Path(__file__).parents[2]

of_each_break = pytest.mark.parametrize("each", BREAKS, ids=lambda each: each.name)


@of_each_break
def test_it_still_applies(each: Break) -> None:
    whole = (ROOT / each.path).read_text(encoding="utf-8")
    assert whole.count(each.old) == 1
    compile(whole.replace(each.old, each.new), each.path, "exec")


@of_each_break
def test_its_tests_are_there(each: Break) -> None:
    assert all((ROOT / test.split("::")[0]).exists() for test in each.tests)


def test_each_breaks_something_else() -> None:
    assert len({each.name for each in BREAKS}) == len(BREAKS)
    assert len({(each.path, each.old, each.new) for each in BREAKS}) == len(BREAKS)
