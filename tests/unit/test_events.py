from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import jsonschema
import msgspec
import pytest

from shared import asyncapi
from shared import events as contract
from shared.events import codec
from shared.events.export import SCHEMAS, main, schema_of
from shared.events.topics import SUBJECTS
from shared.ids import uuid7
from tests.builders import NOW, Pair, Record, record

PAIR = Pair()
EXPECTED = contract.ExpectationsProposed(
    **PAIR.common, version=1, proposed_by="mentor-1", waits_for="mentee-1", review_on="2026-12-01"
)
AGREED = contract.ExpectationsAgreed(
    **PAIR.common,
    version=1,
    agreed_by=["mentor-1", "mentee-1"],
    review_on="2026-12-01",
    escalate_to_coordinator=False,
)
LAPSED = contract.CheckInLapsed(
    **PAIR.common,
    goal_id=uuid7(),
    owner_id="mentee-1",
    owner_role="mentee",
    expected_by=NOW,
    period="2026-11-02",
)
TABLE = [
    "ce_specversion", "ce_id", "ce_source", "ce_type", "ce_subject", "ce_time", "ce_partitionkey", "ce_sequence",
    "ce_dataschema", "ce_orgid", "traceparent", "content-type",
]  # fmt: skip
CONTRACT_TOPICS = {
    "onbelay.goals.v1": [
        "MentorshipStarted", "MentorshipChanged", "MentorshipPaused", "MentorshipResumed", "MentorshipEnded",
        "ExpectationsProposed", "ExpectationsAgreed", "GoalSet", "GoalRevised", "RevisionProposed",
        "RevisionDeclined", "GoalMet", "GoalMissed", "GoalMissRetracted", "MissDisputed", "DisputeRejected",
        "GoalDropped", "PersonErased",
    ],
    "onbelay.checkins.v1": ["CheckInLogged", "CheckInAcknowledged", "CheckInLapsed", "CheckInsWatermark"],
    "onbelay.nudges.v1": ["NudgeSent", "NudgeSuppressed", "NudgeFailed"],
    "onbelay.support.v1": ["HelpRequested"],
}  # fmt: skip


def decode(some: Record, topic: str = "goals") -> contract.Decoded:
    return contract.decode(some.headers, some.key, some.value, topic)


def changed(some: Record, **data: Any) -> Record:
    return replace(some, value=json.dumps({**json.loads(some.value or b"{}"), **data}).encode())


class TestTheContract:
    def test_every_event_has_its_topic(self) -> None:
        for topic, names in CONTRACT_TOPICS.items():
            for name in names:
                assert contract.TOPICS[contract.topic_of(name)] == topic
        assert set(contract.TYPES) == {name for names in CONTRACT_TOPICS.values() for name in names}

    def test_the_exported_schemas_are_those_of_the_structs(self, capsys: pytest.CaptureFixture[str]) -> None:
        assert main(["--check"]) == 0, capsys.readouterr().out

    @pytest.mark.parametrize("name", sorted(contract.TYPES))
    def test_a_schema_is_one_and_lets_readers_see_more(self, name: str) -> None:
        schema = json.loads((SCHEMAS / f"{name}.v1.json").read_text())
        jsonschema.Draft202012Validator.check_schema(schema)
        assert schema["$id"] == f"urn:onbelay:event:{name}:v1"
        assert schema["additionalProperties"] is True

    def test_the_data_fit_their_schema(self) -> None:
        goal = PAIR.goal_set(measure=contract.Measure(kind="milestones", milestones=["draft", "review"]))
        logged = PAIR.logged(progress=contract.Progress(value=7), confidence=3, realistic=False)
        for event in (PAIR.started(), goal, logged):
            jsonschema.validate(contract.to_document(event), schema_of(type(event).__name__))

    @pytest.mark.parametrize("measure", [{"kind": "number"}, {"kind": "milestones"}, {"kind": "mood"}, {}])
    def test_schema_and_struct_refuse_the_same_measures(self, measure: dict[str, Any]) -> None:
        data = {**contract.to_document(PAIR.goal_set()), "measure": measure}
        with pytest.raises(jsonschema.ValidationError):
            jsonschema.validate(data, schema_of("GoalSet"))
        with pytest.raises(msgspec.ValidationError):
            contract.from_document("GoalSet", data)


