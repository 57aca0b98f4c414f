"""AsyncAPI 3.0 documents: which events a service publishes and which it takes in."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from shared import events as contract
from shared.events.export import schema_of

_ATTRIBUTES = {
    "ce_specversion": "1.0",
    "ce_id": "UUIDv7, the same on every redelivery",
    "ce_source": "who sent it",
    "ce_type": "onbelay.<name>.v1",
    "ce_subject": "the aggregate",
    "ce_time": "when it was recorded (RFC 3339)",
    "ce_partitionkey": "the record's key",
    "ce_sequence": "1, 2, 3 ... per subject and topic, 10 digits; not of watermarks",
    "ce_dataschema": "urn:onbelay:event:<name>:v1",
    "ce_orgid": "the organization; not of watermarks",
    "traceparent": "W3C trace context",
    "content-type": "application/json",
}


def document(service: str, publishes: Sequence[str], reads: Mapping[str, Sequence[str]]) -> dict[str, Any]:
    """The document of a service.

    Args:
        service: `goals`, `checkins`, ...
        publishes: short names of the events it sends.
        reads: per topic (its short name) the short names of the events it takes in.
    """
    sent: dict[str, list[str]] = {}
    for name in publishes:
        sent.setdefault(contract.topic_of(name), []).append(name)
    channels = {}
    operations = {}
    for topic in sorted({*sent, *reads}):
        names = sorted({*sent.get(topic, ()), *reads.get(topic, ())})
        channels[topic] = {
            "address": contract.TOPICS[topic],
            "messages": {name: {"$ref": f"#/components/messages/{name}"} for name in names},
        }
        for action, some in (("send", sent.get(topic)), ("receive", reads.get(topic))):
            if some:
                operations[f"{action}_{topic}"] = {
                    "action": action,
                    "channel": {"$ref": f"#/channels/{topic}"},
                    "messages": [{"$ref": f"#/channels/{topic}/messages/{name}"} for name in sorted(some)],
                }
    used = sorted({*publishes, *(name for some in reads.values() for name in some)})
    return {
        "asyncapi": "3.0.0",
        "info": {
            "title": f"Onbelay {service}",
            "version": "1",
            "description": "CloudEvents 1.0 in Kafka's binary content mode. At least once; per subject the first "
            "occurrences arrive in sequence, without gaps; a duplicate has the same ce_id and ce_sequence.",
        },
        "defaultContentType": "application/json",
        "channels": channels,
        "operations": operations,
        "components": {"messages": {name: _message(name) for name in used}},
    }


def _message(name: str) -> dict[str, Any]:
    schema = schema_of(name)
    return {
        "name": contract.type_name(name),
        "title": name,
        "summary": schema["description"],
        "contentType": "application/json",
        "headers": {
            "type": "object",
            "properties": {
                header: {"type": "string", "description": meaning} for header, meaning in _ATTRIBUTES.items()
            },
        },
        "payload": {"schemaFormat": "application/schema+json;version=draft-2020-12", "schema": schema},
        "bindings": {"kafka": {"key": {"type": "string"}, "bindingVersion": "0.5.0"}},
    }
