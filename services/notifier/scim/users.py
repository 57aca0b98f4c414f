"""The use cases of SCIM: a user is kept as it was provided, and makes, changes or forgets a recipient.

A user is stored before its recipient is; when a process dies between the two, the provider's next call on the user
mends it, since each call applies all of it.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any, TypeVar

from pydantic import ValidationError
from scim2_models import (
    Context,
    InvalidValueException,
    ListResponse,
    Meta,
    NotFoundException,
    PatchOp,
    SCIMException,
    ScimFilter,
    SearchRequest,
    UniquenessException,
)
from scim2_models import User as FullUser
from scim2_models.path.expressions import Comparison

from services.notifier.domain.person import Person
from services.notifier.domain.recipients import deleted
from services.notifier.scim.ages import aged
from services.notifier.scim.mapping import applied, person_of
from services.notifier.scim.model import MAX_RESULTS, POLICY, User
from services.notifier.scim.store import Store, Stored
from shared.aggregates import Duplicate, StaleWrite, retry_stale
from shared.clock import Clock
from shared.http.body import SYSTEM, valid_id
from shared.ids import uuid7

T = TypeVar("T")
Plain = dict[str, Any]
ChangePerson = Callable[[str, str, datetime, Callable[[Person], Person]], Awaitable[Person]]
DEFAULT_RESULTS = 100
_SCHEMA = str(FullUser.__schema__)


@dataclass(frozen=True, slots=True)
class Users:
    """Users of organizations.

    Args:
        store: keeps users.
        change_person: stores a change of a person, given organization, id and domain time.
        clock: domain time.
        base_url: where SCIM is reached.
    """

    store: Store
    change_person: ChangePerson
    clock: Clock
    base_url: str

    async def create(self, org_id: str, payload: Any) -> User:
        """Provide a user.

        Raises:
            UniquenessException: there is one of that name, or for that person.
            InvalidValueException, ValidationError: it is no user, or no person.
        """
        user = User.model_validate(payload, scim_ctx=Context.RESOURCE_CREATION_REQUEST, scim_policy=POLICY)
        now, plain = self.clock.now(), _plain(user)
        stored = Stored(uuid7(), org_id, _person_id(user), plain, aged(plain, now), now, now)
        await _unique(self.store.add(stored))
        await self._apply(stored)
        return self._shown(stored)

    async def get(self, org_id: str, id: str) -> User:
        """A user.

        Raises:
            NotFoundException: there is none of that id.
        """
        return self._shown(await self._found(org_id, id))

    async def search(self, org_id: str, request: SearchRequest[User]) -> ListResponse[User]:
        """Users that match a filter, in the order asked for, a page of them."""
        skip = request.start_index_0 or 0
        count = min(DEFAULT_RESULTS if request.count is None else request.count, MAX_RESULTS)
        if request.filter is None and request.sort_by is None:
            total, rows = await self.store.page(org_id, skip, count)
            page = [self._shown(row) for row in rows]
        else:
            wanted = request.filter
            candidates = [self._shown(stored) async for stored in self.store.some(org_id, **_keys(wanted))]
            matching = [user for user in candidates if wanted is None or wanted.match(user)]
            found = request.sort(matching)
            total, page = len(found), found[skip : skip + count]
        return ListResponse[User](
            total_results=total, start_index=skip + 1, items_per_page=len(page), resources=page
        )

    async def replace(self, org_id: str, id: str, payload: Any) -> User:
        """Replace all of a user."""

        def change(before: User) -> tuple[User, None]:
            wanted = User.model_validate(
                payload, scim_ctx=Context.RESOURCE_REPLACEMENT_REQUEST, scim_policy=POLICY
            )
            wanted.replace(before)
            return wanted, None

        return await self._change(org_id, id, change)

    async def patch(self, org_id: str, id: str, payload: Any) -> User:
        """Change parts of a user."""

        def change(before: User) -> tuple[User, Plain]:
            return _patched(before, payload), _told(payload)

        return await self._change(org_id, id, change)

    async def delete(self, org_id: str, id: str) -> None:
        """Forget a user, and the recipient that it made.

        Raises:
            NotFoundException: there is none of that id.
        """
        stored = await self._found(org_id, id)
        await self._forget(org_id, stored.person_id)
        await self.store.delete(org_id, id)

    async def _change(
        self, org_id: str, id: str, change: Callable[[User], tuple[User, Plain | None]]
    ) -> User:
        """Store a changed user; with it comes what was told of it, or None when that is all of it."""

        async def once() -> User:
            before = await self._found(org_id, id)
            user, told = change(self._shown(before))
            now, plain = self.clock.now(), _plain(user)
            ages = aged(plain, now) if told is None else aged(plain, now, before.user, before.ages, told)
            after = replace(before, person_id=_person_id(user), user=plain, ages=ages, changed_at=now)
            await _unique(self.store.change(before, after))
            if after.person_id != before.person_id:
                await self._forget(org_id, before.person_id)
            await self._apply(after)
            return self._shown(after)

        return await retry_stale(once)

    async def _found(self, org_id: str, id: str) -> Stored:
        stored = await self.store.find(org_id, id)
        if stored is None:
            raise NotFoundException(detail="There is no such user.")
        return stored

    async def _apply(self, stored: Stored) -> None:
        now = self.clock.now()

        def change(known: Person) -> Person:
            # Who was erased since the user was stored gets back no more than the user has by then.
            until = known.forgotten_up_to
            left = stored if until is None else stored.after(until)
            return known if left is None else applied(known, self._shown(left), left.ages, now)

        await self._change_person(stored.org_id, stored.person_id, now, change)

    async def _forget(self, org_id: str, person_id: str) -> None:
        await self._change_person(org_id, person_id, self.clock.now(), deleted)

    async def _change_person(
        self, org_id: str, person_id: str, now: datetime, change: Callable[[Person], Person]
    ) -> None:
        async def once() -> None:
            try:
                await self.change_person(org_id, person_id, now, change)
            except Duplicate as error:
                raise StaleWrite from error

        await retry_stale(once)

    def _shown(self, stored: Stored) -> User:
        user = User.model_validate(dict(stored.user), scim_policy=POLICY)
        user.id = stored.id
        user.meta = Meta(
            resource_type="User",
            created=stored.created_at,
            last_modified=stored.changed_at,
            location=f"{self.base_url}/Users/{stored.id}",
        )
        return user


def _keys(wanted: ScimFilter[User] | None) -> dict[str, str]:
    """What of a filter the store can find by an index: providers ask for one user by name before all they do."""
    ast = wanted.ast if wanted is not None else None
    if not isinstance(ast, Comparison) or ast.op != "eq" or not isinstance(ast.value, str):
        return {}
    name = "" if ast.attr_path.sub_attr else ast.attr_path.attr.lower()
    if name == "username":
        return {"user_name": ast.value}
    return {"person_id": ast.value} if name == "externalid" else {}


async def _unique(write: Awaitable[T]) -> T:
    try:
        return await write
    except Duplicate as error:
        taken = "userName" if error.field == "user_name" else "externalId"
        raise UniquenessException(detail=f"Another user has this {taken}.") from error


def _person_id(user: User) -> str:
    found = person_of(user)
    if not valid_id(found) or found == SYSTEM:
        raise InvalidValueException(
            detail="externalId, else userName, is the person's id: 1-128 of A-Z a-z 0-9 . _ : - ."
        )
    return found


def _patched(user: User, payload: Any) -> User:
    patch = PatchOp[User].model_validate(payload, scim_ctx=Context.RESOURCE_PATCH_REQUEST, scim_policy=POLICY)
    patch.patch(user, scim_policy=POLICY)
    return User.model_validate(_plain(user), scim_policy=POLICY)


def _told(payload: Any) -> Plain:
    """What a patch tells by itself: what it makes of a user of whom nothing is known."""
    try:
        return _plain(_patched(User(), payload))
    except (SCIMException, ValidationError):
        # It needs what it changes to be there, so what it changes is all it tells.
        return {}


def _plain(user: User) -> Plain:
    """What is kept of a user: all but what the store knows itself."""
    plain = user.model_dump(exclude_none=True)
    return {"schemas": [_SCHEMA], **{k: v for k, v in plain.items() if k not in ("id", "meta", "schemas")}}
