"""Entity tags and conditional requests (RFC 9110, section 13)."""

from __future__ import annotations

import re
from dataclasses import dataclass

from shared.errors import PreconditionFailed, PreconditionRequired

_TAG = re.compile(r'(W/)?"([\x21\x23-\x7e\x80-\xff]*)"')


def etag(version: int | str) -> str:
    """The strong entity tag of a version, quotes included."""
    return f'"{version}"'


@dataclass(frozen=True, slots=True)
class IfMatch:
    """The request's `If-Match`, checked by the use case once it knows the resource and the caller's role.

    That late, because 404 and 403 come before 428 and 412.
    """

    header: str | None = None

    def check(self, version: int | str) -> None:
        """Let pass only a request that names the present `version`, or `*`.

        Raises:
            PreconditionRequired: the header is missing (428).
            PreconditionFailed: it names other versions (412). Weak tags never match (RFC 9110, 13.1.1).
        """
        if self.header is None:
            raise PreconditionRequired("This needs If-Match with the ETag of what you saw.")
        if self.header.strip() == "*":
            return
        strong = {tag for weak, tag in _TAG.findall(self.header) if not weak}
        if str(version) not in strong:
            raise PreconditionFailed("This was changed since you read it; read it again.")


def not_modified(if_none_match: str | None, tag: str | None) -> bool:
    """Whether a GET can be answered 304: weak comparison (RFC 9110, 13.1.2)."""
    if if_none_match is None or tag is None:
        return False
    if if_none_match.strip() == "*":
        return True
    return tag.removeprefix("W/").strip('"') in {found for _, found in _TAG.findall(if_none_match)}
