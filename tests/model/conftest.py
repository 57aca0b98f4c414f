"""Assertions of pair and machine tell what they compared, as those of tests do."""

from __future__ import annotations

import pytest

pytest.register_assert_rewrite("tests.model.pair", "tests.model.machine")
