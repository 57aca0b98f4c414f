"""The model is a second opinion: it imports nothing of what it is held against."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

MODEL = (
    "instants",
    "steps",
    "terms",
    "evidence",
    "decisions",
    "accountability",
    "cadence",
    "numbers",
    "histories",
)


@pytest.mark.parametrize("name", MODEL)
def test_it_shares_no_code_with_the_services(name: str) -> None:
    tree = ast.parse((Path(__file__).parent / f"{name}.py").read_text(encoding="utf-8"))
    imported = {node.module or "" for node in ast.walk(tree) if isinstance(node, ast.ImportFrom)}
    imported |= {
        alias.name for node in ast.walk(tree) if isinstance(node, ast.Import) for alias in node.names
    }
    ours = {
        module for module in imported if module.split(".")[0] in ("services", "shared", "deploy", "tests")
    }
    assert ours <= {"tests.model", *(f"tests.model.{other}" for other in MODEL)}
