"""What can be set for the notifier, beside what all services know."""

from __future__ import annotations

from ipaddress import ip_network
from typing import Annotated, Any, Literal

from pydantic import Field, SecretStr, field_validator
from pydantic_settings import NoDecode

from services.notifier.targets import Network
from shared.settings import Settings as Common


class Settings(Common):
    """`ONBELAY_NOTIFIER_...`; see `shared.settings` for the rest."""

    notifier_port: int = Field(8003, ge=1, le=65_535)
    """Where the REST API listens."""

    notifier_holdout: float = Field(0.0, ge=0, le=1)
    """The share of reminders held out at random, so that the effect of the others can be told."""

    notifier_smtp_host: str = "127.0.0.1"
    notifier_smtp_port: int = Field(1025, ge=1, le=65_535)
    """The mail server. The default is where `deploy.local` puts its sink."""

    notifier_smtp_username: str = ""
    notifier_smtp_password: SecretStr = SecretStr("")
    """Empty: without authentication."""

    notifier_smtp_tls: Literal["auto", "starttls", "tls", "none"] = "auto"
    """`auto` upgrades a connection where the server offers it; production should insist with one of the others."""

    notifier_smtp_ca: str = ""
    """A file of certificates that vouch for the server's; empty: the system's."""

    notifier_mail_from: str = "Onbelay <onbelay@localhost>"
    """The sender; the domain of its address is that of the Message-IDs, too."""

    notifier_lease_s: float = Field(20.0, ge=5, le=300)
    """For how long a person is a worker's own: a crashed one's are taken over after it. Sending one message is
    given up after 0.3 of it."""

    notifier_send_attempts: int = Field(16, ge=1, le=50)
    """After so many attempts a message has failed. With the waits between them doubling from a second, that
    takes more than an hour at the default, about two minutes with 8."""

    notifier_send_backoff_max_s: float = Field(900.0, ge=1)
    """The longest wait between two attempts."""

    notifier_workers: int = Field(32, ge=1, le=256)
    """How many people one process attends to at once."""

    notifier_webhook_allow: Annotated[tuple[Network, ...], NoDecode] = ()
    """Networks beside the public ones that webhooks and chats may be in: `10.20.0.0/16,fd00:20::/32`. Empty by
    default, since who may make a webhook could otherwise reach whatever the notifier can reach."""

    @field_validator("notifier_webhook_allow", mode="before")
    @classmethod
    def _networks(cls, value: Any) -> Any:
        return (
            [ip_network(part.strip()) for part in value.split(",") if part.strip()]
            if isinstance(value, str)
            else value
        )
