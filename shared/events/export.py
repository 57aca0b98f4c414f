"""Writes the JSON Schemas of the events' data to `schemas/`: `python -m shared.events.export [--check]`.

With `--check` nothing is written; it exits 1 when a file differs from what would be.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import msgspec

from shared.events.topics import TYPES
from shared.events.types import Event

SCHEMAS = Path(__file__).with_name("schemas")
_MEASURE_RULES = [
    {"if": {"properties": {"kind": {"const": "number"}}}, "then": {"required": ["target"]}},
    {"if": {"properties": {"kind": {"const": "milestones"}}}, "then": {"required": ["milestones"]}},
]
_PROGRESS_RULES = [{"required": [field]} for field in ("value", "milestones", "done")]


def schema_of(name: str) -> dict[str, Any]:
    """The JSON Schema (2020-12) of one event's data; readers are to allow more fields than it names."""
    struct = TYPES[name]
    (reference,), components = msgspec.json.schema_components([struct], ref_template="#/$defs/{name}")
    own = components.pop(reference["$ref"].rpartition("/")[2])
    if "Measure" in components:
        components["Measure"]["allOf"] = _MEASURE_RULES
    if "Progress" in components:
        components["Progress"]["oneOf"] = _PROGRESS_RULES
    schema: dict[str, Any] = {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "$id": f"urn:onbelay:event:{name}:v1",
        **own,
        "additionalProperties": True,
    }
    schema["description"] = _first_line(struct)
    if components:
        schema["$defs"] = components
    return {key: _without_nulls(value) for key, value in schema.items()}


def _first_line(struct: type[Event]) -> str:
    return (struct.__doc__ or "").strip().partition("\n")[0]


def _without_nulls(node: Any) -> Any:
    """Optional fields are left out, never null: say so."""
    if isinstance(node, list):
        return [_without_nulls(item) for item in node]
    if not isinstance(node, dict):
        return node
    node = {key: _without_nulls(value) for key, value in node.items()}
    if node.get("default", ...) is None and "anyOf" in node:
        others = [each for each in node["anyOf"] if each != {"type": "null"}]
        del node["anyOf"], node["default"]
        return {**others[0], **node} if len(others) == 1 else {**node, "anyOf": others}
    return node


def text_of(name: str) -> str:
    """The file's content."""
    return json.dumps(schema_of(name), indent=2, ensure_ascii=False) + "\n"


def main(arguments: list[str]) -> int:
    """Write the files, or check them; returns the exit code."""
    wanted = {f"{name}.v1.json": text_of(name) for name in TYPES}
    present = {path.name: path.read_text() for path in SCHEMAS.glob("*.json")}
    if "--check" in arguments:
        differing = sorted(
            name for name in wanted.keys() | present.keys() if wanted.get(name) != present.get(name)
        )
        for name in differing:
            print(f"shared/events/schemas/{name} differs: run python -m shared.events.export")
        return 1 if differing else 0
    SCHEMAS.mkdir(exist_ok=True)
    for name, text in wanted.items():
        (SCHEMAS / name).write_text(text)
    for name in present.keys() - wanted.keys():
        (SCHEMAS / name).unlink()
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
