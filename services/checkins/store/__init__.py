"""The checkins database: the only part of the service that speaks to MongoDB.

    checkins      the aggregates `checkin/<id>`: a check-in, its acknowledgements, its events and kept answers
    cadences      the aggregates `cadence/<goal_id>`: the lapses of a goal, and when to look at it next
    mentorships   the replica of goals' mentorships, by id
    goals         the replica of its goals, by id
    erasures      people whose private words are to be removed

An aggregate's document is described in `shared.aggregates`; here is what is added. `checkins`: the fields of
`domain.check_in.CheckIn`, `partition` (of its events), `number` (1 to 1,000 on its goal, unique there) and `link` (the
hash of the one-tap token it came by, unique). `cadences`: `partition`, `next_at` (absent: nothing is expected) and
`lapsed` {period, expected_by}, the last one.
"""

from services.checkins.store.cadences import Cadences, StoredCadence
from services.checkins.store.check_ins import CheckIns, Filters, Stored
from services.checkins.store.cluster import Cluster
from services.checkins.store.erasures import Erasure, Erasures
from services.checkins.store.replica import Known, Replica

__all__ = [
    "Cadences",
    "CheckIns",
    "Cluster",
    "Erasure",
    "Erasures",
    "Filters",
    "Known",
    "Replica",
    "Stored",
    "StoredCadence",
]
