"""`/v1/recipients`: how, when and how often a person wants to be reminded, and when not."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import datetime
from typing import Annotated, Any, Literal

import msgspec
from pydantic import AfterValidator, ConfigDict, Field, StringConstraints

from services.notifier.domain.person import (
    EVERYWHERE,
    WEEKDAYS,
    Absence,
    Channel,
    Person,
    Recipient,
)
from services.notifier.domain.recipients import (
    absent,
    deleted,
    provided,
    returned,
    snoozed,
    woken,
)
from services.notifier.store import Store
from services.notifier.targets import Targets, mail_address
from shared.aggregates import Duplicate, StaleWrite, retry_stale
from shared.clock import Clock
from shared.errors import FieldError, Forbidden, NotFound, Unprocessable
from shared.http import (
    PARTICIPATE,
    RECIPIENTS,
    Answer,
    Body,
    Caller,
    Day,
    Id,
    Idem,
    Instant,
    PersonId,
    Reply,
    Router,
    TimeZone,
    Title,
    etag,
)
from shared.ids import uuid7
from shared.time import format_instant

MAX_CHANNELS = 5
MAX_ABSENCES = 100
MAX_SNOOZES = 200
SCOPES = (PARTICIPATE, RECIPIENTS)

Wall = Annotated[str, StringConstraints(pattern=r"^(?:(?:[01]\d|2[0-3]):[0-5]\d|24:00)$")]
Weekday = Literal["mon", "tue", "wed", "thu", "fri", "sat", "sun"]
Language = Annotated[str, StringConstraints(pattern=r"^[A-Za-z]{2,3}(?:-[A-Za-z0-9]{2,8})*$", max_length=35)]


class EmailIn(Body):
    """Mail."""

    kind: Literal["email"]
    address: Annotated[str, AfterValidator(mail_address)]


class ChatIn(Body):
    """A chat's incoming webhook."""

    kind: Literal["chat"]
    url: str


class QuietHoursIn(Body):
    """Wall times in the recipient's zone, over midnight if `from` is the later; none if both are the same."""

    model_config = ConfigDict(populate_by_name=True)

    start: Wall = Field(alias="from")
    end: Wall = Field(alias="to")


class RecipientIn(Body):
    """All of what a person chose: what is left out has its default."""

    time_zone: TimeZone
    channels: Annotated[
        list[Annotated[EmailIn | ChatIn, Field(discriminator="kind")]], Field(max_length=MAX_CHANNELS)
    ]
    quiet_hours: QuietHoursIn | None = None
    workdays: Annotated[list[Weekday], Field(min_length=1, max_length=7)] | None = None
    daily_budget: Annotated[int, Field(ge=0, le=20)] = 3
    delivery: Literal["at_once", "daily"] = "at_once"
    help_any_time: bool = False
    language: Language | None = None
    display_name: Title | None = None


class SnoozeIn(Body):
    """Nothing until then, about one goal or at all."""

    until: Instant
    goal_id: Id | None = None


class AbsenceIn(Body):
    """Away from one date to another, both included."""

    model_config = ConfigDict(populate_by_name=True)

    first: Day = Field(alias="from")
    last: Day = Field(alias="to")