class TestARecord:
    def test_it_carries_the_headers_of_the_table_and_reads_back(self) -> None:
        goal = PAIR.goal_set()
        sent = record(goal, sequence=42)
        assert sorted(name for name, _ in sent.headers) == sorted(TABLE)
        headers = dict(sent.headers)
        assert headers["ce_sequence"] == b"0000000042"
        assert headers["ce_type"] == b"onbelay.GoalSet.v1"
        assert headers["ce_source"] == b"/onbelay/goals"
        assert headers["ce_dataschema"] == b"urn:onbelay:event:GoalSet:v1"
        assert sent.key == headers["ce_partitionkey"] == PAIR.mentorship_id.encode()
        decoded = decode(sent)
        assert decoded.data == goal
        assert (decoded.type, decoded.sequence, decoded.time, decoded.org_id) == ("GoalSet", 42, NOW, "org-1")

    def test_what_has_no_value_is_left_out_and_instants_have_milliseconds_at_most(self) -> None:
        data = contract.to_document(
            PAIR.logged(logged_at=datetime(2026, 11, 2, 9, 0, 0, 120_000, tzinfo=UTC))
        )
        assert data["logged_at"] == "2026-11-02T09:00:00.120Z"
        assert data["occurred_at"] == "2026-11-02T09:00:00Z"
        assert "goal_id" not in data
        assert "confidence" not in data

    def test_an_event_outside_of_a_trace_has_the_same_traceparent_each_time(self) -> None:
        first, second = (record(PAIR.started(), id="0190") for _ in range(2))
        assert dict(first.headers)["traceparent"] == dict(second.headers)["traceparent"]

    def test_readers_ignore_fields_that_they_do_not_know(self) -> None:
        assert decode(changed(record(PAIR.started()), mood="fine")).data == PAIR.started()

    def test_a_watermark_has_no_organization_and_no_sequence(self) -> None:
        watermark = contract.CheckInsWatermark(partition=3, up_to=NOW)
        sent = record(watermark, sequence=None, subject="partition/3")
        assert {"ce_orgid", "ce_sequence"}.isdisjoint(name for name, _ in sent.headers)
        decoded = decode(sent, "checkins")
        assert (decoded.data, decoded.sequence) == (watermark, None)

    def test_an_unknown_type_is_no_error_and_its_sequence_counts(self) -> None:
        sent = record(PAIR.started(), sequence=3).with_header("ce_type", b"onbelay.GoalShared.v1")
        decoded = decode(sent)
        assert (decoded.known, decoded.sequence, decoded.data) == (False, 3, None)
        assert not decode(Record("goals", None, None, [("ce_type", b"else")])).known

    def test_a_structured_cloudevent_has_the_same_attributes(self) -> None:
        data = contract.to_document(PAIR.started())
        event = contract.cloudevent(
            type="MentorshipStarted", id="0190", subject="mentorship/m", time=NOW, key="m", sequence=2,
            org_id="org-1", traceparent=None, data=data,
        )  # fmt: skip
        assert event["type"] == "onbelay.MentorshipStarted.v1"
        assert event["sequence"] == "0000000002"
        assert event["data"] == data


