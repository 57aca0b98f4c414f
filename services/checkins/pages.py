"""The pages behind a one-tap link, in the reader's language, with everything escaped and nothing that runs.

Layouts lie in `templates/`, the words of a language in its folder's `phrases.j2`; a language is added by its folder
alone. It is the browser's (RFC 9110, Accept-Language), for checkins does not know what people prefer.
"""

from __future__ import annotations

import base64
import hashlib
import re
from collections.abc import Mapping, Sequence
from http import HTTPStatus
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup
from starlette.responses import HTMLResponse, Response

from services.checkins.domain.check_in import CheckIn
from services.checkins.domain.known import Goal
from shared import events as contract
from shared.errors import Refused

TEMPLATES = Path(__file__).with_name("templates")
DEFAULT_LANGUAGE = "en"
_WANTED = re.compile(r"([A-Za-z]{1,8})(?:-[A-Za-z0-9-]+)?\s*(?:;\s*q=([01](?:\.\d{0,3})?))?", re.ASCII)


class Pages:
    """Renders the pages."""

    def __init__(self) -> None:
        self._environment = Environment(
            loader=FileSystemLoader(TEMPLATES), autoescape=True, undefined=StrictUndefined, trim_blocks=True
        )
        style = (TEMPLATES / "style.css").read_text().strip()
        self._environment.globals["style"] = Markup(style)  # noqa: S704 - our own file, and CSS knows no entities
        self._environment.filters["number"] = written
        self.languages = frozenset(path.name for path in TEMPLATES.iterdir() if path.is_dir())
        digest = base64.b64encode(hashlib.sha256(style.encode()).digest()).decode()
        self._headers = {
            "Cache-Control": "no-store",
            "Content-Security-Policy": f"default-src 'none'; style-src 'sha256-{digest}'; form-action 'self'; "
            "base-uri 'none'; frame-ancestors 'none'",
            # The address is a secret.
            "Referrer-Policy": "no-referrer",
            "Vary": "Accept-Language",
            "X-Robots-Tag": "noindex, nofollow",
        }

    def spoken(self, accepted: str) -> str:
        """The language of an `Accept-Language` that there are words in: the one wanted most, else English."""
        wanted: dict[str, float] = {}
        for part in accepted.split(",")[:20]:
            found = _WANTED.fullmatch(part.strip())
            if found is not None and found[1].lower() in self.languages:
                wanted.setdefault(found[1].lower(), float(found[2] or 1))
        best = max(wanted, key=lambda language: wanted[language], default=DEFAULT_LANGUAGE)
        return best if wanted.get(best, 1) > 0 else DEFAULT_LANGUAGE

    def decimal_mark(self, language: str) -> str:
        """What separates whole and fraction in numbers."""
        return str(self.phrases(language)["decimal_mark"])

    def phrases(self, language: str) -> Mapping[str, Any]:
        """The phrases of a language, by name."""
        module = self._environment.get_template(f"{language}/phrases.j2").module
        return {name: value for name, value in vars(module).items() if not name.startswith("_")}

    def form(
        self,
        language: str,
        goal: Goal,
        latest: contract.Progress | None,
        *,
        own: bool,
        filled: Mapping[str, Sequence[str]] | None = None,
        problems: Mapping[str, str] | None = None,
    ) -> Response:
        """The form, `own`: for the goal's owner; with `problems`, what was filled in and what is wrong with it."""
        if filled is None:
            filled = {"milestones": latest.milestones or []} if latest else {}
        return self._page(
            "form.html",
            422 if problems else 200,
            language,
            goal=goal,
            own=own,
            latest=latest,
            filled=filled,
            problems=problems or {},
            numbers=[(str(number), str(number)) for number in range(11)],
        )

    def logged(self, language: str, check_in: CheckIn, title: str) -> Response:
        """What was logged."""
        return self._page("logged.html", 200, language, title=title, check_in=check_in)

    def refused(self, language: str, refused: Refused) -> Response:
        """Why there is no form, in words."""
        phrase = HTTPStatus(refused.status).phrase
        response = self._page(
            "refused.html",
            refused.status,
            language,
            status=refused.status,
            phrase=phrase,
            detail=refused.detail,
        )
        if refused.retry_after is not None:
            response.headers["Retry-After"] = str(refused.retry_after)
        return response

    def _page(self, template: str, status: int, language: str, /, **values: Any) -> Response:
        text = self._environment.get_template(template).render(language=language, **values)
        return HTMLResponse(text, status, {**self._headers, "Content-Language": language})


def written(value: float, decimal_mark: str = ".") -> str:
    """A number as people write it."""
    text = str(int(value)) if value.is_integer() and abs(value) < 1e15 else repr(value)
    return text.replace(".", decimal_mark)
