"""The words of a message: what is due to a person, in their language, as text and as HTML.

Layouts lie in `templates/`: `subject.txt`, `mail.txt`, `mail.html`, `quiet.html`. The words of a language lie in
its folder: `phrases.j2` (set phrases, without values: what is put into HTML is escaped there), `words.j2` (dates,
people), `calendar.txt`, and `kinds/<kind>.txt`, whose first line is the headline and whose other paragraphs are
separated by blank lines. A language is added by its folder alone; English stands in for one that there is not.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from functools import cache
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined, select_autoescape

from services.notifier.domain.goal import Goal
from services.notifier.domain.kinds import KINDS
from services.notifier.domain.mentorship import Mentorship
from services.notifier.domain.person import Person, Recipient, Reminder
from services.notifier.domain.reasons import World
from services.notifier.domain.rhythm import MIDNIGHT
from shared.links import CHECK_IN, Link, Links
from shared.time import END_OF_DAY

TEMPLATES = Path(__file__).parent / "templates"
DEFAULT_LANGUAGE = "en"
QUIET = "quiet"
"""The purpose of a link by which its holder gives one person quiet."""
ONE_TAP_FOR = timedelta(days=7)
QUIET_FOR = timedelta(days=180)


@dataclass(frozen=True, slots=True)
class Message:
    """What is sent to one person. `quiet_url` leads to the page of `List-Unsubscribe`, too."""

    subject: str
    text: str
    html: str
    quiet_url: str
    language: str


@dataclass(frozen=True, slots=True)
class _Item:
    headline: str
    paragraphs: Sequence[str]
    check_in_url: str | None = None
    quiet_url: str | None = None


@cache
def languages() -> frozenset[str]:
    """Those that there are words in."""
    return frozenset(path.name for path in TEMPLATES.iterdir() if path.is_dir())


def spoken(language: str | None) -> str:
    """The language that is spoken to who wants this one (`de-AT`): the same, or English where there is none."""
    wanted = (language or DEFAULT_LANGUAGE).partition("-")[0].lower()
    return wanted if wanted in languages() else DEFAULT_LANGUAGE


class Composer:
    """Writes messages.

    Args:
        links: signs the links in them.
        checkins_url: where the one-tap form is.
        notifier_url: where the page for quiet is.
    """

    def __init__(self, links: Links, *, checkins_url: str, notifier_url: str) -> None:
        self._links = links
        self._checkins_url = checkins_url
        self._notifier_url = notifier_url
        self._words = Environment(
            loader=FileSystemLoader(TEMPLATES),
            autoescape=select_autoescape(["html"], default=False),
            undefined=StrictUndefined,
            trim_blocks=True,
            lstrip_blocks=True,
        )
        self._words.filters["capitalize_first"] = lambda text: str(text)[:1].upper() + str(text)[1:]

    def message(
        self,
        person: Person,
        recipient: Recipient,
        told: Sequence[Reminder],
        world: World,
        names: Mapping[str, str],
        now: datetime,
    ) -> Message:
        """The message that tells `told`; `names` are what people want to be called."""
        language = spoken(recipient.language)
        items = [self._item(language, person, recipient, r, world, names, now) for r in told]
        return self._around(items, language, recipient, self._quiet_url(person, now), reminds=True)

    def notice(
        self, person: Person, recipient: Recipient, about: str, facts: Mapping[str, Any], now: datetime
    ) -> Message:
        """A message that is no reminder: `kinds/<about>.txt`, filled in with `facts`."""
        language = spoken(recipient.language)
        item = _Item(*_parts(self._render(f"{language}/kinds/{about}.txt", facts)))
        return self._around([item], language, recipient, self._quiet_url(person, now), reminds=False)

    def lines(self, recipient: Recipient, template: str) -> list[str]:
        """The lines of a template without facts, in the recipient's language."""
        return self._render(f"{spoken(recipient.language)}/{template}", {}).strip().splitlines()

    def _around(
        self, items: Sequence[_Item], language: str, recipient: Recipient, quiet_url: str, *, reminds: bool
    ) -> Message:
        around: dict[str, Any] = {
            "language": language,
            "items": items,
            "name": recipient.display_name,
            "time_zone": recipient.time_zone,
            "quiet_url": quiet_url,
            "reminds": reminds,
        }
        subject = " ".join(self._render("subject.txt", around).split())
        around["subject"] = subject
        text = self._render("mail.txt", around).strip() + "\n"
        html = self._render("mail.html", around)
        return Message(subject, text, html, quiet_url, language)

    def _item(
        self,
        language: str,
        person: Person,
        recipient: Recipient,
        reminder: Reminder,
        world: World,
        names: Mapping[str, str],
        now: datetime,
    ) -> _Item:
        mentorship = world.mentorships[reminder.mentorship_id]
        goal = world.goals.get(reminder.goal_id) if reminder.goal_id is not None else None
        facts = _facts(person.person_id, recipient, reminder, mentorship, goal, names)
        rendered = self._render(f"{language}/kinds/{reminder.kind}.txt", facts)
        return _Item(
            *_parts(rendered),
            check_in_url=self._check_in_url(person, reminder, goal, now),
            quiet_url=self._goal_quiet_url(person, reminder, now),
        )

    def _check_in_url(
        self, person: Person, reminder: Reminder, goal: Goal | None, now: datetime
    ) -> str | None:
        offered = (
            KINDS[reminder.kind].offers_check_in and goal is not None and goal.concerns(person.person_id)
        )
        if not offered:
            return None
        link = Link(CHECK_IN, person.org_id, person.person_id, reminder.goal_id, now + ONE_TAP_FOR)
        return f"{self._checkins_url}/c/{self._links.token(link)}"

    def _goal_quiet_url(self, person: Person, reminder: Reminder, now: datetime) -> str | None:
        if reminder.goal_id is None or not KINDS[reminder.kind].comes_again:
            return None
        return self._quiet_page(person, reminder.goal_id, now + ONE_TAP_FOR)

    def _quiet_url(self, person: Person, now: datetime) -> str:
        return self._quiet_page(person, None, now + QUIET_FOR)

    def _quiet_page(self, person: Person, goal_id: str | None, expires: datetime) -> str:
        link = Link(QUIET, person.org_id, person.person_id, goal_id, expires)
        return f"{self._notifier_url}/quiet/{self._links.token(link)}"

    def _render(self, template: str, context: Mapping[str, Any]) -> str:
        return self._words.get_template(template).render(context)