class TestABadRecord:
    @pytest.mark.parametrize("header", TABLE)
    def test_lacks_a_header(self, header: str) -> None:
        with pytest.raises(contract.BadRecord, match=f"header: {header} is missing"):
            decode(record(PAIR.started()).without(header))

    @pytest.mark.parametrize(
        ("header", "content"),
        [
            ("ce_specversion", b"0.3"), ("ce_time", b"yesterday"), ("ce_time", b"2026-11-02T09:00:00"),
            ("ce_sequence", b"one"), ("ce_sequence", b"0000000000"), ("ce_sequence", b"1"),
            ("content-type", b"text/plain"), ("ce_subject", b"\xff\xfe"), ("ce_type", b"\xc3\x28"),
        ],
    )  # fmt: skip
    def test_has_a_header_that_cannot_be(self, header: str, content: bytes) -> None:
        with pytest.raises(contract.BadRecord, match="^header: "):
            decode(record(PAIR.started()).with_header(header, content))

    @pytest.mark.parametrize("value", [None, b"", b"{", b"\xff", b"[]", b"null", b"[" * 100_000])
    def test_has_no_data(self, value: bytes | None) -> None:
        with pytest.raises(contract.BadRecord, match="^(value|json|schema): "):
            decode(replace(record(PAIR.started()), value=value))

    @pytest.mark.parametrize(
        "wrong",
        [
            {"mentor_id": 7}, {"mentor_id": None}, {"mentor_id": "a@b.example"}, {"mentor_id": "a\n"},
            {"check_in_every_days": 0}, {"check_in_every_days": "7"}, {"program_id": ""},
        ],
    )  # fmt: skip
    def test_does_not_fit_its_schema(self, wrong: dict[str, Any]) -> None:
        with pytest.raises(contract.BadRecord, match="^schema: "):
            decode(changed(record(PAIR.started()), **wrong))

    @pytest.mark.parametrize(
        ("event", "wrong"),
        [
            (PAIR.started(), {"time_zone": "Nowhere/Zone"}),
            (PAIR.started(), {"leader_id": None}),
            (PAIR.goal_set(), {"deadline": {"date": "2027-02-31", "time_zone": "UTC"}}),
            (PAIR.goal_set(), {"deadline": {"date": "2027-02-28", "time_zone": "Bad/Zone"}}),
            (PAIR.goal_set(), {"deadline": {"date": "2027-02-28", "time_zone": "UTC", "cutoff": "25:00"}}),
            (PAIR.goal_set(), {"deadline": {"date": "2027-02-28", "time_zone": "UTC", "cutoff": None}}),
            (PAIR.goal_set(), {"measure": {"kind": "done", "unit": None}}),
            (PAIR.goal_set(), {"revision": 10**25}),
            (PAIR.goal_set(), {"revision": 1.5}),
            (EXPECTED, {"review_on": "2026-99-99"}),
            (AGREED, {"review_on": "2026-13-01"}),
            (LAPSED, {"period": "2026-13-45"}),
        ],
        ids=lambda value: type(value).__name__ if isinstance(value, contract.Event) else str(value),
    )
    def test_says_what_cannot_be_or_says_nothing_at_length(
        self, event: contract.Event, wrong: dict[str, Any]
    ) -> None:
        good = record(event)
        assert decode(good, good.topic).known
        with pytest.raises(contract.BadRecord, match="^schema: ") as refused:
            decode(changed(good, **wrong), good.topic)
        assert "Zone" not in str(refused.value)

    def test_is_none_for_a_null_that_readers_do_not_know_or_a_whole_number_with_a_point(self) -> None:
        good = record(PAIR.goal_set())
        told = decode(changed(good, more={"of": None}, title="null", revision=1.0))
        assert (told.data.title, told.data.revision) == ("null", 1)
        assert type(told.data.revision) is int

    @pytest.mark.parametrize(
        "progress", [{}, {"value": 1, "done": True}, {"value": "1"}, {"milestones": [1]}, {"done": None}]
    )
    def test_reports_progress_that_is_none(self, progress: dict[str, Any]) -> None:
        with pytest.raises(contract.BadRecord, match="^schema: "):
            decode(changed(record(PAIR.logged()), progress=progress), "checkins")

    def test_has_another_key_than_it_says(self) -> None:
        with pytest.raises(contract.BadRecord, match="^key: "):
            decode(replace(record(PAIR.started()), key=b"else"))
        with pytest.raises(contract.BadRecord, match="^key: "):
            decode(replace(record(PAIR.started()), key=None))

    def test_names_a_subject_that_its_data_are_not_about(self) -> None:
        with pytest.raises(contract.BadRecord, match="^subject: "):
            decode(record(PAIR.started(), subject="goal/1"))

    def test_contradicts_itself_about_the_organization(self) -> None:
        with pytest.raises(contract.BadRecord, match="^tenant: "):
            decode(record(PAIR.started()).with_header("ce_orgid", b"org-2"))

    def test_stands_in_another_topic_than_its_type(self) -> None:
        with pytest.raises(contract.BadRecord, match="^type: "):
            decode(record(PAIR.started()), "checkins")


class TestAsyncApi:
    def test_a_document_names_topics_and_messages(self) -> None:
        document = asyncapi.document("goals", ["GoalSet"], {"checkins": ["CheckInLogged"]})
        assert document["asyncapi"] == "3.0.0"
        assert document["channels"]["goals"]["address"] == "onbelay.goals.v1"
        assert set(document["operations"]) == {"send_goals", "receive_checkins"}
        assert document["components"]["messages"]["GoalSet"]["payload"]["schema"]["title"] == "GoalSet"


def _said(read: Any, headers: Any, key: bytes | None, value: bytes | None, topic: str) -> object:
    try:
        return read(headers, key, value, topic)
    except contract.BadRecord as error:
        return str(error)


