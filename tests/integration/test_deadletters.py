from __future__ import annotations

import json
from collections.abc import AsyncIterator

import pytest

from deploy import deadletters
from shared import events as contract
from tests.builders import Pair, record
from tests.integration.test_log import Engines, Log, all_once, opened

pytestmark = pytest.mark.engines


@pytest.fixture
async def log(engines: Engines) -> AsyncIterator[Log]:
    async with opened(engines) as made:
        yield made


class TestDeadLetters:
    async def test_they_are_listed_with_reason_and_place_and_without_content(self, log: Log) -> None:
        pair = Pair()
        log.run(await log.intake())
        await log.publish(record(pair.started(), data={"mentor_id": 7, "planted": "words"}))
        await log.read("dead-letters", 1)
        (letter,) = await deadletters.read(log.kafka, log.prefix)
        told = json.loads(letter.shown())
        assert told["consumer"] == "metrics"
        assert told["reason"].startswith("schema: ")
        assert told["topic"] == log.prefix + contract.TOPICS["goals"]
        assert told["ce_subject"] == f"mentorship/{pair.mentorship_id}"
        assert "planted" not in letter.shown()

    async def test_replayed_one_is_taken_in_once_its_reader_can_and_what_waited_follows(
        self, log: Log
    ) -> None:
        """A reader that cannot read what has come is mended, and the letters are published once more."""
        pair = Pair()
        first, second = record(pair.started(), sequence=1), record(pair.started(), sequence=2)
        running = log.run(await log.intake())
        # Refused for a header that the mended reader (here: the record as it should be) has no quarrel with.
        await log.publish(first.with_header("ce_specversion", b"2.0"), second)
        await log.read("dead-letters", 1)
        await log.crash(running)
        log.run(await log.intake())
        (letter,) = await deadletters.read(log.kafka, log.prefix)
        assert (letter.key, letter.value) == (first.key, first.value)
        mended = deadletters.DeadLetter(
            letter.offset, letter.consumer, letter.reason, letter.failed_at, letter.topic, letter.partition,
            letter.original_offset, letter.key, letter.value, tuple(first.headers),
        )  # fmt: skip
        assert await deadletters.replay(log.kafka, [mended, mended]) == 1
        await all_once(log.counts, [first, second])

    async def test_they_are_chosen_by_consumer_reason_and_number(self, log: Log) -> None:
        log.run(await log.intake())
        pair = Pair()
        whole = record(pair.started())
        await log.publish(whole.without("ce_time"), record(pair.started(), data={"mentor_id": 7}))
        await log.read("dead-letters", 2)
        letters = await deadletters.read(log.kafka, log.prefix)
        assert {letter.offset for letter in letters} == {0, 1}
        assert [each for each in letters if deadletters.Selection(consumer="goals").holds(each)] == []
        (schema,) = [each for each in letters if deadletters.Selection(reason="schema").holds(each)]
        numbered = deadletters.Selection(dead_letters=frozenset({schema.offset}))
        assert [each for each in letters if numbered.holds(each)] == [schema]
