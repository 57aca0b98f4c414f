"""Every language says everything, and what people wrote is never taken for markup."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from pathlib import Path

import pytest
from jinja2 import Environment, FileSystemLoader, meta

from services.notifier.compose import TEMPLATES, Composer, Message, languages, spoken
from services.notifier.domain import goal as goals
from services.notifier.domain import mentorship as mentorships
from services.notifier.domain.goal import Goal
from services.notifier.domain.kinds import KINDS
from services.notifier.domain.moments import AtOnce
from services.notifier.domain.person import Person, Recipient, Reminder
from services.notifier.domain.reasons import World
from shared.links import Links
from tests.builders import NOW, Pair

OTHERS = sorted(languages() - {"en"})
WORDS = Environment(loader=FileSystemLoader(TEMPLATES))  # noqa: S701 - read, and never rendered
WORDS.filters["capitalize_first"] = str.capitalize
PAIR = Pair(org_id="org", mentor_id="grace", mentee_id="ada")
DUE = datetime(2026, 12, 18, 16, tzinfo=UTC)
TITLE = 'Read "seven" <papers> & more'


def texts(language: str) -> set[str]:
    folder = TEMPLATES / language
    return {str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file()}


def asked_by(template: str) -> set[str]:
    return meta.find_undeclared_variables(WORDS.parse(Path(TEMPLATES / template).read_text()))


def message(
    kind: str, language: str, to: str = "ada", name: str | None = None, due: datetime = DUE, **more: object
) -> Message:
    """A message of one reminder of that kind."""
    known = goals.evolve(
        Goal(goal_id="g", org_id="org", program_id="p", mentorship_id=PAIR.mentorship_id),
        PAIR.goal_set("g", title=TITLE, due_at=due),
        NOW,
    )
    reminder = Reminder(
        kind=kind,
        org_id="org",
        program_id=PAIR.program_id,
        mentorship_id=PAIR.mentorship_id,
        period="2026-11-09" if kind.startswith("check_in") else "1",
        moment=AtOnce(since=NOW),
        time_zone="Europe/Berlin",
        cause="GoalSet",
        cause_id="e",
        caused_at=NOW,
        goal_id=None if "expectations" in kind else "g",
        version=0,
        **more,  # type: ignore[arg-type]
    )
    recipient = Recipient(time_zone="Europe/Berlin", language=language, display_name=name, put_at=NOW)
    world = World({PAIR.mentorship_id: mentorships.begin(PAIR.started())}, {"g": known}, holdout=0)
    composer = Composer(
        Links("s" * 32), checkins_url="https://checkins.example", notifier_url="https://notifier.example"
    )
    person = Person(person_id=to, org_id="org", recipient=recipient)
    return composer.message(person, recipient, [reminder], world, {"grace": "Grace <b>"}, NOW)


def test_there_are_two_languages_at_least() -> None:
    assert {"en", "de"} <= languages()


@pytest.mark.parametrize("language", OTHERS)
class TestALanguage:
    def test_has_every_text_that_english_has(self, language: str) -> None:
        assert texts(language) == texts("en")

    def test_uses_the_same_facts(self, language: str) -> None:
        for text in sorted(texts("en")):
            assert asked_by(f"{language}/{text}") <= asked_by(f"en/{text}") | {"outside"}, text

    def test_has_every_set_phrase_and_each_is_its_own(self, language: str) -> None:
        english = vars(WORDS.get_template("en/phrases.j2").module)
        own = vars(WORDS.get_template(f"{language}/phrases.j2").module)
        names = {name for name in english if not name.startswith("_")}
        assert names == {name for name in own if not name.startswith("_")}
        for name in names:
            assert own[name] != english[name], name
            if isinstance(english[name], dict):
                assert own[name].keys() == english[name].keys(), name
            elif "%" in english[name]:
                assert own[name] % 2

    @pytest.mark.parametrize("kind", sorted(KINDS))
    def test_says_every_kind_in_its_own_words(self, language: str, kind: str) -> None:
        for to, role in (("ada", "owner"), ("grace", "counterpart"), ("carl", "coordinator")):
            english, own = (
                message(kind, each, to=to, as_role=role, asked_by="grace", says="unrealistic")
                for each in ("en", language)
            )
            said, told = set(english.text.splitlines()), set(own.text.splitlines())
            shared = {line for line in said & told if line.strip(" -") and "https://" not in line}
            assert shared == set(), f"the same in both: {shared}"
            assert own.language == language
            assert f'<html lang="{language}">' in own.html
            assert own.subject == own.text.splitlines()[2]


@pytest.mark.parametrize("language", sorted(languages()))
def test_what_people_wrote_is_text_in_html(language: str) -> None:
    told = message("goal_missed", language, to="carl", as_role="coordinator", name="<script>")
    asked = message("proposal_waiting", language, asked_by="grace")
    assert "&lt;script&gt;" in told.html
    assert "&lt;papers&gt; &amp; more" in told.html
    assert "Grace &lt;b&gt;" in asked.html
    assert not re.search(r"<script|<papers|Grace <b>", told.html + asked.html)
    assert TITLE in told.text


@pytest.mark.parametrize(
    ("wanted", "language"),
    [("de", "de"), ("de-AT", "de"), ("DE", "de"), ("xx", "en"), (None, "en"), ("*", "en")],
)
def test_who_wants_a_language_that_there_is_not_is_spoken_to_in_english(
    wanted: str | None, language: str
) -> None:
    assert spoken(wanted) == language


@pytest.mark.parametrize(
    ("due", "words"),
    [
        (datetime(2026, 12, 18, 23, tzinfo=UTC), "Friday, 18 December 2026 at 24:00"),
        (datetime(2026, 12, 18, 16, tzinfo=UTC), "Friday, 18 December 2026 at 17:00"),
    ],
)
def test_the_end_of_a_day_is_told_as_that_day_s(due: datetime, words: str) -> None:
    assert words in message("goal_due_soon", "en", due=due).text
