from __future__ import annotations

import pytest
from pydantic import ValidationError

from shared.settings import Settings


class GoalsSettings(Settings):
    __module__ = "services.goals.settings"
    goals_port: int = 8001


class TestSettings:
    def test_they_come_from_the_environment(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("ONBELAY_SANDBOX", "true")
        monkeypatch.setenv("ONBELAY_TOPIC_PREFIX", "t1.")
        monkeypatch.setenv("ONBELAY_MONGO_DATABASE_PREFIX", "t1_")
        settings = Settings()
        assert settings.sandbox
        assert settings.topic("onbelay.goals.v1") == "t1.onbelay.goals.v1"
        assert settings.database("goals") == "t1_goals"

    def test_an_instance_is_named_by_its_service_and_address(self) -> None:
        assert GoalsSettings(goals_port=9001).instance == "goals@127.0.0.1:9001"
        assert GoalsSettings(instance="goals-7").instance == "goals-7"

    @pytest.mark.parametrize(
        "wrong",
        [
            {"link_secret": "short"},
            {"auth_jwks": "http://issuer.example/jwks"},
            {"mongo_driver": "other"},
            {"partitions": 0},
            {"topic_prefix": "a b"},
        ],
    )
    def test_what_cannot_be_is_refused_at_the_start(self, wrong: dict[str, str]) -> None:
        with pytest.raises(ValidationError):
            Settings.model_validate(wrong)

    def test_secrets_do_not_show(self) -> None:
        settings = Settings.model_validate({"link_secret": "s" * 32, "mongo_url": "mongodb://u:pass@h/"})
        assert "s" * 32 not in repr(settings)
        assert "pass@" not in repr(settings)
