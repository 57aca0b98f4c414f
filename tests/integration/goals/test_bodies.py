"""Every field of every body that goals takes, just beyond its bounds: refused with the pointer to it."""

from __future__ import annotations

from typing import Any

import pytest

from tests.integration.goals.world import Json, Pair, refused

pytestmark = pytest.mark.engines

PERSON: list[Any] = ["", "x" * 129, "a@b.example", "a b", "system", 7, "ä"]
ID: list[Any] = ["", "x" * 129, "a@b.example", "a b", 7]
ZONE: list[Any] = ["", "Mars/Olympus", "europe/berlin", "../etc/passwd", 1, None]
DAYS: list[Any] = [0, 91, 7.5, "7", True]
WORDS: list[Any] = ["x" * 2001, 7, "null\0", ["a"]]
TITLE: list[Any] = ["", "x" * 201, "two\nlines", "two\u2028lines", " ", 7, "null\0"]
FLAG: list[Any] = ["true", 1, None]
DATE: list[Any] = ["2031-02-30", "18.12.2031", "2031-12-18T00:00:00Z", 20311218, None]
INSTANT: list[Any] = ["yesterday", "2026-12-18", "2026-12-18T10:00:00", "2026-12-18T25:00:00Z", 7]
REF: list[Any] = ["", "x" * 129, 7]


def wrong(**fields: list[Any]) -> list[tuple[Json, str]]:
    """A change of each field to each of its values, and the pointer: `deadline__date` is `/deadline/date`."""
    cases: list[tuple[Json, str]] = []
    for name, values in fields.items():
        path = name.split("__")
        for value in values:
            change: Any = value
            for key in reversed(path):
                change = {key: change}
            cases.append((change, "/" + "/".join(path)))
    return cases


def merged(body: Json, change: Json) -> Json:
    """The body with one leaf changed."""
    whole = dict(body)
    for name, value in change.items():
        nested = isinstance(value, dict) and isinstance(body.get(name), dict)
        whole[name] = merged(body[name], value) if nested else value
    return whole


NUMBER: Json = {"kind": "number", "unit": "papers", "baseline": 1, "target": 7}
GOAL = [
    *wrong(
        mentorship_id=[*ID, None],
        title=[*TITLE, None],
        measure__kind=["mood", 7, None],
        measure__unit=["", "x" * 41, "two\nlines", 7],
        measure__baseline=["1", True],
        measure__target=["7", True, None, 1],  # 1: the baseline
        measure__colour=["blue"],
        deadline__date=DATE,
        deadline__time_zone=ZONE,
        deadline__cutoff=["24:01", "1:00", "noon", "17:00:60", "17:00Z", 17, None],
        deadline__colour=["blue"],
        check_in_every_days=DAYS,
        why=WORDS,
        owner_id=PERSON,
        external_ref=REF,
        colour=["blue"],
    ),
    ({"measure": "much"}, "/measure"),
    ({"deadline": "soon"}, "/deadline"),
]
MEASURES: list[tuple[Json, str]] = [
    ({"kind": "number"}, "/measure/target"),
    ({"kind": "number", "target": 0}, "/measure/target"),
    ({"kind": "number", "target": 7, "milestones": ["a"]}, "/measure/milestones"),
    ({"kind": "milestones"}, "/measure/milestones"),
    ({"kind": "milestones", "milestones": []}, "/measure/milestones"),
    ({"kind": "milestones", "milestones": ["a", "a"]}, "/measure/milestones"),
    ({"kind": "milestones", "milestones": [str(n) for n in range(51)]}, "/measure/milestones"),
    ({"kind": "milestones", "milestones": ["a", "x" * 201]}, "/measure/milestones/1"),
    ({"kind": "milestones", "milestones": ["a", 7]}, "/measure/milestones/1"),
    ({"kind": "milestones", "milestones": ["a"], "target": 7}, "/measure/target"),
    ({"kind": "milestones", "milestones": ["a"], "unit": "papers"}, "/measure/unit"),
    ({"kind": "done", "target": 7}, "/measure/target"),
    ({"kind": "done", "milestones": ["a"]}, "/measure/milestones"),
]
MENTORSHIP = wrong(
    program_id=[*ID, None],
    mentor_id=[*PERSON, None],
    mentee_id=[*PERSON, None, "mentor"],
    leader_id=[*PERSON, "mentor", "mentee"],
    coordinator_id=PERSON,
    time_zone=ZONE,
    check_in_every_days=[*DAYS, None],
    focus=WORDS,
    external_ref=REF,
    colour=["blue"],
)
EXPECTATIONS = [
    *wrong(
        items=[[], [{"role": "mentor", "text": "x"}] * 51, None, "be there"],
        review_on=DATE,
        escalate_to_coordinator=FLAG,
        support_contact_id=PERSON,
        colour=["blue"],
    ),
    ({"items": [{"role": "coordinator", "text": "x"}]}, "/items/0/role"),
    ({"items": [{"role": "mentor", "text": "x"}, {"role": "mentee", "text": ""}]}, "/items/1/text"),
    ({"items": [{"role": "mentor", "text": "x" * 2001}]}, "/items/0/text"),
    ({"items": [{"role": "mentor"}]}, "/items/0/text"),
    ({"items": [{"role": "mentor", "text": "x", "colour": "blue"}]}, "/items/0/colour"),
]
OUTCOME = wrong(
    outcome=["done", 7, None],
    occurred_at=INSTANT,
    note=["x" * 4001, 7, "null\0"],
    colour=["blue"],
)
DISPUTE = wrong(occurred_at=[*INSTANT, None], reason=[*WORDS, "", None], colour=["blue"])
PATCH_GOAL = [
    (change, pointer)
    for change, pointer in GOAL
    if not {"mentorship_id", "owner_id", "external_ref"} & change.keys()
    # A part of a measure or deadline is no whole one.
    and (not isinstance(change.get("measure"), dict) and not isinstance(change.get("deadline"), dict))
]


