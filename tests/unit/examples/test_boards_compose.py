"""The compose example of the boards: what it mounts is there, and every service has the address that others use."""

from __future__ import annotations

from pathlib import Path
from urllib.parse import urlsplit

import yaml

from spanledger.config.settings import load_settings, require_no_loop

BOARDS = Path(__file__).parents[3] / "dashboards"
COMPOSE = yaml.safe_load((BOARDS / "compose" / "compose.yaml").read_text())["services"]
SOURCES = yaml.safe_load((BOARDS / "provisioning" / "datasources.yaml").read_text())["datasources"]


def mounts(service: str) -> dict[str, Path]:
    """Path in the container and file or folder here, without named volumes."""
    pairs = (volume.split(":")[:2] for volume in COMPOSE[service]["volumes"])
    return {inside: (BOARDS / "compose" / here).resolve() for here, inside in pairs if here.startswith(".")}


def test_everything_mounted_is_there() -> None:
    missing = [path for service in COMPOSE for path in mounts(service).values() if not path.exists()]
    assert missing == []


def test_grafana_has_every_board_in_the_folder_that_it_looks_at() -> None:
    (provider,) = yaml.safe_load((BOARDS / "provisioning" / "dashboards.yaml").read_text())["providers"]
    folder = provider["options"]["path"]
    mounted = {path.name for inside, path in mounts("grafana").items() if inside.startswith(folder)}
    assert mounted == {path.name for path in BOARDS.glob("*.json")}
    assert COMPOSE["grafana"]["environment"]["GF_DASHBOARDS_DEFAULT_HOME_DASHBOARD_PATH"] == f"{folder}/overview.json"


def test_prometheus_has_the_rules_and_takes_otlp() -> None:
    config = yaml.safe_load((BOARDS / "compose" / "prometheus.yml").read_text())
    rules = mounts("prometheus")["/etc/prometheus/rules"]
    assert {Path(file).name for file in config["rule_files"]} == {"recording.yaml", "boards.yaml", "alerts.yaml"}
    assert all((rules / Path(file).name).exists() for file in config["rule_files"])
    assert "--web.enable-otlp-receiver" in COMPOSE["prometheus"]["command"]


def test_spanledger_sends_to_the_services_that_there_are() -> None:
    settings = load_settings(BOARDS / "compose" / "spanledger.yaml", {}, {})
    require_no_loop(settings)
    hosts = {urlsplit(one.endpoint).hostname for one in settings.destinations.values()}
    assert hosts == {"tempo", "loki", "prometheus"}
    assert {urlsplit(one["url"]).hostname for one in SOURCES} == hosts
    assert hosts <= COMPOSE.keys()
    assert settings.budgets.limits


def test_rates_know_how_often_metrics_come() -> None:
    (prometheus,) = (one for one in SOURCES if one["type"] == "prometheus")
    assert prometheus["jsonData"]["timeInterval"] == f"{load_settings(None, {}, {}).metrics.interval_seconds:g}s"
