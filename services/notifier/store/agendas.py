"""The fold: what is known of mentorships and goals, and what events put on agendas."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime
from typing import Any

import msgspec
from pymongo import ReplaceOne, UpdateOne

from services.notifier.domain.goal import Goal
from services.notifier.domain.mentorship import Mentorship
from services.notifier.domain.person import Person, Reminder
from services.notifier.domain.recipients import erased
from services.notifier.domain.replica import OF_ALL_GOALS, Replica, put
from services.notifier.store.documents import Documents, person_key, plain, read_person
from shared.intake import Batch
from shared.mongo import Collection, Doc, Session


class Agendas(Documents):
    """For the intake; all is written in its transaction."""

    async def load(self, batch: Batch, session: Session) -> Replica:
        """What is known of the mentorships and goals that a batch is about."""
        mentorship_ids = {
            id_ for r in batch.records if (id_ := getattr(r.data, "mentorship_id", None)) is not None
        }
        goal_ids = {id_ for r in batch.records if (id_ := getattr(r.data, "goal_id", None)) is not None}
        whole = [r.data.mentorship_id for r in batch.records if isinstance(r.data, OF_ALL_GOALS)]
        mentorships = self._mentorships.find({"_id": {"$in": list(mentorship_ids)}}, session=session)
        wanted: Doc = {"_id": {"$in": list(goal_ids)}}
        if whole:
            wanted = {"$or": [wanted, {"mentorship_id": {"$in": whole}}]}
        goals = self._goals.find(wanted, session=session)
        replica = Replica()
        async for document in mentorships:
            replica.mentorships[document["_id"]] = msgspec.convert(document, Mentorship)
        async for document in goals:
            replica.goals[document["_id"]] = msgspec.convert(document, Goal)
        return replica

    async def save(self, replica: Replica, batch: Batch, now: datetime, session: Session) -> None:
        """Store what a batch has changed, and put the reminders on their agendas."""
        await _replace_all(
            self._mentorships, (replica.mentorships[id_] for id_ in replica.changed_mentorships),
            "mentorship_id", session,
        )  # fmt: skip
        await _replace_all(
            self._goals, (replica.goals[id_] for id_ in replica.changed_goals), "goal_id", session
        )
        if replica.acknowledged:
            org_of = {r.data.checkin_id: r.org_id for r in batch.records if r.type == "CheckInAcknowledged"}
            await self._acknowledgements.bulk_write(
                [
                    UpdateOne(
                        {"_id": f"{checkin_id}|{person_id}"},
                        {"$setOnInsert": {"org_id": org_of[checkin_id]}},
                        upsert=True,
                    )
                    for checkin_id, person_id in replica.acknowledged
                ],
                ordered=False,
                session=session,
            )
        await self._save_agendas(replica, now, session)

    async def _save_agendas(self, replica: Replica, now: datetime, session: Session) -> None:
        added: dict[tuple[str, str], list[Reminder]] = {}
        for addressed in replica.addressed:
            who = (addressed.reminder.org_id, addressed.person_id)
            added.setdefault(who, []).append(addressed.reminder)
        people = {person_key(*who): who for who in {*added, *replica.erased}}
        if not people:
            return
        documents = {
            document["_id"]: document
            async for document in self._people.collection.find(
                {"_id": {"$in": list(people)}}, session=session
            )
        }
        changes = []
        for key, (org_id, person_id) in people.items():
            before = documents.get(key)
            known = Person(person_id=person_id, org_id=org_id) if before is None else read_person(before)
            after = put(known, added.get((org_id, person_id), ()))
            unset: tuple[str, ...] = ()
            at = replica.erased.get((org_id, person_id))
            if at is not None:
                after = erased(after, at)
                unset = ("idem",)
            if before is None or after != known or unset:
                changes.append(self._write_person(before, after, now, unset=unset))
        if changes:
            await self._people.commit(*changes, session=session)


async def _replace_all(
    collection: Collection, structs: Iterable[Any], id_field: str, session: Session
) -> None:
    documents = [{"_id": getattr(struct, id_field), **plain(struct)} for struct in structs]
    if documents:
        await collection.bulk_write(
            [ReplaceOne({"_id": document["_id"]}, document, upsert=True) for document in documents],
            ordered=False,
            session=session,
        )
