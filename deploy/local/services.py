"""The four services as child processes: what they are told, and when they are ready."""

from __future__ import annotations

import asyncio
import http.client
import json
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from deploy.local.children import Program
from deploy.local.issuer import AUDIENCE, ISSUER
from deploy.local.ports import HOST

NAMES = ("goals", "checkins", "notifier", "metrics")


@dataclass(frozen=True, slots=True)
class Surroundings:
    """What all four have in common: the engines, the mail sink, the issuer, and what else is set.

    `ports` are those of the four services. `extra` are further environment variables, which win.
    """

    kafka: str
    mongo: str
    mail_port: int
    jwks: Path
    link_secret: str
    ports: Mapping[str, int]
    extra: Mapping[str, str] = field(default_factory=dict)

    def url(self, service: str) -> str:
        """The base URL of a service."""
        return f"http://{HOST}:{self.ports[service]}"

    def urls(self) -> dict[str, str]:
        """The base URLs of all four."""
        return {name: self.url(name) for name in NAMES}

    def environment(self) -> dict[str, str]:
        """The variables of `shared.settings` and of the services' own settings."""
        return {
            "ONBELAY_KAFKA_BOOTSTRAP": self.kafka,
            "ONBELAY_MONGO_URL": self.mongo,
            "ONBELAY_SANDBOX": "true",
            "ONBELAY_HTTP_HOST": HOST,
            "ONBELAY_AUTH_ISSUER": ISSUER,
            "ONBELAY_AUTH_AUDIENCE": AUDIENCE,
            "ONBELAY_AUTH_JWKS": str(self.jwks),
            "ONBELAY_LINK_SECRET": self.link_secret,
            "ONBELAY_NOTIFIER_SMTP_HOST": HOST,
            "ONBELAY_NOTIFIER_SMTP_PORT": str(self.mail_port),
            # On one machine a mail sink that is away is a test: minutes show what an outage of hours would.
            "ONBELAY_NOTIFIER_SEND_ATTEMPTS": "8",
            **{f"ONBELAY_{name.upper()}_PORT": str(self.ports[name]) for name in NAMES},
            **{f"ONBELAY_{name.upper()}_URL": url for name, url in self.urls().items()},
            **self.extra,
        }

    def program(self, service: str, log: Path) -> Program:
        """What runs a service."""
        return Program(service, (sys.executable, "-m", f"services.{service}"), log, self.environment())


async def answers(port: int) -> None:
    """A probe: returns when the service at `port` says that it is ready.

    Raises:
        OSError, RuntimeError: it does not yet; the message says what it lacks.
    """
    await asyncio.to_thread(_ask, port)


def _ask(port: int) -> None:
    connection = http.client.HTTPConnection(HOST, port, timeout=3)
    try:
        connection.request("GET", "/readyz")
        response = connection.getresponse()
        body = response.read()
    finally:
        connection.close()
    if response.status != 200:
        try:
            said = json.loads(body)
        except ValueError:
            said = response.status
        raise RuntimeError(f"/readyz says {said}")
