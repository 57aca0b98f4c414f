"""Whole histories that come of a number: the same each time, and many in little time."""

from __future__ import annotations

from datetime import date, datetime, timedelta

from tests.model.histories import Drawn, Seeded
from tests.model.machine import BEGINNINGS
from tests.model.pair import Pair, Sent

WHAT = ("do",) * 6 + ("pass",) * 3 + ("arrive",) * 3 + ("again", "decide", "lose", "replay")


def play(seed: int, steps: int) -> Pair:
    """Play the history of a seed on both sides, and compare them all the way.

    Raises:
        AssertionError: they differ; it tells the seed, and the history up to there.
    """
    notes: list[str] = []
    chance = Seeded(seed)
    begin = chance.one_of(BEGINNINGS)
    pair = Pair(begin, notes.append)
    drawn = Drawn(chance, pair.model)
    try:
        for _ in range(steps):
            _go_on(pair, chance, drawn)
            pair.holds()
        pair.all_arrives()
        pair.decides()
        pair.holds()
        pair.counts(*_window(pair, chance, begin))
    except AssertionError as error:
        told = "\n".join(notes)
        raise AssertionError(f"seed {seed}, in {steps} steps:\n{told}\n{error}") from error
    return pair


def _go_on(pair: Pair, chance: Seeded, drawn: Drawn) -> None:
    what = chance.one_of(WHAT)
    check_ins = [each for each in pair.sent if each.by is None]
    if what == "do":
        pair.take(drawn.any(pair.now))
    elif what == "arrive" and pair.sent:
        pair.arrives(_next(pair, chance))
    elif what == "again" and pair.taken_in:
        assert pair.arrives(chance.one_of(pair.taken_in)) == [], "what came again changed something"
    elif what == "lose" and check_ins and chance.number(1, 4) == 1:
        pair.loses(chance.one_of(check_ins))
    elif what == "replay" and pair.lost:
        pair.arrives(chance.one_of(pair.lost))
    elif what == "pass":
        pair.passes(drawn.later(pair.now, pair.lapsing()))
    else:
        pair.decides()


def _next(pair: Pair, chance: Seeded) -> Sent:
    """Across subjects in any order; what is of one check-in comes in its own."""
    chosen = chance.one_of(pair.sent)
    return next(each for each in pair.sent if each.check_in == chosen.check_in)


def _window(pair: Pair, chance: Seeded, begin: datetime) -> tuple[date, date, date]:
    """Mostly all of it, as known in the end; sometimes a part, as known by then."""
    days = (pair.now - begin).days
    first = begin.date() + timedelta(days=chance.one_of((-8, -8, 0, days // 3)))
    last = pair.now.date() - timedelta(days=chance.one_of((0, 0, 1, days // 3)))
    as_of = pair.now.date() - timedelta(days=chance.one_of((0, 0, 1, days // 2)))
    return first, max(first, last), as_of