@dataclass(frozen=True, slots=True)
class Recipients:
    """The use cases.

    Args:
        store: keeps people.
        clock: domain time.
        targets: where chats may be.
        calendar_url: where the calendar of an organization's person is.
        forget: drops what an identity provider told of an organization's person.
    """

    store: Store
    clock: Clock
    targets: Targets
    calendar_url: Callable[[str, str], str]
    forget: Callable[[str, str], Awaitable[None]]

    async def put(self, caller: Caller, person_id: str, body: RecipientIn) -> Answer:
        """Provide a person anew, or replace what they chose."""
        _allowed(caller, person_id)
        wanted = self._recipient(body)
        after = await self._change(caller, person_id, lambda known: provided(known, wanted))
        return _answer(after)

    async def get(self, caller: Caller, person_id: str) -> Answer:
        """What the person chose."""
        _allowed(caller, person_id)
        answer = _answer(_known(await self.store.person(caller.org_id, person_id)))
        calendar = {"calendar_url": self.calendar_url(caller.org_id, person_id)}
        return msgspec.structs.replace(answer, body={**(answer.body or {}), **calendar})

    async def delete(self, caller: Caller, person_id: str) -> None:
        """Forget a person's contact data and choices."""
        _allowed(caller, person_id)
        await self._change(caller, person_id, lambda known: deleted(_known(known)))
        await self.forget(caller.org_id, person_id)

    async def snooze(self, caller: Caller, person_id: str, body: SnoozeIn, idem: Idem | None) -> Answer:
        """Give a person quiet until an instant."""
        _allowed(caller, person_id)
        now = self.clock.now()

        def change(known: Person) -> Person:
            _known(known)
            if body.until <= now:
                raise Unprocessable.field("/until", "An instant ahead.")
            found = snoozed(known, body.until, body.goal_id, now)
            if len(found.snoozes) > MAX_SNOOZES:
                raise Unprocessable.field("/goal_id", f"At most {MAX_SNOOZES} goals are snoozed at a time.")
            return found

        return await self._once(
            caller, person_id, change, idem, Answer(200, _snooze(body.until, body.goal_id))
        )

    async def wake(self, caller: Caller, person_id: str) -> None:
        """End every snooze of a person."""
        _allowed(caller, person_id)
        await self._change(caller, person_id, lambda known: woken(_known(known)))

    async def absence(self, caller: Caller, person_id: str, body: AbsenceIn, idem: Idem | None) -> Answer:
        """Note that a person is away."""
        _allowed(caller, person_id)
        made = Absence(absence_id=uuid7(), first=body.first, last=body.last)

        def change(known: Person) -> Person:
            _known(known)
            found = absent(known, made, self.clock.now())
            if len(found.absences) > MAX_ABSENCES:
                raise Unprocessable(f"At most {MAX_ABSENCES} absences are kept.")
            return found

        location = f"/v1/recipients/{person_id}/absences/{made.absence_id}"
        answer = Answer(201, _absence(made), {"Location": location})
        return await self._once(caller, person_id, change, idem, answer)

    async def end_absence(self, caller: Caller, person_id: str, absence_id: str) -> None:
        """Take an absence back."""
        _allowed(caller, person_id)

        def change(known: Person) -> Person:
            if absence_id not in {absence.absence_id for absence in _known(known).absences}:
                raise NotFound("There is no such absence.")
            return returned(known, absence_id)

        await self._change(caller, person_id, change)

    async def _change(self, caller: Caller, person_id: str, change: Callable[[Person], Person]) -> Person:
        async def once() -> Person:
            try:
                return await self.store.change_person(caller.org_id, person_id, self.clock.now(), change)
            except Duplicate as error:
                raise StaleWrite from error

        return await retry_stale(once)

    async def _once(
        self,
        caller: Caller,
        person_id: str,
        change: Callable[[Person], Person],
        idem: Idem | None,
        answer: Answer,
    ) -> Answer:
        async def once() -> Answer:
            now = self.clock.now()
            kept = await self.store.replay(idem, now)
            if kept is not None:
                return kept
            try:
                await self.store.change_person(
                    caller.org_id, person_id, now, change, idem=idem, answer=answer
                )
            except Duplicate as error:
                raise StaleWrite from error
            return answer

        return await retry_stale(once)

    def _recipient(self, body: RecipientIn) -> Recipient:
        quiet = body.quiet_hours
        chosen: dict[str, Any] = {} if quiet is None else {"quiet_from": quiet.start, "quiet_to": quiet.end}
        if body.workdays is not None:
            chosen["workdays"] = tuple(day for day in WEEKDAYS if day in body.workdays)
        made = Recipient(
            time_zone=body.time_zone,
            channels=tuple(self._channel(index, channel) for index, channel in enumerate(body.channels)),
            daily_budget=body.daily_budget,
            delivery=body.delivery,
            help_any_time=body.help_any_time,
            language=body.language,
            display_name=body.display_name,
            put_at=self.clock.now(),
            **chosen,
        )
        if not made.leaves_time:
            raise Unprocessable.field("/quiet_hours", "Quiet hours that leave some time of the day.")
        return made

    def _channel(self, index: int, channel: EmailIn | ChatIn) -> Channel:
        if isinstance(channel, EmailIn):
            return Channel(kind="email", address=channel.address)
        try:
            return Channel(kind="chat", url=self.targets.url(channel.url))
        except ValueError as error:
            raise Unprocessable.field(f"/channels/{index}/url", str(error)) from error


