"""The sender of mail against a real mail server: TLS that cannot be talked away, logins, and connections kept."""

from __future__ import annotations

import asyncio
import datetime
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from ipaddress import ip_address
from pathlib import Path
from typing import Any

import pytest
from aiosmtpd.smtp import SMTP, AuthResult, Envelope, LoginPassword, Session
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from services.notifier.compose import Message
from services.notifier.domain.person import Channel, Recipient
from services.notifier.mail import Mailer
from services.notifier.senders import NotDelivered
from services.notifier.settings import Settings

NOW = datetime.datetime(2026, 11, 2, 9, tzinfo=datetime.UTC)
ANA = Channel(kind="email", address="ana@example.com")
RECIPIENT = Recipient(time_zone="UTC", channels=(ANA,), put_at=NOW)
MESSAGE = Message("Due soon", "A text.\n", "<p>A text.</p>", "https://notifier.example/quiet/x", "en")


@dataclass
class Certificate:
    """A certificate for 127.0.0.1 that nobody else vouches for."""

    folder: Path
    file: Path = field(init=False)
    context: ssl.SSLContext = field(init=False)

    def __post_init__(self) -> None:
        key = ec.generate_private_key(ec.SECP256R1())
        name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "a mail server")])
        made = (
            x509.CertificateBuilder()
            .subject_name(name)
            .issuer_name(name)
            .public_key(key.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(datetime.datetime.now(datetime.UTC) - datetime.timedelta(days=1))
            .not_valid_after(datetime.datetime.now(datetime.UTC) + datetime.timedelta(days=1))
            .add_extension(
                x509.SubjectAlternativeName([x509.IPAddress(ip_address("127.0.0.1"))]), critical=False
            )
            .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
            .sign(key, hashes.SHA256())
        )
        self.file = self.folder / "certificate.pem"
        self.file.write_bytes(made.public_bytes(serialization.Encoding.PEM))
        secret = self.folder / "key.pem"
        secret.write_bytes(
            key.private_bytes(
                serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
            )
        )
        self.context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self.context.load_cert_chain(self.file, secret)


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Certificate:
    return Certificate(tmp_path_factory.mktemp("certificate"))


@dataclass
class Server:
    """What it took: (Message-ID, whether in TLS, by whom)."""

    port: int = 0
    connections: int = 0
    transports: list[asyncio.BaseTransport] = field(default_factory=list)
    taken: list[tuple[str, bool, str | None]] = field(default_factory=list)

    async def handle_DATA(self, server: SMTP, session: Session, envelope: Envelope) -> str:  # noqa: N802
        head = (envelope.original_content or b"").decode()
        message_id = next(line for line in head.splitlines() if line.startswith("Message-ID:"))
        login = session.auth_data.decode() if session.auth_data else None
        self.taken.append((message_id.removeprefix("Message-ID: "), session.ssl is not None, login))
        return "250 OK"

    def cut(self) -> None:
        """End all connections, as a restart does."""
        for transport in self.transports:
            transport.close()


@asynccontextmanager
async def serving(**options: Any) -> AsyncIterator[Server]:
    """A mail server on loopback."""
    found = Server()
    loop = asyncio.get_running_loop()

    class Remembered(SMTP):
        def connection_made(self, transport: asyncio.BaseTransport) -> None:
            found.connections += 1
            found.transports.append(transport)
            super().connection_made(transport)

    def accept() -> SMTP:
        return Remembered(found, hostname="localhost", loop=loop, **options)

    server = await loop.create_server(accept, "127.0.0.1", 0)
    async with server:
        found.port = server.sockets[0].getsockname()[1]
        yield found


@asynccontextmanager
async def mailing(server: Server, **settings: Any) -> AsyncIterator[Mailer]:
    """A sender of mail to that server."""
    chosen = {f"notifier_smtp_{name}": value for name, value in settings.items()}
    mailer = Mailer(
        Settings(
            notifier_smtp_port=server.port, notifier_mail_from="Onbelay <no-reply@onbelay.example>", **chosen
        ),
        timeout_s=5,
    )
    try:
        yield mailer
    finally:
        await mailer.close()


async def send(mailer: Mailer, number: int = 1) -> None:
    await mailer.send(RECIPIENT, ANA, MESSAGE, f"<{number}@onbelay.example>", NOW)


class TestTls:
    async def test_is_used_where_it_is_asked_for_and_where_it_is_offered(
        self, certificate: Certificate
    ) -> None:
        async with serving(tls_context=certificate.context, require_starttls=True) as server:
            for number, tls in enumerate(("starttls", "auto")):
                async with mailing(server, tls=tls, ca=str(certificate.file)) as mailer:
                    await send(mailer, number)
        assert [in_tls for _, in_tls, _ in server.taken] == [True, True]

    async def test_cannot_be_talked_away(self) -> None:
        async with serving() as server, mailing(server, tls="starttls") as mailer:
            with pytest.raises(NotDelivered) as refused:
                await send(mailer)
        assert server.taken == []
        assert not refused.value.for_good

    async def test_is_not_spoken_with_a_stranger(self, certificate: Certificate) -> None:
        async with serving(tls_context=certificate.context) as server:
            for tls in ("starttls", "auto"):
                async with mailing(server, tls=tls) as mailer:
                    with pytest.raises(NotDelivered):
                        await send(mailer)
        assert server.taken == []

    async def test_may_be_there_from_the_first_byte(self, certificate: Certificate) -> None:
        loop = asyncio.get_running_loop()
        found = Server()
        listening = await loop.create_server(
            lambda: SMTP(found, hostname="localhost", loop=loop), "127.0.0.1", 0, ssl=certificate.context
        )
        async with listening:
            found.port = listening.sockets[0].getsockname()[1]
            async with mailing(found, tls="tls", ca=str(certificate.file)) as mailer:
                await send(mailer)
        assert len(found.taken) == 1


class TestALogin:
    async def test_is_given_where_one_is_set(self, certificate: Certificate) -> None:
        async with (
            serving(tls_context=certificate.context, authenticator=knows_us, auth_required=True) as server,
            mailing(
                server, tls="starttls", ca=str(certificate.file), username="onbelay", password="secret"
            ) as mailer,
        ):
            await send(mailer)
        assert [login for _, _, login in server.taken] == ["onbelay"]

    async def test_that_is_refused_is_our_trouble_and_not_the_message_s(
        self, certificate: Certificate
    ) -> None:
        async with (
            serving(tls_context=certificate.context, authenticator=knows_us, auth_required=True) as server,
            mailing(
                server, tls="starttls", ca=str(certificate.file), username="onbelay", password="wrong"
            ) as mailer,
        ):
            with pytest.raises(NotDelivered) as refused:
                await send(mailer)
        assert not refused.value.for_good
        assert "wrong" not in str(refused.value)


class TestConnections:
    async def test_are_used_again(self) -> None:
        async with serving() as server, mailing(server) as mailer:
            for number in range(5):
                await send(mailer, number)
        assert (server.connections, len(server.taken)) == (1, 5)

    async def test_are_opened_for_messages_that_go_at_once(self) -> None:
        async with serving() as server, mailing(server) as mailer:
            await asyncio.gather(*(send(mailer, number) for number in range(5)))
            await asyncio.gather(*(send(mailer, number) for number in range(5, 10)))
        assert server.connections == 5
        assert len({message_id for message_id, _, _ in server.taken}) == 10

    async def test_that_the_server_has_ended_cost_no_message(self) -> None:
        async with serving() as server, mailing(server) as mailer:
            await send(mailer, 1)
            server.cut()
            await send(mailer, 2)
        assert len(server.taken) == 2


def knows_us(
    server: SMTP, session: Session, envelope: Envelope, mechanism: str, login: LoginPassword
) -> AuthResult:
    known = (login.login, login.password) == (b"onbelay", b"secret")
    return AuthResult(success=known, handled=False, auth_data=login.login)
