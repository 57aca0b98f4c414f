"""A POST to a URL that somebody else chose: to a checked address, and to no other.

The name is resolved once; every address that it has must be permitted, and the connection is made to one of these,
with the name in `Host`, in TLS's SNI and in the check of the certificate. So what was checked is what is called,
whatever the name resolves to a moment later. Redirects are not followed, proxies of the environment are not used,
the whole has 10 s, and an answer is read up to 64 KB.
"""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import Awaitable, Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from socket import SOCK_STREAM, gaierror, getaddrinfo

import httpx

from services.notifier.targets import Targets

SECONDS = 10.0
MAX_ANSWER_BYTES = 64 * 1024
TRIED_ADDRESSES = 2
CONNECT_SHARE = 0.4
"""Of the time for all: what an address that does not answer may cost leaves time for the next."""
LOOKUPS = 64
"""Look-ups at once: one that hangs must hold up nobody else's."""

Resolve = Callable[[str, int], Awaitable[Sequence[str]]]
"""The addresses of a name, each as text."""


@dataclass(frozen=True, slots=True)
class Answered:
    """What an endpoint answered: `body` is at most the first 64 KB, as they came."""

    status: int
    headers: Mapping[str, str]
    body: bytes


class NotReached(Exception):
    """There was no answer; `reason` is a word: refused_url, refused_address, unknown_host, timeout, tls, connection."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


class Outbound:
    """Posts.

    Args:
        targets: what may be called.
        resolve: looks names up.
        tls: vouches for servers; by default what the system and certifi trust.
        seconds: when an attempt is given up.
    """

    def __init__(
        self,
        targets: Targets,
        *,
        resolve: Resolve | None = None,
        tls: ssl.SSLContext | None = None,
        seconds: float = SECONDS,
    ) -> None:
        self._targets = targets
        self._resolve = resolve or SystemResolver()
        self._seconds = seconds
        # A connection is to an address: kept, it might serve another name that has the same one.
        self._client = httpx.AsyncClient(
            verify=tls or _trusting(),
            trust_env=False,
            follow_redirects=False,
            timeout=httpx.Timeout(seconds, connect=seconds * CONNECT_SHARE),
            limits=httpx.Limits(max_connections=None, max_keepalive_connections=0),
        )

    async def post(self, url: str, headers: Mapping[str, str], body: bytes) -> Answered:
        """Post a body once.

        Raises:
            NotReached: nothing was answered; it may have been received all the same.
        """
        try:
            async with asyncio.timeout(self._seconds):
                return await self._post(url, headers, body)
        except (TimeoutError, httpx.TimeoutException) as error:
            raise NotReached("timeout") from error
        except httpx.HTTPError as error:
            raise NotReached("tls" if _is_tls(error) else "connection") from error

    async def _post(self, url: str, headers: Mapping[str, str], body: bytes) -> Answered:
        try:
            target = httpx.URL(self._targets.url(url))
        except (ValueError, httpx.InvalidURL) as error:
            raise NotReached("refused_url") from error
        addresses = await self._checked(target)
        sending = {**headers, "Host": target.netloc.decode("ascii"), "Accept-Encoding": "identity"}
        for address in addresses[:-1]:
            try:
                return await self._exchange(target.copy_with(host=address), target.host, sending, body)
            except (httpx.ConnectError, httpx.ConnectTimeout) as error:
                if _is_tls(error):
                    raise
        return await self._exchange(target.copy_with(host=addresses[-1]), target.host, sending, body)

    async def _checked(self, target: httpx.URL) -> Sequence[str]:
        port = target.port or {"http": 80, "https": 443}[target.scheme]
        try:
            addresses = list(dict.fromkeys(await self._resolve(target.host, port)))
        except (OSError, UnicodeError) as error:
            raise NotReached("unknown_host") from error
        if not addresses:
            raise NotReached("unknown_host")
        if not all(self._targets.permits(address) for address in addresses):
            raise NotReached("refused_address")
        return addresses[:TRIED_ADDRESSES]

    async def _exchange(
        self, pinned: httpx.URL, name: str, headers: Mapping[str, str], body: bytes
    ) -> Answered:
        async with self._client.stream(
            "POST", pinned, headers=headers, content=body, extensions={"sni_hostname": name}
        ) as response:
            received = bytearray()
            async for chunk in response.aiter_raw():
                received += chunk
                if len(received) >= MAX_ANSWER_BYTES:
                    break
            return Answered(response.status_code, response.headers, bytes(received[:MAX_ANSWER_BYTES]))

    async def close(self) -> None:
        """Let go of connections."""
        await self._client.aclose()


class SystemResolver:
    """Looks names up as the system does, in threads of its own."""

    def __init__(self) -> None:
        self._threads = ThreadPoolExecutor(LOOKUPS, "lookup")

    async def __call__(self, name: str, port: int) -> Sequence[str]:
        """The addresses of a name, IPv4 first.

        Raises:
            OSError: it has none.
        """
        loop = asyncio.get_running_loop()
        try:
            found = await loop.run_in_executor(
                self._threads, lambda: getaddrinfo(name, port, type=SOCK_STREAM)
            )
        except gaierror as error:
            raise OSError(f"no address: {error.errno}") from error
        return sorted((str(entry[4][0]) for entry in found), key=lambda address: ":" in address)


def _trusting() -> ssl.SSLContext:
    context = httpx.create_ssl_context(trust_env=False)
    context.load_default_certs()
    return context


def _is_tls(error: BaseException) -> bool:
    seen: BaseException | None = error
    while seen is not None:
        if isinstance(seen, ssl.SSLError):
            return True
        seen = seen.__cause__ or seen.__context__
    return False
