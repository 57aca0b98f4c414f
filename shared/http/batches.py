"""Batches: many POSTs in one, each with the outcome that it would have had alone."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from typing import Annotated, Any, ClassVar, TypeVar

from pydantic import Field, ValidationError
from pymongo.errors import PyMongoError

from shared.errors import FieldError, Forbidden, Refused, Unavailable, Unprocessable
from shared.http.auth import ACT_AS, Caller
from shared.http.body import SYSTEM, Body, require_storable, valid_id
from shared.http.problems import invalid, pointer, problem_body
from shared.http.routing import REQUEST_S, Edge, Router
from shared.http.within import within
from shared.idempotency import MAX_KEY_LENGTH, Answer, Idem, idem, without

B = TypeVar("B", bound=Body)
One = Callable[[Caller, B, Idem, bool], Awaitable[Answer]]
"""Does one item: `(caller, body, idem, dry_run)`; with `dry_run` it answers alike and stores nothing."""

MAX_ITEMS = 500


class BatchIn(Body):
    """`{items: [{key, act_as?, ...}], dry_run?}`; the rest of an item is the body of a single POST."""

    items_apart: ClassVar[bool] = True

    items: Annotated[list[dict[str, Any]], Field(min_length=1, max_length=MAX_ITEMS)]
    dry_run: bool = False


def add_batch(
    router: Router,
    path: str,
    *,
    scopes: Sequence[str],
    model: type[B],
    one: One[B],
    id_field: str,
    summary: str | None = None,
) -> None:
    """Add `POST <path>/batch` for the single `POST <path>`, which takes `model` and allows `scopes`.

    Items run one after another, so that of two that exclude each other the first wins, each inside the
    clock's gate. Each has `key` as its idempotency key, the same as that of a single POST: after a failure
    the batch can be sent again as it is.

    Example:
        add_batch(router, "/v1/goals", scopes=[PARTICIPATE], model=GoalIn, one=set_one, id_field="goal_id")
    """

    @router.post(
        f"{path}/batch",
        # A token that may but act as people names one per item.
        scopes=list(dict.fromkeys([*scopes, ACT_AS])),
        gated=False,
        timeout_s=None,
        summary=summary or f"Many of POST {path}",
    )
    async def batch(body: BatchIn, caller: Caller, edge: Edge) -> dict[str, Any]:
        """Each item with the status that it would have got alone; `key` is its idempotency key."""
        return await run_batch(
            edge, caller, body, path=path, scopes=scopes, model=model, one=one, id_field=id_field
        )


async def run_batch(
    edge: Edge,
    caller: Caller,
    batch: BatchIn,
    *,
    path: str,
    scopes: Sequence[str],
    model: type[B],
    one: One[B],
    id_field: str,
) -> dict[str, Any]:
    """The answer to a batch: `{results: [{key, status, <id_field>?, problem?}]}`, in the order of the items.

    Once the store is away the remaining items are not tried: each would wait in vain.

    Raises:
        Unprocessable: an item has no key of 1-255 characters.
    """
    errors = [
        FieldError("A key of 1 to 255 characters.", pointer=pointer("items", index, "key"))
        for index, item in enumerate(batch.items)
        if not (isinstance(item.get("key"), str) and 1 <= len(item["key"]) <= MAX_KEY_LENGTH)
    ]
    if errors:
        raise Unprocessable("Every item needs a key.", errors=errors)
    results: list[dict[str, Any]] = []
    away: Refused | None = None
    for item in batch.items:
        result: dict[str, Any] = {"key": item["key"]}
        try:
            if away is not None:
                raise away
            acting = _acting(caller, item, scopes)
            alone = without(item, "key", "act_as")
            require_storable(alone)
            try:
                body = model.model_validate(alone)
            except ValidationError as error:
                raise invalid(error, alone) from None
            named = idem(
                org_id=acting.org_id,
                person_id=acting.person_id,
                method="POST",
                path=path,
                key=item["key"],
                body=alone,
            )
            async with edge.turns.take(named.k), within(REQUEST_S), edge.clock.deciding():
                answer = await one(acting, body, named, batch.dry_run)
            result["status"] = answer.status
            if answer.body is not None and id_field in answer.body:
                result[id_field] = answer.body[id_field]
        except Refused as refused:
            _refuse(result, refused)
        except (PyMongoError, TimeoutError):
            away = Unavailable("The store does not answer just now; try again soon.", retry_after=1)
            _refuse(result, away)
        results.append(result)
    return {"results": results}


def _acting(caller: Caller, item: dict[str, Any], scopes: Sequence[str]) -> Caller:
    person = item.get("act_as")
    if person is not None:
        if not caller.may_act_as:
            raise Forbidden(f"act_as needs the scope {ACT_AS}.")
        caller = caller.acting_as(person)
    caller.require(scopes)
    if person is not None and (not isinstance(person, str) or not valid_id(person) or person == SYSTEM):
        raise Unprocessable.field("/act_as", "A person's id: 1-128 of A-Z a-z 0-9 . _ : - .")
    return caller


def _refuse(result: dict[str, Any], refused: Refused) -> None:
    result["status"] = refused.status
    result["problem"] = problem_body(refused.status, refused.detail, refused.errors)
