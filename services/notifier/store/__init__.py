"""The notifier's documents in MongoDB. Nothing else of it speaks to the store.

    people            one per (organization, person): contact preferences, agenda, `next_at`, and the worker's lease
    mentorships       what is known of them, folded from events
    goals             the same
    acknowledgements  who acknowledged which check-in
    nudges            the ledger: one aggregate per nudge, with its event

Contact preferences and agenda are one document, so that no change of one can miss the other. `next_at` and all
other instants of a person are domain time; a lease and `retry_at` are by the server's real clock.
"""

from __future__ import annotations

from services.notifier.store.agendas import Agendas
from services.notifier.store.attending import Attending, Claim, LeaseLost
from services.notifier.store.ledger import Ledger
from services.notifier.store.recipients import Recipients

__all__ = ["Claim", "LeaseLost", "Store"]


class Store(Recipients, Agendas, Attending, Ledger):
    """What requests, the intake, the worker and the ledger's readers ask of the documents."""