def routes(recipients: Recipients) -> Router:
    """The routes of recipients."""
    router = Router(tags=["recipients"])

    @router.put("/v1/recipients/{person_id}", scopes=SCOPES)
    async def put_recipient(person_id: PersonId, body: RecipientIn, caller: Caller) -> Reply:
        """Say how a person is reminded; replaces all of what was said before."""
        return await recipients.put(caller, person_id, body)

    @router.get("/v1/recipients/{person_id}", scopes=SCOPES)
    async def get_recipient(person_id: PersonId, caller: Caller) -> Reply:
        """How a person is reminded."""
        return await recipients.get(caller, person_id)

    @router.delete("/v1/recipients/{person_id}", scopes=SCOPES)
    async def delete_recipient(person_id: PersonId, caller: Caller) -> None:
        """Forget how a person is reminded: nothing is sent to them any more."""
        await recipients.delete(caller, person_id)

    @router.post("/v1/recipients/{person_id}/snooze", scopes=SCOPES)
    async def snooze(person_id: PersonId, body: SnoozeIn, caller: Caller, idem: Idem | None) -> Reply:
        """Nothing until then, about one goal or at all."""
        return await recipients.snooze(caller, person_id, body, idem)

    @router.delete("/v1/recipients/{person_id}/snooze", scopes=SCOPES)
    async def end_snooze(person_id: PersonId, caller: Caller) -> None:
        """End every snooze."""
        await recipients.wake(caller, person_id)

    @router.post("/v1/recipients/{person_id}/absences", scopes=SCOPES, status_code=201)
    async def add_absence(person_id: PersonId, body: AbsenceIn, caller: Caller, idem: Idem | None) -> Reply:
        """Away from one date to another, both included."""
        if body.last < body.first:
            detail = "Not before `from`."
            raise Unprocessable(detail, errors=[FieldError(detail, pointer="/to")])
        return await recipients.absence(caller, person_id, body, idem)

    @router.delete("/v1/recipients/{person_id}/absences/{absence_id}", scopes=SCOPES)
    async def end_absence(person_id: PersonId, absence_id: Id, caller: Caller) -> None:
        """Take an absence back."""
        await recipients.end_absence(caller, person_id, absence_id)

    return router


def _allowed(caller: Caller, person_id: str) -> None:
    if not caller.has(RECIPIENTS) and caller.person_id != person_id:
        raise Forbidden(f"Another person's preferences need the scope {RECIPIENTS}.")


def _known(person: Person | None) -> Person:
    if person is None or person.recipient is None:
        raise NotFound("There is no such recipient.")
    return person


def _answer(person: Person) -> Answer:
    recipient = _known(person).recipient
    assert recipient is not None  # noqa: S101 - narrows; `_known` has looked
    body: dict[str, Any] = {
        "person_id": person.person_id,
        "time_zone": recipient.time_zone,
        "channels": [msgspec.to_builtins(channel) for channel in recipient.channels],
        "quiet_hours": {"from": recipient.quiet_from, "to": recipient.quiet_to},
        "workdays": list(recipient.workdays),
        "daily_budget": recipient.daily_budget,
        "delivery": recipient.delivery,
        "help_any_time": recipient.help_any_time,
        "snoozes": [
            _snooze(until, None if goal_id == EVERYWHERE else goal_id)
            for goal_id, until in person.snoozes.items()
        ],
        "absences": [_absence(absence) for absence in person.absences],
    }
    for name in ("language", "display_name"):
        value = getattr(recipient, name)
        if value is not None:
            body[name] = value
    return Answer(200, body, {"ETag": etag(recipient.version)})


def _snooze(until: datetime, goal_id: str | None) -> dict[str, Any]:
    shown = {"until": format_instant(until)}
    return shown if goal_id is None else {**shown, "goal_id": goal_id}


def _absence(absence: Absence) -> dict[str, Any]:
    return {
        "absence_id": absence.absence_id,
        "from": absence.first.isoformat(),
        "to": absence.last.isoformat(),
    }
