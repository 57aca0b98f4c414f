"""CloudEvents 1.0 in Kafka's binary content mode: attributes in `ce_*` headers, the data as JSON in the value.

Source: the CloudEvents Kafka protocol binding 1.0.2; W3C Trace Context for `traceparent`.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from functools import lru_cache
from typing import Any, get_args

import msgspec

from shared import levers
from shared.events.topics import SOURCES, SUBJECTS, TYPES, short_name, topic_of, type_name
from shared.events.types import Event
from shared.time import format_instant

format_time = format_instant

_ENCODER = msgspec.json.Encoder()
_DECODERS = {name: msgspec.json.Decoder(struct) for name, struct in TYPES.items()}


def _is_instant(kind: Any) -> bool:
    return kind is datetime or any(_is_instant(part) for part in get_args(kind))


_INSTANTS = {
    struct: tuple(field.name for field in msgspec.structs.fields(struct) if _is_instant(field.type))
    for struct in TYPES.values()
}
"""The fields of each event that hold an instant."""
_WATERMARK = "CheckInsWatermark"
_REQUIRED = (
    "ce_specversion",
    "ce_id",
    "ce_source",
    "ce_type",
    "ce_subject",
    "ce_time",
    "ce_partitionkey",
    "ce_sequence",
    "ce_dataschema",
    "ce_orgid",
    "traceparent",
    "content-type",
)
_REQUIRED_OF_A_WATERMARK = tuple(name for name in _REQUIRED if name not in ("ce_sequence", "ce_orgid"))
MAX_SEQUENCE = 2**53


_NAMES = ("ce_id", "ce_subject", "ce_time", "ce_partitionkey", "traceparent", "ce_sequence", "ce_orgid")
"""The headers that a record has of its own, in the order of `headers_of`."""


class BadRecord(Exception):
    """A record that is no event of the contract; the text is the reason, beginning with its kind and a colon."""


class Decoded(msgspec.Struct, frozen=True, gc=False):
    """A record as read.

    `type` is the short name when `known`, else the `ce_type` as it came. `sequence` is None outside of the promise:
    for watermarks, and for unknown types that tell none. `data` is the typed struct, None when not known.
    """

    type: str
    id: str
    subject: str
    org_id: str
    sequence: int | None
    time: datetime
    key: str
    traceparent: str | None
    data: Any
    known: bool


def to_document(event: Event) -> dict[str, Any]:
    """An event's data in JSON's own types: as stored, and as sent."""
    plain: dict[str, Any] = msgspec.to_builtins(event, builtin_types=(datetime,))
    for name in _INSTANTS[type(event)]:
        at = plain.get(name)
        if at is not None:
            plain[name] = format_instant(at)
    return plain


def from_document(name: str, data: Mapping[str, Any]) -> Event:
    """The event of stored data.

    Raises:
        msgspec.ValidationError: they do not fit.
        KeyError: there is no such event.
    """
    return msgspec.convert(data, TYPES[name])


def encode_document(_name: str, data: Mapping[str, Any]) -> bytes:
    """The value of a record with these data; the same bytes for the same data."""
    return _ENCODER.encode(data)


def traceparent_of(id_: str) -> str:
    """A `traceparent`, not sampled, for an event that no trace led to; the same for the same event."""
    digest = hashlib.blake2b(id_.encode(), digest_size=24).hexdigest()
    return f"00-{digest[:32]}-{digest[32:]}-00"


@lru_cache
def _same_for_all(type_: str) -> tuple[tuple[str, bytes], ...]:
    """The headers that all records of a type have."""
    return (
        ("ce_specversion", b"1.0"),
        ("ce_source", SOURCES[topic_of(type_)].encode()),
        ("ce_type", type_name(type_).encode()),
        ("ce_dataschema", f"urn:onbelay:event:{type_}:v1".encode()),
        ("content-type", b"application/json"),
    )


def headers_of(
    *,
    type_: str,
    id_: str,
    subject: str,
    time: datetime,
    key: str,
    sequence: int | None,
    org_id: str | None,
    traceparent: str | None,
) -> list[tuple[str, bytes]]:
    """The headers of a record; `type_` is a short name. A watermark has no `sequence` and no `org_id`."""
    headers = [
        *_same_for_all(type_),
        ("ce_id", id_.encode()),
        ("ce_subject", subject.encode()),
        ("ce_time", format_instant(time).encode()),
        ("ce_partitionkey", key.encode()),
        ("traceparent", (traceparent or traceparent_of(id_)).encode()),
    ]
    if sequence is not None:
        headers.append(("ce_sequence", b"%010d" % sequence))
    if org_id is not None:
        headers.append(("ce_orgid", org_id.encode()))
    return headers


def cloudevent(
    *,
    type: str,
    id: str,
    subject: str,
    time: datetime,
    key: str,
    sequence: int,
    org_id: str,
    traceparent: str | None,
    data: Mapping[str, Any],
) -> dict[str, Any]:
    """The event in CloudEvents' structured JSON: for webhooks and streams. `type` is a short name."""
    return {
        "specversion": "1.0",
        "id": id,
        "source": SOURCES[topic_of(type)],
        "type": type_name(type),
        "subject": subject,
        "time": format_instant(time),
        "partitionkey": key,
        "sequence": f"{sequence:010d}",
        "dataschema": f"urn:onbelay:event:{type}:v1",
        "orgid": org_id,
        "traceparent": traceparent or traceparent_of(id),
        "datacontenttype": "application/json",
        "data": dict(data),
    }