def _parts(rendered: str) -> tuple[str, Sequence[str]]:
    """The first line as headline, and the paragraphs after it."""
    headline, _, rest = rendered.strip().partition("\n")
    paragraphs = [" ".join(paragraph.split()) for paragraph in rest.split("\n\n") if paragraph.strip()]
    return headline.strip(), paragraphs


def people_in(told: Iterable[Reminder], world: World) -> set[str]:
    """Whose names the message may need."""
    found: set[str] = set()
    for reminder in told:
        mentorship = world.mentorships[reminder.mentorship_id]
        found.update(mentorship.pair)
        if mentorship.leader_id is not None:
            found.add(mentorship.leader_id)
        if reminder.asked_by is not None:
            found.add(reminder.asked_by)
    return found


def _facts(
    person_id: str,
    recipient: Recipient,
    reminder: Reminder,
    mentorship: Mentorship,
    goal: Goal | None,
    names: Mapping[str, str],
) -> dict[str, Any]:
    roles = {mentorship.mentor_id: "mentor", mentorship.mentee_id: "mentee"}
    if mentorship.leader_id is not None:
        roles[mentorship.leader_id] = "leader"
    other = mentorship.mentee_id if person_id == mentorship.mentor_id else mentorship.mentor_id
    known = goal if goal is not None and goal.known else None
    owner_id = known.owner_id if known is not None else ""
    due_day, due_clock = _deadline(known, recipient)
    return {
        "outside": person_id not in roles,
        "title": known.title if known is not None else "",
        "yours": person_id == owner_id,
        "owner": names.get(owner_id),
        "owner_role": known.owner_role if known is not None else "",
        "other": names.get(other),
        "other_role": roles[other],
        "asked_by": names.get(reminder.asked_by or ""),
        "asked_by_role": roles.get(reminder.asked_by or "", ""),
        "as_role": reminder.as_role,
        "version": reminder.version,
        "says": reminder.says,
        "missed": known is not None and known.state == "missed",
        "due_day": due_day,
        "due_clock": due_clock,
        "expected_on": _expected_on(reminder),
    }


def _expected_on(reminder: Reminder) -> date | None:
    """The date of a check-in's period; only those kinds have one."""
    return date.fromisoformat(reminder.period) if reminder.kind.startswith("check_in") else None


def _deadline(goal: Goal | None, recipient: Recipient) -> tuple[date | None, str]:
    """The recipient's date and wall time of a goal's deadline; midnight is the end of the day before."""
    if goal is None or goal.due_at is None:
        return None, ""
    wall = recipient.rhythm.wall(goal.due_at)
    if wall.time() == MIDNIGHT:
        return wall.date() - timedelta(days=1), END_OF_DAY
    return wall.date(), wall.strftime("%H:%M")
