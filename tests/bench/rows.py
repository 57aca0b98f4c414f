"""The table: what each benchmark measures, its goal, and whether it was reached."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal


@dataclass(frozen=True, slots=True)
class Goal:
    """A bound on a figure of a row's result; `figure` names it."""

    figure: str
    sense: Literal[">=", "<="]
    bound: float

    def reached(self, result: Mapping[str, Any]) -> bool | None:
        """Whether it was; None where it was not measured."""
        value = result.get(self.figure)
        if value is None:
            return None
        return bool(value >= self.bound if self.sense == ">=" else value <= self.bound)


@dataclass(frozen=True, slots=True)
class Row:
    """A row: its key in `bench.json`, what it measures, its goals, and what else is worth telling."""

    key: str
    what: str
    goals: tuple[Goal, ...] = ()
    also: tuple[str, ...] = ()


def _at_least(figure: str, bound: float) -> Goal:
    return Goal(figure, ">=", bound)


def _at_most(figure: str, bound: float) -> Goal:
    return Goal(figure, "<=", bound)


ROWS = (
    Row(
        "P1",
        "projection at batch 2000 / FastStream batch subscriber with bulk_write",
        (_at_least("ratio", 2.0), _at_least("untuned_ratio", 1.6)),
        ("rate", "peer_rate"),
    ),
    Row(
        "P2",
        "projection / FastStream per message with update_one; with 32 workers",
        (_at_least("ratio", 60), _at_least("workers_ratio", 25)),
        ("peer_rate", "workers_peer_rate"),
    ),
    Row(
        "P3",
        "documents written / one thread's transactional bulk limit",
        (_at_least("ratio", 1.0),),
        ("rate",),
    ),
    Row("P4", "catch-up / consume and decode only", (_at_least("ratio", 0.20),), ("peer_rate",)),
    Row(
        "P5",
        "projection at batch 500 / the subscriber at 500",
        (_at_least("ratio", 1.6),),
        ("rate", "peer_rate"),
    ),
    Row("P6", "CPU of our process per event / the subscriber's", (_at_most("ratio", 0.5),), ("cpu_us",)),
    Row(
        "P8",
        "idle stream: p99 to receipt, p90 to commit / FastStream's batch default",
        (_at_most("ratio", 0.10), _at_most("commit_ratio", 0.15)),
        ("received_p99_ms", "stored_p90_ms"),
    ),
    Row("P9", "projection / Quix Streams' MongoDB sink", (_at_least("ratio", 2.5),), ("peer_rate",)),
    Row(
        "growth",
        "cost per event with many goals / with 10,000",
        (_at_most("ratio", 1.2),),
        ("goals", "rss_mb"),
    ),
    Row(
        "N1",
        "relay of stored events / a bare pipelined producer",
        (_at_least("ratio", 0.85),),
        ("rate", "single_ratio"),
    ),
    Row(
        "R1",
        "log a check-in / FastAPI, insert_one, send_and_wait",
        (_at_least("ratio", 2.4),),
        ("rate", "peer_rate"),
    ),
    Row("R2", "the same / FastAPI, insert_one, no events", (_at_least("ratio", 2.0),), ("peer_rate",)),
    Row(
        "R3",
        "the same / FastAPI that validates only; p99 / that of R2's baseline",
        (_at_least("ratio", 0.45), _at_most("p99_ratio", 1.0)),
        ("peer_rate", "p99_ms"),
    ),
    Row("two processes", "two processes / one, on these cores"),
    Row(
        "T1",
        "due goals missed in batches of 500, of 2000 / each alone, 32 at once",
        (_at_least("ratio", 12), _at_least("ratio_2000", 16)),
        ("rate", "peer_rate"),
    ),
    Row("end to end", "at 200 check-ins a second: answered to visible in metrics", (), ("p50_ms", "p99_ms")),
)


def lines(results: Mapping[str, Mapping[str, Any]]) -> list[tuple[str, str, str, str, str]]:
    """The table's cells: key, what, measured, goal, and `hit`, `MISS` or `-`."""
    table = []
    for row in ROWS:
        result = results.get(row.key)
        if result is None:
            continue
        if "skipped" in result:
            table.append((row.key, row.what, "-", "", f"skipped: {result['skipped']}"))
            continue
        figures = [goal.figure for goal in row.goals] or (["ratio"] if "ratio" in result else [])
        measured = ", ".join(number(result[figure]) for figure in figures if figure in result)
        also = ", ".join(f"{name} {number(result[name])}" for name in row.also if name in result)
        goals = [goal for goal in row.goals if goal.reached(result) is not None]
        verdict = "-" if not goals else "hit" if all(goal.reached(result) for goal in goals) else "MISS"
        bound = ", ".join(f"{goal.sense} {goal.bound:g}" for goal in goals)
        table.append(
            (row.key, row.what, f"{measured} ({also})" if also else measured, bound or "reported", verdict)
        )
    return table


def number(value: float) -> str:
    """A figure as people read it."""
    return f"{value:,.0f}" if abs(value) >= 100 else f"{value:.3g}"
