"""What the goals service keeps in MongoDB, and the only package that speaks to it.

    mentorships   aggregates: the state of `domain.mentorship`; `people` for lists
    goals         aggregates: the state of `domain.goal`, and beside it
                      due_at     by its present terms, for lists
                      decide_at  when the deadlines' worker has to decide it; absent: not as things stand
                      part       the partition of its events, whose watermark has to pass `decide_at`
                      track      how its progress goes on from the last write (`evidence.track`)
                      story      for each of `events` who did it: [{by, at, reason?}]
                      writers    who has left private words here, for erasures
    expectations  one document a version; its events are the mentorship's
    check_ins     one document each, never changed but for its acknowledgement; whoever adds to a goal's
                  check-ins writes the goal too, so that a decision from the whole of them is guarded
    erasures      aggregates: who was erased; `pending` until the words are gone

No pause, resumption or end slips in between a decision and the mentorship it was made by. These write every
active goal of their mentorship, and so exclude whatever else is written to one, a miss above all. Who writes a
goal that is not active yet, or no more, writes the mentorship as well (`touch`).
"""

from __future__ import annotations

from services.goals.store.base import Kept
from services.goals.store.erasures import Erasure, Erasures
from services.goals.store.expectations import Versions
from services.goals.store.goals import Goals, steps
from services.goals.store.mentorships import Mentorships

__all__ = ["Erasure", "Kept", "Store", "steps"]


class Store(Mentorships, Goals, Versions, Erasures):
    """What the use cases, the fold and the workers ask of the collections."""