def named(cases: list[tuple[Json, str]]) -> list[Any]:
    return [pytest.param(*case, id=f"{number}-{case[1]}") for number, case in enumerate(cases)]


class TestEveryField:
    @pytest.mark.parametrize(("change", "pointer"), named(GOAL))
    async def test_of_a_goal(self, pair: Pair, change: Json, pointer: str) -> None:
        body = merged(await pair.goal(measure=NUMBER), change)
        refused(await pair.as_("mentee").post("/v1/goals", json=body), 422, pointer)

    @pytest.mark.parametrize(("measure", "pointer"), named(MEASURES))
    async def test_of_a_measure(self, pair: Pair, measure: Json, pointer: str) -> None:
        body = await pair.goal(measure=measure)
        refused(await pair.as_("mentee").post("/v1/goals", json=body), 422, pointer)
        refused(await pair.as_("mentee").patch("/v1/goals/g", json={"measure": measure}), 422, pointer)

    @pytest.mark.parametrize(
        ("change", "pointer"),
        named([*PATCH_GOAL, *wrong(reason=WORDS, owner_id=["mentor"], state=["met"], mentorship_id=["m"])]),
    )
    async def test_of_a_goals_revision(self, pair: Pair, change: Json, pointer: str) -> None:
        refused(await pair.as_("mentee").patch("/v1/goals/g", json=change), 422, pointer)

    @pytest.mark.parametrize(("change", "pointer"), named(OUTCOME))
    async def test_of_an_outcome(self, pair: Pair, change: Json, pointer: str) -> None:
        body = {"outcome": "met", **change}
        refused(await pair.as_("mentee").post("/v1/goals/g/outcome", json=body), 422, pointer)

    @pytest.mark.parametrize(("change", "pointer"), named(DISPUTE))
    async def test_of_a_dispute(self, pair: Pair, change: Json, pointer: str) -> None:
        body = {"occurred_at": "2026-12-18T10:00:00Z", "reason": "It was there.", **change}
        refused(await pair.as_("mentee").post("/v1/goals/g/dispute", json=body), 422, pointer)

    @pytest.mark.parametrize(("change", "pointer"), named(MENTORSHIP))
    async def test_of_a_mentorship(self, pair: Pair, change: Json, pointer: str) -> None:
        body = {**pair.mentorship(), **change}
        refused(await pair.hr().post("/v1/mentorships", json=body), 422, pointer)

    @pytest.mark.parametrize(
        ("change", "pointer"),
        named(
            wrong(
                leader_id=PERSON,
                coordinator_id=PERSON,
                time_zone=ZONE,
                check_in_every_days=[*DAYS, None],
                focus=WORDS,
                mentor_id=["other"],
                program_id=["other"],
                state=["ended"],
            )
        ),
    )
    async def test_of_a_mentorships_change(self, pair: Pair, change: Json, pointer: str) -> None:
        refused(await pair.hr().patch("/v1/mentorships/m", json=change), 422, pointer)

    @pytest.mark.parametrize(("change", "pointer"), named(EXPECTATIONS))
    async def test_of_expectations(self, pair: Pair, change: Json, pointer: str) -> None:
        body = {**await pair.expectations(), **change}
        refused(await pair.as_("mentor").post("/v1/mentorships/m/expectations", json=body), 422, pointer)


