"""The thin way of hot requests: taken by msgspec and answered past the framework's machinery, to the same effect.

A thin route only ever says yes. What is not surely right (no token that holds, another content, a body that msgspec
does not take) goes the ordinary way from its first byte, so that refusals, their order and their words have one place,
and OpenAPI is the ordinary route's.

    @router.post("/v1/things", scopes=[...], status_code=201, thin=Thin(command_of_bytes, things.make))
    async def log_thing(body: ThingIn, caller: Caller, idem: Idem | None) -> Answer: ...
"""

from __future__ import annotations

import re
from collections import deque
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Generic, TypeVar

import msgspec
import structlog
from starlette.types import Message, Receive, Scope, Send

from shared.errors import Refused
from shared.http.auth import ACT_AS_HEADER, Caller
from shared.http.corked import WHOLE, Whole
from shared.http.problems import expected
from shared.http.within import within
from shared.idempotency import MAX_KEY_LENGTH, Answer, Idem, idem

if TYPE_CHECKING:
    from shared.http.routing import Edge

C = TypeVar("C")
_log = structlog.get_logger("onbelay.http")

_NOT_STORABLE = re.compile(rb"\\u0000")
"""The one text that msgspec reads and that cannot be stored."""
MOST_BYTES = 64 * 1024
"""Larger bodies go the ordinary way, which bounds them."""
_ACT_AS = ACT_AS_HEADER.lower().encode()
NOSNIFF = (b"x-content-type-options", b"nosniff")
"""In every answer; `send` adds it, but not to what is answered as a whole."""
_CACHE_CONTROL = (b"cache-control", b"private, no-cache")
_CONTENT_TYPE = (b"content-type", b"application/json")
_REPLAYED = (b"idempotency-replayed", b"true")


@dataclass(frozen=True, slots=True)
class Thin(Generic[C]):
    """What a thin route takes, and what it does with it.

    `read` makes the command of a raw body; it raises a `ValueError` (msgspec's are some) or `Refused` for all that is
    not surely right, and must take nothing that the ordinary body refuses. `do` must do what the ordinary endpoint
    does.
    """

    read: Callable[[bytes], C]
    do: Callable[[Caller, C, Idem | None], Awaitable[Answer]]


Taken = tuple[Any, Caller, Idem | None]
"""What was said, by whom, and the use of the idempotency key."""


class ThinRoute:
    """A POST route of one path without parameters, that goes before the ordinary one.

    Args:
        route: the ordinary route, for whoever asks what answered.
        edge: what routes need of their application.
        scopes: any of them is needed.
        timeout_s: as the ordinary route's.
    """

    def __init__(
        self, route: Any, way: Thin[Any], edge: Edge, *, scopes: tuple[str, ...], timeout_s: float | None
    ) -> None:
        self._route = route
        self._path = route.path
        self._read = way.read
        self._do = way.do
        self._edge = edge
        self._scopes = scopes
        self._timeout_s = timeout_s

    async def take(self, scope: Scope, receive: Receive) -> tuple[Taken | None, Receive]:
        """Read the request: what it says if it is surely right, else None and a `receive` that begins anew."""
        whole = _whole(scope)
        body = whole.body if whole is not None else None
        if body is not None:
            return (await self._surely(scope, body) if len(body) <= MOST_BYTES else None), receive
        read = [await receive()]
        body = read[0].get("body", b"")
        while read[-1].get("more_body") and len(body) <= MOST_BYTES:
            read.append(await receive())
            body += read[-1].get("body", b"")
        taken: Taken | None = None
        if read[-1]["type"] == "http.request" and not read[-1].get("more_body"):
            taken = await self._surely(scope, body)
        return taken, receive if taken is not None else _again(read, receive)

    async def _surely(self, scope: Scope, body: bytes) -> Taken | None:
        authorization = act_as = key = None
        for name, value in scope["headers"]:
            # Of one that comes twice the first counts, as everywhere.
            if name == b"authorization":
                authorization = value if authorization is None else authorization
            elif name == b"idempotency-key":
                key = value if key is None else key
            elif name == _ACT_AS:
                act_as = value if act_as is None else act_as
        if authorization is None:
            return None
        return await self._taken(body, authorization, act_as, key)

    async def answer(self, taken: Taken, scope: Scope, receive: Receive, send: Send) -> None:
        """Do what was said, and answer."""
        scope["route"] = self._route
        said, caller, used = taken
        edge = self._edge
        try:
            async with (
                edge.turns.take(used.k if used else None),
                within(self._timeout_s),
                edge.clock.deciding(),
            ):
                answer = await self._do(caller, said, used)
        except Exception as error:
            response = expected(error)
            if response is None:
                raise
            await response(scope, receive, send)
            return
        await _answer(answer, _whole(scope), send)

    async def _taken(
        self, body: bytes, authorization: bytes, act_as: bytes | None, key: bytes | None
    ) -> Taken | None:
        """What was said, by whom, and the use of the idempotency key; None: not surely right."""
        try:
            if key is not None and not 1 <= len(key) <= MAX_KEY_LENGTH:
                return None
            caller = await self._edge.authenticator.caller(
                authorization.decode("latin-1"),
                act_as.decode("latin-1") if act_as is not None else None,
                self._scopes,
            )
            if _NOT_STORABLE.search(body):
                return None
            said = self._read(body)
        except (Refused, ValueError):
            return None
        except Exception:
            # A bug: the ordinary way answers for it, and this one says that it met it.
            _log.exception("thin_way_failed", route=self._path)
            return None
        if key is None:
            return said, caller, None
        value = msgspec.json.decode(body)
        used = idem(
            org_id=caller.org_id,
            person_id=caller.person_id,
            method="POST",
            path=self._path,
            key=key.decode("latin-1"),
            body=value,
        )
        return said, caller, used


def _again(read: list[Message], receive: Receive) -> Receive:
    """`receive` as if what was `read` had not been yet."""
    waiting = deque(read)

    async def again() -> Message:
        return waiting.popleft() if waiting else await receive()

    return again


def _whole(scope: Scope) -> Whole | None:
    """The request as a whole, where the server has it."""
    extensions = scope.get("extensions")
    return extensions.get(WHOLE) if extensions else None


def answered_whole(scope: Scope) -> int:
    """The status of an answer that was written as a whole, without `send`; 0: none was."""
    whole = _whole(scope)
    return whole.status if whole is not None else 0


async def _answer(answer: Answer, whole: Whole | None, send: Send) -> None:
    headers = [_CACHE_CONTROL]
    headers += [
        (name.lower().encode("latin-1"), value.encode("latin-1")) for name, value in answer.headers.items()
    ]
    if answer.replayed:
        headers.append(_REPLAYED)
    content = b""
    if answer.body is not None:
        content = msgspec.json.encode(answer.body)
        headers.append(_CONTENT_TYPE)
    headers.append((b"content-length", b"%d" % len(content)))
    if whole is not None and whole.answer(answer.status, (*headers, NOSNIFF), content):
        return
    await send({"type": "http.response.start", "status": answer.status, "headers": headers})
    await send({"type": "http.response.body", "body": content})
