"""To whom a chat's URL leads, and what becomes of the message."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest

from services.notifier.chat import Chat, Service, bare, by_apprise, service_of
from services.notifier.compose import Message
from services.notifier.domain.person import Channel, Recipient
from services.notifier.senders import NotDelivered
from services.notifier.targets import Targets
from services.notifier.webhooks.outbound import Outbound
from tests.builders import NOW
from tests.support.receiver import answer, receiver

# apprise looks for a module that Python 3.13 has no more.
pytestmark = pytest.mark.filterwarnings("ignore:'imghdr' is deprecated")

SLACK = "https://hooks.slack.com/services/T1JJ3T3L2/A1BRTD4JD/TIiajkdnlazkcOXrIdevi7FQ"
DISCORD = "https://discord.com/api/webhooks/4174216298/JHMHI8qBe7bk2ZwO5U711o3dV_js"
GOOGLE = "https://chat.googleapis.com/v1/spaces/AAAA/messages?key=abc&token=def"
TEAMS = (
    "https://prod-1.westus.logic.azure.com/workflows/643e69f83c8944/triggers/manual/paths/invoke"
    "?api-version=2016-06-01&sp=/triggers/manual/run&sv=1.0&sig=KODuebWbDGYFr0z0eu"
)
MESSAGE = Message("A check-in is due", "Hello Ada,\n\na check-in is due.\n", "<p>", "https://q", "en")
RECIPIENT = Recipient(time_zone="UTC", put_at=NOW)


class Plugin:
    """A service that takes messages, or does not."""

    def __init__(self, takes: bool) -> None:
        self.takes = takes
        self.said: list[str] = []

    def notify(self, body: str, title: str) -> bool:
        self.said.append(body)
        return self.takes


@asynccontextmanager
async def chat(plugin: Plugin | None = None) -> AsyncIterator[Chat]:
    outbound = Outbound(Targets(sandbox=True), seconds=5)
    made = Chat(outbound, plugin=lambda url, service: plugin)
    try:
        yield made
    finally:
        await made.close()
        await outbound.close()


async def send(made: Chat, url: str) -> None:
    await made.send(RECIPIENT, Channel(kind="chat", url=url), MESSAGE, "<id@onbelay>", NOW)


async def refusal(made: Chat, url: str) -> tuple[str, bool]:
    with pytest.raises(NotDelivered) as raised:
        await send(made, url)
    return raised.value.reason, raised.value.for_good


class TestTheService:
    @pytest.mark.parametrize(
        ("url", "scheme"), [(SLACK, "slack"), (DISCORD, "discord"), (GOOGLE, "gchat"), (TEAMS, "workflows")]
    )
    def test_is_known_by_its_host_and_spoken_to_by_its_plugin(self, url: str, scheme: str) -> None:
        service = service_of(url)
        assert service is not None
        assert service.scheme == scheme
        assert by_apprise(bare(url, service), service) is not None

    @pytest.mark.parametrize(
        "url",
        [
            SLACK.replace("https", "http"),
            SLACK.replace(".com/", ".com:8443/"),
            SLACK.replace("slack.com", "slack.com.evil.example"),
            "https://evil.example/workflows/643e69f83c8944/triggers/manual/paths/invoke?sig=x",
            "https://mattermost.evil.example/hooks/abcdefgh",
            "https://evil.example/?u=https://hooks.slack.com/services/a/b/c",
        ],
    )
    def test_is_none_by_what_the_rest_of_a_url_looks_like(self, url: str) -> None:
        assert service_of(url) is None

    def test_gets_no_option_that_would_read_a_file_or_call_another_address(self) -> None:
        service = service_of(TEAMS)
        assert service is not None
        asked = bare(TEAMS + "&template=file:///etc/passwd&image=https://10.0.0.1/&redirect=yes#x", service)
        assert asked == bare(TEAMS, service)
        assert "template" not in asked
        assert bare(SLACK + "?template=/etc/passwd&footer=yes", Service("slack")) == SLACK

    def test_is_spoken_to_by_no_other_plugin_than_its_own(self) -> None:
        assert by_apprise(SLACK, Service("discord")) is None
        for url in ("json://10.0.0.1/", "syslog://", "mailto://a:b@example.com", "file:///etc/passwd"):
            assert by_apprise(url, Service("slack")) is None

    async def test_that_takes_a_message_has_it(self) -> None:
        plugin = Plugin(takes=True)
        async with chat(plugin) as made:
            await send(made, SLACK)
        assert plugin.said == [MESSAGE.text]

    async def test_that_does_not_is_tried_again(self) -> None:
        async with chat(Plugin(takes=False)) as made:
            assert await refusal(made, SLACK) == ("slack_refused", False)

    async def test_that_knows_no_such_url_is_not_tried_again(self) -> None:
        async with chat(None) as made:
            assert await refusal(made, SLACK) == ("slack_unknown_url", True)


class TestAnyOtherChat:
    async def test_gets_the_text(self) -> None:
        async with receiver() as found, chat() as made:
            await send(made, found.url + "/hooks/abc")
        (request,) = found.requests
        assert request.event == {"text": MESSAGE.text}
        assert request.headers["onbelay-message-id"] == "<id@onbelay>"

    @pytest.mark.parametrize(("status", "for_good"), [(404, True), (410, True), (429, False), (503, False)])
    async def test_that_refuses_is_tried_again_where_that_may_help(self, status: int, for_good: bool) -> None:
        async with receiver(lambda _: answer(status)) as found, chat() as made:
            assert await refusal(made, found.url) == (f"chat_{status}", for_good)

    async def test_at_an_address_inside_is_not_called(self) -> None:
        async with chat() as made:
            assert await refusal(made, "https://10.0.0.1/hook") == ("chat_refused_url", True)
            assert await refusal(made, "https://[::ffff:10.0.0.1]/hook") == ("chat_refused_url", True)
