"""The pages behind a one-tap link: every language says all of it, and each reader is spoken to in theirs."""

from __future__ import annotations

from typing import Any, get_args

import pytest

from services.checkins.domain.form import Problem
from services.checkins.pages import Pages, written

PAGES = Pages()
ENGLISH = PAGES.phrases("en")


def names(value: Any) -> Any:
    """The names of phrases, of those within too, and the places for values in each."""
    if isinstance(value, dict):
        return {name: names(each) for name, each in value.items()}
    return [place for place in ("%s", "%d") for _ in range(str(value).count(place))]


@pytest.mark.parametrize("language", sorted(PAGES.languages))
class TestLanguages:
    def test_each_says_all_of_it_with_the_same_places_for_values(self, language: str) -> None:
        said = dict(PAGES.phrases(language))
        own = {status: text for status, text in said["details"].items() if status not in ENGLISH["details"]}
        said["details"] = {status: said["details"][status] for status in ENGLISH["details"]}
        assert names(said) == names(dict(ENGLISH))
        # What a refusal says is English: another language has words of its own for every heading.
        assert language == "en" or said["headings"].keys() == {*ENGLISH["details"], *own}

    def test_each_has_words_for_every_mistake(self, language: str) -> None:
        assert PAGES.phrases(language)["problems"].keys() == {*get_args(Problem), "milestone"}

    def test_each_names_its_decimal_mark(self, language: str) -> None:
        assert PAGES.decimal_mark(language) in (".", ",")


@pytest.mark.parametrize(
    ("accepted", "language"),
    [
        ("", "en"),
        ("de", "de"),
        ("DE-at", "de"),
        ("fr, de;q=0.4, en;q=0.3", "de"),
        ("en-GB, de;q=0.9", "en"),
        ("de;q=0.2, en;q=0.8", "en"),
        ("de;q=0", "en"),
        ("../../etc/passwd", "en"),
        ("*", "en"),
        (", ;q=, de;q=x", "en"),
    ],
)
def test_the_language_wanted_most_is_spoken_where_there_are_words_in_it(accepted: str, language: str) -> None:
    assert PAGES.spoken(accepted) == language


@pytest.mark.parametrize(
    ("value", "text"), [(7.0, "7"), (-2.5, "-2,5"), (0.1, "0,1"), (1e300, "1e+300"), (123456.0, "123456")]
)
def test_numbers_are_written_as_people_do(value: float, text: str) -> None:
    assert written(value, ",") == text
