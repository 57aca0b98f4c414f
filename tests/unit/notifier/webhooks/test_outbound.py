"""A POST reaches the address that was checked, and no other, whatever names and endpoints do."""

from __future__ import annotations

import asyncio
import datetime as dt
import ipaddress
import ssl
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from services.notifier.targets import Targets
from services.notifier.webhooks.outbound import MAX_ANSWER_BYTES, NotReached, Outbound, Resolve
from tests.support.receiver import answer, receiver

INSIDE = Targets(sandbox=True, allow=(ipaddress.ip_network("127.0.0.2/32"),))
"""http is taken, and one address beside the public ones."""
ONLY_IT = Targets(allow=(ipaddress.ip_network("127.0.0.2/32"),))


class Names:
    """Answers look-ups, each time the next of these; the last one again and again."""

    def __init__(self, *answers: Sequence[str]) -> None:
        self._answers = list(answers)
        self.asked: list[str] = []

    async def __call__(self, name: str, port: int) -> Sequence[str]:
        self.asked.append(name)
        return self._answers.pop(0) if len(self._answers) > 1 else self._answers[0]


@asynccontextmanager
async def outbound(
    targets: Targets, names: Resolve, *, tls: ssl.SSLContext | None = None, seconds: float = 5
) -> AsyncIterator[Outbound]:
    made = Outbound(targets, resolve=names, tls=tls, seconds=seconds)
    try:
        yield made
    finally:
        await made.close()


async def refusal(made: Outbound, url: str) -> str:
    with pytest.raises(NotReached) as raised:
        await made.post(url, {}, b"{}")
    return raised.value.reason


def port_of(url: str) -> int:
    port = urlsplit(url).port
    assert port is not None
    return port


class TestTheAddress:
    async def test_that_was_checked_is_the_one_that_is_called(self) -> None:
        names = Names(["127.0.0.2"], ["127.0.0.1"])
        async with receiver(host="127.0.0.2") as permitted:
            port = port_of(permitted.url)
            async with (
                receiver(host="127.0.0.1", port=port) as inside,
                outbound(Targets(allow=INSIDE.allow, sandbox=True), names) as made,
            ):
                answered = await made.post(f"http://rebinding.example:{port}/hook", {}, b"{}")
        assert answered.status == 204
        assert names.asked == ["rebinding.example"], "the name was looked up again"
        assert inside.requests == []
        assert permitted.requests[0].headers["host"] == f"rebinding.example:{port}"

    async def test_is_refused_if_one_of_a_names_is_not_public(self) -> None:
        names = Names(["93.184.216.34", "10.0.0.7"])
        async with outbound(Targets(sandbox=True), names) as made:
            assert await refusal(made, "http://mixed.example/hook") == "refused_address"

    async def test_is_checked_again_at_each_attempt(self) -> None:
        names = Names(["127.0.0.2"], ["10.0.0.7"])
        async with receiver(host="127.0.0.2") as found, outbound(INSIDE, names) as made:
            url = f"http://rebinding.example:{port_of(found.url)}/"
            assert (await made.post(url, {}, b"{}")).status == 204
            assert await refusal(made, url) == "refused_address"
            assert len(found.requests) == 1

    async def test_is_refused_by_number_without_a_look_up_of_names(self) -> None:
        async with outbound(Targets(), Names(["93.184.216.34"])) as made:
            assert await refusal(made, "https://169.254.169.254/latest/meta-data") == "refused_url"
            assert await refusal(made, "http://93.184.216.34/") == "refused_url"

    async def test_of_a_name_that_has_none_is_said_so(self) -> None:
        async with outbound(Targets(), Names([])) as made:
            assert await refusal(made, "https://nowhere.example/") == "unknown_host"

    async def test_that_does_not_answer_gives_way_to_the_names_other_one(self) -> None:
        targets = Targets(sandbox=True, allow=(ipaddress.ip_network("127.0.0.0/8"),))
        async with receiver(host="127.0.0.2") as found:
            url = f"http://two.example:{port_of(found.url)}/"
            async with outbound(targets, Names(["127.0.0.3", "127.0.0.2"])) as made:
                assert (await made.post(url, {}, b"{}")).status == 204


