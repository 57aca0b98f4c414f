"""What can be set, for all services: environment variables that begin with `ONBELAY_`.

Each field has its default and why. A service's own settings subclass this in `services/<name>/settings.py`.
"""

from __future__ import annotations

from typing import Literal

from pydantic import Field, SecretStr, field_validator, model_validator
from pydantic_settings import BaseSettings, SettingsConfigDict


class Settings(BaseSettings):
    """What every service needs to know of its surroundings.

    Raises:
        pydantic.ValidationError: when made, for a value that cannot be; the message names the field.
    """

    model_config = SettingsConfigDict(env_prefix="ONBELAY_", extra="ignore", frozen=True)

    kafka_bootstrap: str = "127.0.0.1:9092"
    """Brokers, `host:port,host:port`. The default is where `deploy.local` puts its own."""

    mongo_url: str = Field("mongodb://127.0.0.1:27017/?replicaSet=onbelay", repr=False)
    """A replica set's URL (transactions need one). Not shown in logs, since it may carry a password."""

    mongo_driver: Literal["pymongo", "motor"] = "pymongo"
    """PyMongo's own async API by default: MongoDB ended Motor's bug fixes in May 2026."""

    mongo_database_prefix: str = Field("onbelay_", pattern=r"^[A-Za-z0-9_-]{1,40}$")
    """Put before the databases' names (`goals`, ..., `sandbox`), for several systems on one cluster."""

    topic_prefix: str = Field("", pattern=r"^[A-Za-z0-9._-]{0,80}$")
    """Put before topics and consumer groups, for the same reason. Empty: the contract's names."""

    partitions: int = Field(12, ge=1, le=10_000)
    """Of each event topic, when made by `deploy.topics`: the unit of parallel folding; never changed later,
    since that would part a mentorship's events."""

    sandbox: bool = False
    """The movable clock, and plain-http targets. Never in production: it makes time a request."""

    http_host: str = "127.0.0.1"
    """Where to listen. Loopback by default, so that nothing is open by accident."""

    auth_issuer: str = ""
    """The `iss` that tokens must have. There is no safe default: a service refuses to start without."""

    auth_audience: str = "onbelay"
    """The `aud` that tokens must have."""

    auth_jwks: str = ""
    """Where the issuer's public keys are: an https URL, or the path of a file. Needed, as the issuer is."""

    link_secret: SecretStr = SecretStr("")
    """Signs the links in nudges and calendars; at least 32 characters, the same everywhere."""

    instance: str = ""
    """Names this process among its like; the same after a restart. Empty: `<service>@<host>:<port>`, the port
    being the service's `<service>_port`."""

    goals_url: str = "http://127.0.0.1:8001"
    checkins_url: str = "http://127.0.0.1:8002"
    notifier_url: str = "http://127.0.0.1:8003"
    metrics_url: str = "http://127.0.0.1:8004"
    """Public base URLs, for links alone: no service calls another."""

    log_level: Literal["DEBUG", "INFO", "WARNING", "ERROR"] = "INFO"
    """What is logged; an access line per request is INFO."""

    @field_validator("link_secret")
    @classmethod
    def _long_enough(cls, secret: SecretStr) -> SecretStr:
        if 0 < len(secret.get_secret_value()) < 32:
            raise ValueError("needs at least 32 characters")
        return secret

    @field_validator("goals_url", "checkins_url", "notifier_url", "metrics_url")
    @classmethod
    def _without_slash(cls, url: str) -> str:
        return url.rstrip("/")

    @model_validator(mode="after")
    def _named(self) -> Settings:
        package, _, rest = type(self).__module__.partition(".")
        if not self.instance and package == "services":
            service = rest.partition(".")[0]
            port = getattr(self, f"{service}_port", "")
            self.__dict__["instance"] = f"{service}@{self.http_host}:{port}"
        return self

    @model_validator(mode="after")
    def _keys_come_safely(self) -> Settings:
        if self.auth_jwks.startswith("http://"):
            raise ValueError("auth_jwks: keys are fetched over https, or read from a file")
        return self

    def database(self, name: str) -> str:
        """The full name of a database, such as `onbelay_goals`."""
        return f"{self.mongo_database_prefix}{name}"

    def topic(self, name: str) -> str:
        """The full name of a topic or consumer group, such as `onbelay.goals.v1`."""
        return f"{self.topic_prefix}{name}"
