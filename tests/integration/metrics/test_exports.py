"""Exports as a spreadsheet and a data tool read them."""

from __future__ import annotations

import csv
import io
import json
from datetime import timedelta
from typing import Any

import polars
import pyarrow.parquet as pq
import pytest

from shared import events as contract
from shared.time import format_instant
from tests.builders import NOW, Pair
from tests.integration.metrics.published import client, publish
from tests.support.system import System
from tests.unit.metrics.histories import History

pytestmark = pytest.mark.engines

FORMULA = '=HYPERLINK("https://evil.example","click")'


async def told(metrics: System, org: str) -> Pair:
    """One pair with two goals, three check-ins, and an acknowledgement; titles that are formulas."""
    pair, history = Pair(org), History(org)
    history.add(pair.started(leader_id="leader-1", coordinator_id="hr"), NOW)
    history.add(pair.goal_set(f"{org}-g1", title=FORMULA), NOW)
    history.add(pair.goal_set(f"{org}-g2", title='Say "no", twice', measure=done()), NOW)
    for number, value in enumerate((2.0, 3.5)):
        history.add(
            pair.logged(
                f"{org}-c{number}",
                goal_id=f"{org}-g1",
                progress=contract.Progress(value=value),
                confidence=7,
                realistic=False,
                occurred_at=NOW + timedelta(hours=number),
            ),
            NOW + timedelta(hours=number),
        )
    history.add(pair.logged(f"{org}-c2"), NOW)
    history.add(
        contract.CheckInAcknowledged(
            **pair.common,
            checkin_id=f"{org}-c2",
            acknowledged_by=pair.mentor_id,
            acknowledger_role="mentor",
            acknowledged_at=NOW + timedelta(hours=1),
        ),
        NOW + timedelta(hours=1),
    )
    await publish(metrics, list(history.events.values()))
    return pair


def done() -> contract.Measure:
    return contract.Measure(kind="done")


async def table(metrics: System, org: str, name: str, **params: str) -> list[dict[str, str]]:
    response = await client(metrics, org).get(f"/v1/export/{name}.csv", params=params)
    assert response.status_code == 200
    assert response.headers["content-type"] == "text/csv; charset=utf-8"
    assert response.text.split("\r\n")[-1] == ""
    return list(csv.DictReader(io.StringIO(response.text, newline="")))


class TestCsv:
    async def test_goals_are_rows_without_private_words(self, metrics: System, org: str) -> None:
        pair = await told(metrics, org)
        found = {row["goal_id"]: row for row in await table(metrics, org, "goals")}
        goal = found[f"{org}-g1"]
        assert goal["mentorship_id"] == pair.mentorship_id
        assert goal["owner_id"] == pair.mentee_id
        assert goal["due_at"] == "2026-12-18T16:00:00Z"
        assert goal["deadline"] == '{"date":"2026-12-18","time_zone":"Europe/Berlin","cutoff":"17:00"}'
        assert goal["measure"] == '{"kind":"number","target":7.0}'
        assert goal["state"] == "active"
        assert goal["revision"] == "1"
        assert goal["fraction"] == "0.5"
        assert goal["met_at"] == ""
        assert not {"why", "note", "reason"} & set(goal)
        assert found[f"{org}-g2"]["title"] == 'Say "no", twice'

    async def test_a_cell_that_would_begin_a_formula_is_defused(self, metrics: System, org: str) -> None:
        await told(metrics, org)
        found = {row["goal_id"]: row for row in await table(metrics, org, "goals")}
        assert found[f"{org}-g1"]["title"] == f"'{FORMULA}"

    async def test_check_ins_carry_their_acknowledgements(self, metrics: System, org: str) -> None:
        await told(metrics, org)
        found = {row["checkin_id"]: row for row in await table(metrics, org, "checkins")}
        assert len(found) == 3
        first = found[f"{org}-c0"]
        assert (first["progress"], first["confidence"], first["realistic"]) == ('{"value":2.0}', "7", "false")
        assert first["attainable"] == first["acknowledgements"] == ""
        assert found[f"{org}-c2"]["goal_id"] == ""
        # By the names that the check-in itself has for them, without the comment.
        assert json.loads(found[f"{org}-c2"]["acknowledgements"]) == [
            {
                "acknowledged_by": "mentor-1",
                "acknowledger_role": "mentor",
                "acknowledged_at": format_instant(NOW + timedelta(hours=1)),
            }
        ]
        assert not {"note", "feeling", "help"} & set(first)

    async def test_mentorships_are_rows(self, metrics: System, org: str) -> None:
        pair = await told(metrics, org)
        (found,) = await table(metrics, org, "mentorships")
        assert found["mentorship_id"] == pair.mentorship_id
        assert (found["leader_id"], found["coordinator_id"], found["state"]) == ("leader-1", "hr", "active")

    async def test_one_program_is_told_from_another(self, metrics: System, org: str) -> None:
        await told(metrics, org)
        assert len(await table(metrics, org, "goals", program_id="program-1")) == 2
        for name in ("goals", "checkins", "mentorships"):
            assert await table(metrics, org, name, program_id="program-2") == []
            assert await table(metrics, f"{org}-other", name) == []

    async def test_it_needs_the_scope_of_a_coordinator(self, metrics: System, org: str) -> None:
        for scope in ("onbelay:metrics", "onbelay:participate"):
            response = await client(metrics, org, scope).get("/v1/export/goals.csv")
            assert response.status_code == 403


class TestParquet:
    @pytest.mark.parametrize("name", ["goals", "checkins", "mentorships"])
    async def test_it_holds_what_the_csv_holds(self, metrics: System, org: str, name: str) -> None:
        await told(metrics, org)
        response = await client(metrics, org).get(f"/v1/export/{name}.parquet")
        assert response.headers["content-type"] == "application/vnd.apache.parquet"
        found: list[dict[str, Any]] = pq.read_table(io.BytesIO(response.content)).to_pylist()
        rows = await table(metrics, org, name)
        assert [list(row) for row in found] == [list(row) for row in rows]
        if name == "checkins":
            assert [row["acknowledgements"] or "" for row in found] == [
                row["acknowledgements"] for row in rows
            ]
        for row, written in zip(found, rows, strict=True):
            ids = [column for column in row if column.endswith("_id")]
            assert {column: row[column] or "" for column in ids} == {
                column: written[column] for column in ids
            }

    async def test_cells_have_types_and_titles_are_left_as_they_are(self, metrics: System, org: str) -> None:
        await told(metrics, org)
        response = await client(metrics, org).get("/v1/export/goals.parquet")
        found = polars.read_parquet(io.BytesIO(response.content)).sort("goal_id")
        assert found["title"].to_list() == [FORMULA, 'Say "no", twice']
        assert found["fraction"].to_list() == [0.5, 0.0]
        assert found["due_at"].dtype == polars.Datetime("ms", "UTC")