class TestReadingWhatIsAsWeSendIt:
    """Nearly all records are read by a short way; what it reads is what the long one would."""

    SENT = (PAIR.started(), PAIR.goal_set(), PAIR.logged(progress=contract.Progress(value=7), confidence=3))

    @pytest.mark.parametrize("event", SENT, ids=lambda event: type(event).__name__)
    def test_the_short_way_is_taken_for_what_we_send(self, event: contract.Event) -> None:
        sent = record(event, sequence=12)
        way = codec._decode_as_sent(tuple(sent.headers), sent.key, sent.value, sent.topic)
        assert way is not None
        assert way == codec._decode_any(sent.headers, sent.key, sent.value, sent.topic)

    def test_headers_that_can_be_read_but_once_are_read_whole(self) -> None:
        sent = record(PAIR.started())
        for headers in (sent.headers, [*sent.headers, ("more", b"of it")]):
            assert contract.decode(iter(headers), sent.key, sent.value, sent.topic) == decode(sent)

    def test_every_type_but_two_has_a_short_way(self) -> None:
        assert {sent.name for sent in codec._AS_SENT.values()} == contract.TYPES.keys() - {
            "PersonErased",
            "CheckInsWatermark",
        }

    @pytest.mark.parametrize("event", SENT, ids=lambda event: type(event).__name__)
    def test_whatever_is_changed_both_ways_come_to_the_same(self, event: contract.Event) -> None:
        sent = record(event, sequence=12)
        compared = 0
        for headers, key, value, topic in _changes(sent):
            said = _said(contract.decode, headers, key, value, topic)
            assert said == _said(codec._decode_any, headers, key, value, topic), (headers, key, value, topic)
            compared += 1
        assert compared > 250


def _changes(sent: Record) -> Iterator[tuple[Any, bytes | None, bytes | None, str]]:
    """A record with one thing changed, or two that belong together."""
    headers = tuple(sent.headers)
    assert sent.value is not None
    for topic in contract.TOPICS:
        yield headers, sent.key, sent.value, topic
    contents: list[bytes | None] = [
        None, b"", b" ", b"x", b"\xff", b"0", b"0000000000", b"0000000007", b"00000000012", b"+000000012",
        "٠٠٠٠٠٠٠٠١٢".encode(), b"9" * 20, b"2026-11-02T09:00:00+02:00", b"2026-11-02T09:00:00", b"goal/", b"goal",
        b"1.0", b"application/json; charset=utf-8", b"onbelay.GoalMet.v1", b"onbelay.Unheard.v1", b"org-2",
    ]  # fmt: skip
    for at, (name, content) in enumerate(headers):
        before, after = headers[:at], headers[at + 1 :]
        yield (*before, *after), sent.key, sent.value, sent.topic
        yield (*before, (name, content), *before, (name, content), *after), sent.key, sent.value, sent.topic
        yield (*after, (name, content), *before), sent.key, sent.value, sent.topic
        yield (*before, (name.upper(), content), *after), sent.key, sent.value, sent.topic
        yield ([*before, [name, content], *after]), sent.key, sent.value, sent.topic
        for other in contents:
            changed_ = (*before, (name, other), *after)
            yield changed_, sent.key, sent.value, sent.topic
            yield (*changed_, ("more", b"\xff")), sent.key, sent.value, sent.topic
            if name == "ce_partitionkey":
                yield changed_, other, sent.value, sent.topic
    for key in (None, b"", b"x", b"\xff"):
        yield headers, key, sent.value, sent.topic
    for value in (None, b"", b"{", b"[]", b"\xff", b'{"org_id": 3}', b"[" * 5_000):
        yield headers, sent.key, value, sent.topic
    yield headers, sent.key, sent.value[:-1] + b',"x":' + b"[" * 50_000 + b"]" * 50_000 + b"}", sent.topic
    data = json.loads(sent.value)
    for field in data:
        others: tuple[Any, ...] = (None, "", "org-2", 3, {})
        for other_value in others:
            yield headers, sent.key, json.dumps({**data, field: other_value}).encode(), sent.topic
        left = {name: told for name, told in data.items() if name != field}
        yield headers, sent.key, json.dumps(left).encode(), sent.topic
    # Where data and headers are wrong alike, neither tells on the other.
    for field, header in (("mentorship_id", "ce_partitionkey"), ("org_id", "ce_orgid")):
        empty = tuple((name, b"" if name == header else content) for name, content in headers)
        key = b"" if field == "mentorship_id" else sent.key
        yield empty, key, json.dumps({**data, field: ""}).encode(), sent.topic
    kind, field = SUBJECTS[_name(sent)]
    nobody = tuple(
        (name, f"{kind}/".encode() if name == "ce_subject" else content) for name, content in headers
    )
    yield nobody, sent.key, json.dumps({**data, field: ""}).encode(), sent.topic


def _name(sent: Record) -> str:
    return (dict(sent.headers)["ce_type"] or b"").decode().split(".")[1]