class TestTheEndpoint:
    async def test_is_not_followed_elsewhere(self) -> None:
        async with receiver(host="127.0.0.2") as elsewhere:
            moved = answer(307, b"", f"Location: {elsewhere.url}/")
            async with (
                receiver(lambda _: moved, host="127.0.0.2") as found,
                outbound(INSIDE, Names(["127.0.0.2"])) as made,
            ):
                assert (await made.post(found.url, {}, b"{}")).status == 307
            assert elsewhere.requests == []

    async def test_that_answers_ten_megabytes_is_read_up_to_64_kilobytes(self) -> None:
        async with (
            receiver(lambda _: answer(200, b"x" * 10_000_000), host="127.0.0.2") as found,
            outbound(INSIDE, Names(["127.0.0.2"])) as made,
        ):
            answered = await made.post(found.url, {}, b"{}")
        assert answered.status == 200
        assert len(answered.body) == MAX_ANSWER_BYTES

    async def test_that_stalls_is_given_up(self) -> None:
        async with (
            receiver(lambda _: None, host="127.0.0.2") as found,
            outbound(INSIDE, Names(["127.0.0.2"]), seconds=0.3) as made,
        ):
            assert await refusal(made, found.url) == "timeout"

    async def test_that_trickles_its_answer_is_given_up_as_well(self) -> None:
        async def trickle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            await reader.readuntil(b"\r\n\r\n")
            writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n")
            try:
                while True:
                    writer.write(b"x")
                    await writer.drain()
                    await asyncio.sleep(0.05)
            except OSError:
                writer.close()

        server = await asyncio.start_server(trickle, "127.0.0.2", 0)
        port = server.sockets[0].getsockname()[1]
        async with server, outbound(INSIDE, Names(["127.0.0.2"]), seconds=0.4) as made:
            assert await refusal(made, f"http://127.0.0.2:{port}/") == "timeout"

    async def test_that_is_not_there_is_said_so(self) -> None:
        async with receiver(host="127.0.0.2") as found:
            url = found.url
        async with outbound(INSIDE, Names(["127.0.0.2"])) as made:
            assert await refusal(made, url) == "connection"

    async def test_that_talks_no_http_is_said_so(self) -> None:
        async with (
            receiver(lambda _: b"SSH-2.0-x\r\n\r\n", host="127.0.0.2") as found,
            outbound(INSIDE, Names(["127.0.0.2"])) as made,
        ):
            assert await refusal(made, found.url) == "connection"

    async def test_is_reached_past_the_proxies_of_the_environment(
        self, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        async with receiver(host="127.0.0.2") as proxy, receiver(host="127.0.0.2") as found:
            for name in ("HTTP_PROXY", "http_proxy", "ALL_PROXY", "all_proxy"):
                monkeypatch.setenv(name, proxy.url)
            async with outbound(INSIDE, Names(["127.0.0.2"])) as made:
                assert (await made.post(found.url, {}, b"{}")).status == 204
            assert proxy.requests == []


class TestTls:
    async def test_is_by_the_name_and_not_by_the_address(self, tmp_path: Path) -> None:
        server, client, named = _tls("hooks.example", tmp_path)
        async with receiver(host="127.0.0.2", tls=server) as found:
            port = port_of(found.url)
            async with outbound(ONLY_IT, Names(["127.0.0.2"]), tls=client) as made:
                assert (await made.post(f"https://hooks.example:{port}/", {}, b"{}")).status == 204
                assert await refusal(made, f"https://other.example:{port}/") == "tls"
        assert named == ["hooks.example", "other.example"]
        assert found.requests[0].headers["host"] == f"hooks.example:{port}"

    async def test_needs_a_certificate_that_somebody_vouches_for(self, tmp_path: Path) -> None:
        server, _, _ = _tls("hooks.example", tmp_path)
        async with (
            receiver(host="127.0.0.2", tls=server) as found,
            outbound(ONLY_IT, Names(["127.0.0.2"])) as made,
        ):
            assert await refusal(made, f"https://hooks.example:{port_of(found.url)}/") == "tls"
            assert found.requests == []


async def test_a_look_up_that_hangs_holds_up_nobody_else() -> None:
    hanging = asyncio.Event()

    async def names(name: str, port: int) -> Sequence[str]:
        if name == "hangs.example":
            await hanging.wait()
        return ["127.0.0.2"]

    async with receiver(host="127.0.0.2") as found, outbound(INSIDE, names, seconds=1) as made:
        port = port_of(found.url)
        slow = asyncio.create_task(refusal(made, f"http://hangs.example:{port}/"))
        assert (await made.post(f"http://quick.example:{port}/", {}, b"{}")).status == 204
        assert not slow.done()
        assert await slow == "timeout"


def _tls(name: str, folder: Path) -> tuple[ssl.SSLContext, ssl.SSLContext, list[str]]:
    """A server's context with a certificate for `name`, a client's that trusts it, and the names asked for by SNI."""
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    now = dt.datetime.fromtimestamp(time.time(), dt.UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - dt.timedelta(days=1))
        .not_valid_after(now + dt.timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName(name)]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .sign(key, hashes.SHA256())
    )
    pem = certificate.public_bytes(serialization.Encoding.PEM)
    chain = folder / "server.pem"
    chain.write_bytes(
        pem
        + key.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        )
    )
    server = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    server.load_cert_chain(chain)
    named: list[str] = []
    server.sni_callback = lambda _, asked, __: named.append(asked or "")
    client = ssl.create_default_context(cadata=pem.decode())
    return server, client, named