class _AsSent(msgspec.Struct, frozen=True):
    """What records of a type have in common when `headers_of` wrote them."""

    name: str
    topic: str
    same: tuple[tuple[str, bytes], ...]
    kind: str
    field: str
    decoder: msgspec.json.Decoder[Any]


_SHORT_WAY = levers.on(levers.READ_AS_SENT)
_AS_SENT = {
    _same_for_all(name)[2]: _AsSent(
        name, topic_of(name), _same_for_all(name), *SUBJECTS[name], _DECODERS[name]
    )
    for name in TYPES
    if SUBJECTS[name][1] and name != _WATERMARK
}


def decode(
    headers: Iterable[tuple[str, bytes | None]], key: bytes | None, value: bytes | None, topic: str
) -> Decoded:
    """Read a record of a topic (its short name).

    Raises:
        BadRecord: it cannot be decoded, lacks a header, does not fit its schema, or contradicts itself.
    """
    found = _decode_as_sent(headers, key, value, topic) if _SHORT_WAY else None
    return found or _decode_any(headers, key, value, topic)


def _decode_as_sent(headers: Any, key: bytes | None, value: Any, topic: str) -> Decoded | None:
    """Read a record with just the headers that `headers_of` writes, in its order, as nearly all have.

    None: it is not surely right, and is to be looked at closely. What is read is what `_decode_any` reads. Nothing is
    asked beforehand; what does not fit raises.
    """
    try:
        sent = _AS_SENT[headers[2]]
        names, contents = zip(*headers[5:], strict=True)
        id_, subject_, time_, key_, traceparent, sequence, org_id_ = contents
        if (
            sent.topic != topic
            or headers[:5] != sent.same
            or names != _NAMES
            or key != key_
            or not (len(sequence) == 10 and sequence.isdigit())
            or not (id_ and traceparent)
            or b"null" in value
        ):
            return None
        number = int(sequence)
        data = sent.decoder.decode(value)
        subject, org_id, text = subject_.decode(), org_id_.decode(), key_.decode()
        # No schema takes an empty id.
        if (
            not number
            or subject != f"{sent.kind}/{getattr(data, sent.field)}"
            or data.org_id != org_id
            or data.mentorship_id != text
        ):
            return None
        return Decoded(
            sent.name, id_.decode(), subject, org_id, number, _time(time_.decode()), text,
            traceparent.decode(), data, True,
        )  # fmt: skip
    except (ValueError, TypeError, LookupError, AttributeError, RecursionError, BadRecord):
        # Whatever is wrong with it, the close look says it.
        return None


def _decode_any(
    headers: Iterable[tuple[str, bytes | None]], key: bytes | None, value: bytes | None, topic: str
) -> Decoded:
    found = _texts(headers)
    type_ = found.get("ce_type")
    if not type_:
        raise BadRecord("header: ce_type is missing")
    name = short_name(type_)
    if name is None:
        return _unknown(type_, found, key)
    if topic_of(name) != topic:
        raise BadRecord(f"type: {name} does not belong to this topic")
    for required in _REQUIRED_OF_A_WATERMARK if name == _WATERMARK else _REQUIRED:
        if not found.get(required):
            raise BadRecord(f"header: {required} is missing")
    if found["ce_specversion"] != "1.0":
        raise BadRecord("header: ce_specversion is not 1.0")
    if found["content-type"].partition(";")[0].strip().lower() != "application/json":
        raise BadRecord("header: content-type is not application/json")
    if value is None:
        raise BadRecord("value: there is none")
    data = _data(name, value)
    decoded = Decoded(
        name,
        found["ce_id"],
        found["ce_subject"],
        found.get("ce_orgid", ""),
        None if name == _WATERMARK else _sequence(found["ce_sequence"]),
        _time(found["ce_time"]),
        found["ce_partitionkey"],
        found["traceparent"],
        data,
        True,
    )
    _consistent(decoded, key)
    return decoded


