"""Templates as responses, whole or sent as they are rendered."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from starlette.responses import Response, StreamingResponse

from services.metrics.dashboard import words

HERE = Path(__file__).parent
HEADERS = {
    "Cache-Control": "no-store",
    "Content-Security-Policy": (
        "default-src 'none'; style-src 'self'; script-src 'self'; connect-src 'self'; img-src 'self'; "
        "form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
    ),
    "Cross-Origin-Opener-Policy": "same-origin",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
}
SEND = "\x1e"
"""Where a template prints this, what is rendered so far is sent: before a part that takes its time."""


class Pages:
    """Renders templates. Those that are streamed call for their parts, so that the first is seen before the last."""

    def __init__(self) -> None:
        self._templates = Environment(
            loader=FileSystemLoader(HERE / "templates"),
            autoescape=True,
            undefined=StrictUndefined,
            trim_blocks=True,
            lstrip_blocks=True,
            enable_async=True,
        )
        self._templates.globals |= {"send": SEND, "words": words, "percent": words.percent}

    async def page(self, name: str, status: int = 200, **values: Any) -> Response:
        """A page by its template."""
        content = await self._templates.get_template(name).render_async(values)
        return Response(content.replace(SEND, ""), status, HEADERS, "text/html; charset=utf-8")

    def streamed(self, name: str, **values: Any) -> Response:
        """A page that is sent as it is rendered; what fails half way cuts it short."""
        pieces = self._templates.get_template(name).generate_async(values)
        return StreamingResponse(_joined(pieces), headers=HEADERS, media_type="text/html; charset=utf-8")


async def _joined(pieces: AsyncIterator[str]) -> AsyncIterator[str]:
    waiting: list[str] = []
    async for piece in pieces:
        if SEND in piece:
            yield "".join(waiting)
            waiting = []
        else:
            waiting.append(piece)
    yield "".join(waiting)