class TestWhatIsMissing:
    @pytest.mark.parametrize(
        ("path", "pointers"),
        [
            ("/v1/goals/g/outcome", ["/outcome"]),
            ("/v1/goals/g/dispute", ["/occurred_at", "/reason"]),
            ("/v1/mentorships/m/expectations", ["/items", "/review_on"]),
        ],
    )
    async def test_is_told_all_at_once(self, pair: Pair, path: str, pointers: list[str]) -> None:
        refused(await pair.as_("mentee").post(path, json={}), 422, *pointers)
        refused(await pair.as_("mentee").post(path), 422, *pointers)

    async def test_of_a_mentorship(self, pair: Pair) -> None:
        answer = await pair.hr().post("/v1/mentorships", json={})
        refused(answer, 422, "/program_id", "/mentor_id", "/mentee_id", "/time_zone")


class TestWhatTakesNoBody:
    @pytest.mark.parametrize(
        "path",
        [
            "/v1/goals/g/proposals/p/accept",
            "/v1/goals/g/proposals/p/decline",
            "/v1/goals/g/dispute/uphold",
            "/v1/goals/g/dispute/reject",
            "/v1/mentorships/m/expectations/1/agreements",
        ],
    )
    async def test_refuses_one(self, pair: Pair, path: str) -> None:
        refused(await pair.as_("mentee").post(path, json={"reason": "x"}), 422, "/reason")
        refused(await pair.as_("mentee").post(path, json={}), 404)

    @pytest.mark.parametrize("step", ["pause", "resume", "end"])
    async def test_so_do_the_turns_of_a_mentorship(self, pair: Pair, step: str) -> None:
        refused(await pair.hr().post(f"/v1/mentorships/m/{step}", json={"at": "now"}), 422, "/at")

    async def test_an_erasure_is_of_a_person(self, pair: Pair) -> None:
        for person in ("system", "a@b.example", "x" * 129):
            answer = await pair.hr("onbelay:erase").post(f"/v1/people/{person}/erasure")
            refused(answer, 422, "person_id")


class TestTheBoundsThemselves:
    async def test_of_a_goal_are_taken(self, pair: Pair) -> None:
        body = await pair.goal(
            title="x" * 200,
            measure={"kind": "milestones", "milestones": [f"{n:0200}" for n in range(50)]},
            check_in_every_days=90,
            why="ä" * 2000,
            external_ref="ü" * 128,
        )
        answer = await pair.as_("mentee").post("/v1/goals", json=body)
        assert answer.status_code == 201, answer.text
        number = {"kind": "number", "unit": "x" * 40, "baseline": -1.7e308, "target": 1.7e308}
        answer = await pair.as_("mentee").post("/v1/goals", json=await pair.goal(measure=number))
        assert answer.status_code == 201, answer.text
        said = await pair.says(answer.json()["goal_id"], "dropped", note="x" * 4000)
        assert said.status_code == 200, said.text

    async def test_of_a_mentorship_are_taken(self, pair: Pair) -> None:
        body = pair.mentorship(
            program_id="p" * 128,
            mentor_id="m" * 128,
            mentee_id="A-Za.z0_9:-",
            leader_id="l" * 128,
            check_in_every_days=1,
            focus="x" * 2000,
        )
        answer = await pair.hr().post("/v1/mentorships", json=body)
        assert answer.status_code == 201, answer.text

    async def test_of_expectations_are_taken(self, pair: Pair) -> None:
        """The largest of all bodies: 50 items of 2000 letters of four bytes."""
        body = await pair.expectations(items=[{"role": "leader", "text": "🧗" * 2000}] * 50)
        path = f"/v1/mentorships/{pair.mentorship_id}/expectations"
        answer = await pair.as_("mentor").post(path, json=body)
        assert answer.status_code == 201, answer.text
