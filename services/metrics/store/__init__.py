"""The store of metrics: the only package that speaks to MongoDB.

    goals        a goal's present state, and `lines`: its events with their weights
    mentorships  who takes part in a mentorship, from which day on
    diaries      a month of check-in events about one goal, or about a mentorship
    cells        sums of what counts on one `day` and was `recorded` on one day, of a program or an organization; of a
                 program also who was engaged, since an organization has the same people in its programs'
    months       the same by month and day, whenever it was recorded: what is read unless `as_of` lies back
    engaged      who was engaged in a month, whole and by day, of a program
    nudges       one document a nudge
    risks        the assessments of open goals, by the worst
    stale        of a batch, the goals whose assessment it may have changed

Cells, months and engaged are partial: each partition of each topic has its own, so that consumers never contend;
they are merged when read. Goals and mentorships are written by the goals topic alone, diaries by the check-ins topic
alone, and a mentorship's events share a partition, so these do not contend either. Of a batch `stale` gets a new
document, and `risks` has one writer.

All of it can be rebuilt from the topics: a *generation* is one such set of collections, its name before theirs.
"""

from services.metrics.store.exporting import Exporting
from services.metrics.store.folding import Folding
from services.metrics.store.generations import Generation, Generations
from services.metrics.store.reading import Store
from services.metrics.store.risks import RiskStore

__all__ = ["Exporting", "Folding", "Generation", "Generations", "RiskStore", "Store"]
