"""The page at `/docs`: the OpenAPI document as plain HTML, without script and without other hosts."""

from __future__ import annotations

import json
from collections.abc import Mapping
from html import escape
from typing import Any

_STYLE = """
:root{color-scheme:light dark;font:15px/1.5 system-ui,sans-serif}
body{max-width:60rem;margin:2rem auto;padding:0 1rem}
code,pre{font:13px/1.4 ui-monospace,monospace}
pre{overflow:auto;padding:.6rem;background:#8881;border-radius:.4rem}
details{border:1px solid #8884;border-radius:.4rem;margin:.4rem 0;padding:.4rem .8rem}
summary{cursor:pointer}
b{display:inline-block;min-width:4.2rem}
h2{margin-top:2rem}
td,th{text-align:left;padding:.15rem .8rem .15rem 0}
small{opacity:.75}
"""


def page(document: Mapping[str, Any]) -> str:
    """The document's operations by tag, with parameters, body, answers and scopes, then the schemas."""
    by_tag: dict[str, list[str]] = {}
    for path, operations in document["paths"].items():
        for method, operation in operations.items():
            by_tag.setdefault((operation.get("tags") or ["other"])[0], []).append(
                _operation(method, path, operation)
            )
    sections = "".join(f"<h2>{escape(tag)}</h2>{''.join(found)}" for tag, found in by_tag.items())
    schemas = "".join(
        f"<details><summary><code>{escape(name)}</code></summary>{_json(schema)}</details>"
        for name, schema in sorted(document.get("components", {}).get("schemas", {}).items())
    )
    title = escape(document["info"]["title"])
    return (
        f'<!doctype html><html lang="en"><head><meta charset="utf-8"><title>{title}</title>'
        f'<meta name="viewport" content="width=device-width"><style>{_STYLE}</style></head><body>'
        f"<h1>{title}</h1><p>{escape(document['info'].get('description', ''))}"
        ' The same for programs: <a href="/openapi.json">openapi.json</a>,'
        ' <a href="/asyncapi.json">asyncapi.json</a>.</p>'
        f"{sections}<h2>schemas</h2>{schemas}</body></html>"
    )


def _operation(method: str, path: str, operation: Mapping[str, Any]) -> str:
    scopes = [" ".join(each.get("bearer", [])) for each in operation.get("security", [])]
    who = "no token"
    if scopes:
        who = f"needs {' or '.join(scopes)}" if any(scopes) else "any token"
    parameters = "".join(
        f"<tr><td><code>{escape(each['name'])}</code></td><td>{escape(each['in'])}</td>"
        f"<td>{'required' if each.get('required') else ''}</td>"
        f"<td>{escape(each.get('description', ''))}</td></tr>"
        for each in operation.get("parameters", [])
    )
    body = "".join(
        _json(media.get("schema", {}))
        for media in operation.get("requestBody", {}).get("content", {}).values()
    )
    answers = ", ".join(escape(status) for status in operation.get("responses", {}))
    return (
        f"<details><summary><b>{method.upper()}</b> <code>{escape(path)}</code> "
        f"<small>{escape(operation.get('summary', ''))}</small></summary>"
        f"<p>{escape(operation.get('description', ''))}</p><p><small>{escape(who)}</small></p>"
        f"{f'<table>{parameters}</table>' if parameters else ''}{f'<p>Body</p>{body}' if body else ''}"
        f"<p>Answers {answers}</p></details>"
    )


def _json(schema: Any) -> str:
    return f"<pre>{escape(json.dumps(schema, indent=2))}</pre>"