def _data(name: str, value: bytes) -> Any:
    """The typed data of a value: what fits the schema, and nothing else.

    To the schema `5.0` is an integer, and an optional field that is null is not left out.
    """
    try:
        try:
            data = _DECODERS[name].decode(value)
        except msgspec.ValidationError:
            data = msgspec.convert(_with_whole_numbers(msgspec.json.decode(value)), TYPES[name])
        if b"null" in value:
            _require_no_nulls(data, msgspec.json.decode(value), "$")
    except msgspec.ValidationError as error:
        raise BadRecord(f"schema: {_short(error)}") from error
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise BadRecord(f"json: {_short(error)}") from error
    return data


def _with_whole_numbers(value: Any) -> Any:
    if isinstance(value, dict):
        return {name: _with_whole_numbers(found) for name, found in value.items()}
    if isinstance(value, list):
        return [_with_whole_numbers(found) for found in value]
    return int(value) if isinstance(value, float) and value.is_integer() else value


def _require_no_nulls(data: msgspec.Struct, value: Mapping[str, Any], path: str) -> None:
    for name in data.__struct_fields__:
        if name in value and value[name] is None:
            raise msgspec.ValidationError(
                f"Expected a value or none of that name, got `null` - at `{path}.{name}`"
            )
        found = getattr(data, name)
        if isinstance(found, msgspec.Struct):
            _require_no_nulls(found, value[name], f"{path}.{name}")


def _texts(headers: Iterable[tuple[str, bytes | None]]) -> dict[str, str]:
    texts: dict[str, str] = {}
    for name, content in headers:
        if content is None:
            continue
        try:
            texts[name] = content.decode()
        except UnicodeDecodeError as error:
            if name.startswith("ce_") or name in ("traceparent", "content-type"):
                raise BadRecord(f"header: {name} is not UTF-8") from error
    return texts


def _unknown(type_: str, found: Mapping[str, str], key: bytes | None) -> Decoded:
    """A type that this reader does not know: passed over, but its sequence counts where it tells one."""
    try:
        sequence = _sequence(found["ce_sequence"])
        time = _time(found["ce_time"])
        subject, org_id = found["ce_subject"], found["ce_orgid"]
    except (KeyError, BadRecord):
        sequence, time, subject, org_id = None, datetime.fromtimestamp(0, UTC), "", ""
    return Decoded(
        type_, found.get("ce_id", ""), subject, org_id, sequence, time,
        key.decode(errors="replace") if key else "", found.get("traceparent"), None, False,
    )  # fmt: skip


def _sequence(text: str) -> int:
    if not (text.isascii() and text.isdigit() and len(text) >= 10 and 0 < int(text) < MAX_SEQUENCE):
        raise BadRecord("header: ce_sequence is no sequence")
    return int(text)


def _time(text: str) -> datetime:
    try:
        time = msgspec.convert(text, datetime)
        if time.tzinfo is UTC:
            return time
        if time.tzinfo is not None:
            return time.astimezone(UTC)
    except (msgspec.ValidationError, OverflowError):
        pass
    raise BadRecord("header: ce_time is no instant")


def _consistent(decoded: Decoded, key: bytes | None) -> None:
    """Key, subject and organization as the headers tell them are those that the data tell."""
    if key is None or key != decoded.key.encode():
        raise BadRecord("key: the record's key is not ce_partitionkey")
    data = decoded.data
    kind, field = SUBJECTS[decoded.type]
    prefix, _, id_ = decoded.subject.partition("/")
    if prefix != kind or not id_ or (field and str(getattr(data, field)) != id_):
        raise BadRecord("subject: it is not what the data are about")
    if decoded.type == _WATERMARK:
        return
    if data.org_id != decoded.org_id:
        raise BadRecord("tenant: ce_orgid is not the data's organization")
    keyed_by = data.person_id if decoded.type == "PersonErased" else data.mentorship_id
    if keyed_by != decoded.key:
        raise BadRecord("key: it is not what the data are keyed by")


def _short(error: Exception) -> str:
    # The validation's own words name the path, never the value.
    return str(error)[:300]
