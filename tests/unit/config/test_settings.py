"""Settings: flags over environment over file, and every mistake at once with its place."""

from __future__ import annotations

from pathlib import Path

import pytest

from spanledger.config.destinations import Compression, Protocol
from spanledger.config.sections import Settings
from spanledger.config.settings import load_settings, require_no_loop, setting_keys, variable_of
from spanledger.core.errors import ConfigError
from spanledger.core.usage import Signal


def written(tmp_path: Path, text: str) -> Path:
    path = tmp_path / "spanledger.yaml"
    path.write_text(text)
    return path


def problems_of(file: Path | None, environ: dict[str, str], flags: dict[str, str] | None = None) -> list[str]:
    with pytest.raises(ConfigError) as caught:
        load_settings(file, environ, flags or {})
    return list(caught.value.problems)


def test_flags_win_over_environment_and_environment_over_file(tmp_path: Path) -> None:
    file = written(tmp_path, "receiver: {grpc: {endpoint: 'a:1'}, http: {endpoint: 'a:2'}}\nledger: {path: a.db}\n")
    environ = {"SPANLEDGER_RECEIVER__GRPC__ENDPOINT": "b:1", "SPANLEDGER_RECEIVER__HTTP__ENDPOINT": "b:2"}
    settings = load_settings(file, environ, {"receiver.grpc.endpoint": "c:1"})
    assert settings.receiver.grpc.endpoint == "c:1"
    assert settings.receiver.http.endpoint == "b:2"
    assert settings.ledger.path == Path("a.db")


def test_every_key_can_be_set_by_its_variable() -> None:
    for key in setting_keys():
        assert problems_of(None, {variable_of(key)[:-1]: "x"})[0].endswith(f"did you mean {variable_of(key)}?")


def test_maps_and_lists_in_variables_are_yaml() -> None:
    environ = {
        "SPANLEDGER_METRICS__RESOURCE_LABELS": "{squad.id: squad}",
        "SPANLEDGER_PRICES__FILES": "[a.yaml, b.yaml]",
    }
    settings = load_settings(None, environ, {})
    assert settings.metrics.resource_labels == {"squad.id": "squad"}
    assert settings.prices.files == [Path("a.yaml"), Path("b.yaml")]


def test_the_standard_exporter_variables_are_understood() -> None:
    environ = {
        "OTEL_EXPORTER_OTLP_ENDPOINT": "collector:4317",
        "OTEL_EXPORTER_OTLP_METRICS_ENDPOINT": "https://mimir/otlp/v1/metrics",
        "OTEL_EXPORTER_OTLP_PROTOCOL": "http/protobuf",
        "OTEL_EXPORTER_OTLP_HEADERS": "Authorization=Bearer%20t, x-scope=team=a",
        "OTEL_EXPORTER_OTLP_COMPRESSION": "gzip",
        "OTEL_EXPORTER_OTLP_TIMEOUT": "3",
        "OTEL_EXPORTER_OTLP_LOGS_ENDPOINT": "",
    }
    exporter = load_settings(None, environ, {}).exporter
    assert exporter.endpoint == "http://collector:4317"
    assert exporter.metrics.endpoint == "https://mimir/otlp/v1/metrics"
    assert exporter.logs.endpoint is None  # the specification: an empty variable is unset
    assert exporter.protocol is Protocol.HTTP_PROTOBUF
    assert exporter.headers == {"authorization": "Bearer t", "x-scope": "team=a"}
    assert exporter.compression is Compression.GZIP
    assert exporter.timeout_seconds == 3


def test_variables_of_an_orchestrator_are_not_settings() -> None:
    environ = {"SPANLEDGER_SERVICE_HOST": "10.0.0.1", "SPANLEDGER_PORT_4317_TCP_ADDR": "10.0.0.1"}
    assert load_settings(None, environ, {}) == load_settings(None, {}, {})


def test_every_mistake_is_told_at_once_with_its_place(tmp_path: Path) -> None:
    file = written(
        tmp_path,
        "receiver:\n  grpc:\n    endpoint: 4317\nfoward: {}\nforward:\n  join_window_seconds: -1\n"
        "exporter:\n  headers: {a: '${env:NO_SUCH}'}\n",
    )
    environ = {"SPANLEDGER_METRICS__INTERVAL_SECONDS": "soon", "OTEL_EXPORTER_OTLP_HEADERS": "oops"}
    problems = problems_of(file, environ, {"ledger.path": "x", "receiver.http.endpoint": ":80"})
    said = "\n".join(problems)
    for part in (
        f"{file}:3: receiver.grpc.endpoint: Input should be a valid string",
        f"{file}:4: foward: no such setting; did you mean forward?",
        f"{file}:6: forward.join_window_seconds: Input should be greater than or equal to 0",
        f"{file}: ${{env:NO_SUCH}}: no such environment variable",
        "SPANLEDGER_METRICS__INTERVAL_SECONDS: metrics.interval_seconds: ",
        "OTEL_EXPORTER_OTLP_HEADERS: part 1 is not KEY=VALUE",
        "--http: receiver.http.endpoint: ':80' is not HOST:PORT",
    ):
        assert part in said
    assert len(problems) == 7


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("- a\n", ":1: settings are keys and values"),
        ("a: [\n", "is not YAML"),
        ("a: b: c\n", "is not"),
        ("ledger: !path a.db\n", ":1: is not YAML: could not determine a constructor for the tag '!path'"),
    ],
)
def test_a_file_that_is_no_settings_is_told(text: str, said: str, tmp_path: Path) -> None:
    assert said in problems_of(written(tmp_path, text), {})[0]


@pytest.mark.parametrize(
    ("name", "read"),
    [("no", "False"), ("on", "True"), ("Yes", "True"), ("010", "8"), ("1_000", "1000"), ("1.50", "1.5")],
)
def test_a_name_that_yaml_takes_for_something_else_must_be_quoted(name: str, read: str, tmp_path: Path) -> None:
    problem = problems_of(written(tmp_path, f"destinations:\n  {name}: {{endpoint: 'a:1'}}\n"), {})[0]
    said = f'{name}: YAML takes {name} for {read}; write it in quotes: "{name}"'
    assert problem == f"{tmp_path / 'spanledger.yaml'}:2: destinations.{said}"
    variable = problems_of(None, {"SPANLEDGER_DESTINATIONS": f"{{{name}: {{endpoint: 'a:1'}}}}"})
    assert (
        variable[0] == f'SPANLEDGER_DESTINATIONS:1: {name}: YAML takes {name} for {read}; write it in quotes: "{name}"'
    )


def test_a_name_in_quotes_is_that_name_and_so_is_a_plain_number(tmp_path: Path) -> None:
    file = written(tmp_path, "destinations:\n  'no': {endpoint: 'a:1'}\n  12: {endpoint: 'a:2'}\n")
    assert list(load_settings(file, {}, {}).destinations) == ["no", "12"]


def test_an_empty_file_is_all_defaults(tmp_path: Path) -> None:
    assert load_settings(written(tmp_path, "# nothing\n"), {}, {}) == Settings()


def test_secrets_come_from_the_environment(tmp_path: Path) -> None:
    file = written(tmp_path, "exporter: {endpoint: 'http://c:1', headers: {authorization: 'Bearer ${env:TOKEN}'}}\n")
    assert load_settings(file, {"TOKEN": "t"}, {}).exporter.headers == {"authorization": "Bearer t"}


METRICS, LOGS = "{metrics: {endpoint: 'http://m:1'}}", "{logs: {endpoint: 'http://l:1'}}"


@pytest.mark.parametrize(
    ("text", "forwarded", "tells_cost"),
    [
        ("exporter: {endpoint: 'http://c:1'}\n", set(Signal), True),
        (f"exporter: {METRICS}\n", {Signal.METRICS}, True),
        (f"exporter: {LOGS}\n", {Signal.LOGS}, False),
        (f"destinations: {{far: {METRICS}}}\n", {Signal.METRICS}, True),
        (f"destinations: {{far: {LOGS}}}\n", {Signal.LOGS}, False),
        ("destinations: {far: {endpoint: 'http://c:1', signals: [logs]}}\n", {Signal.LOGS}, True),
        ("destinations: {far: {signals: [], metrics: {endpoint: 'http://c:1'}}}\n", set(), True),
    ],
)
def test_what_has_an_endpoint_is_sent(text: str, forwarded: set[Signal], tells_cost: bool, tmp_path: Path) -> None:
    (one,) = load_settings(written(tmp_path, text), {}, {}).exporters.values()
    assert (one.forwarded, one.tells_cost) == (forwarded, tells_cost)


def test_a_standard_variable_for_one_signal_alone_is_a_destination_of_that_signal() -> None:
    environ = {"OTEL_EXPORTER_OTLP_METRICS_ENDPOINT": "http://mimir/otlp/v1/metrics"}
    assert load_settings(None, environ, {}).exporter.forwarded == {Signal.METRICS}
    assert load_settings(None, {}, {}).exporters == {}


@pytest.mark.parametrize(
    ("far", "said"),
    [
        ("{signals: [logs, traces], metrics: {endpoint: 'http://m:1'}}", "signals: logs, traces have no endpoint"),
        ("{cost_metrics: true, logs: {endpoint: 'http://l:1'}}", "cost_metrics: metrics have no endpoint"),
        ("{signals: [logs]}", "endpoint: a destination needs one"),
    ],
)
def test_a_signal_that_a_destination_is_named_for_needs_an_endpoint(far: str, said: str, tmp_path: Path) -> None:
    file = written(tmp_path, f"destinations:\n  far: {far}\n")
    (problem,) = problems_of(file, {})
    assert problem.startswith(f"{file}:2: destinations.far: {said}")


@pytest.mark.parametrize("url", ["http://localhost:4317", "http://127.0.0.1:4318", "http://[::1]:4318/v1/traces"])
def test_a_destination_that_is_the_service_itself_is_a_loop(url: str) -> None:
    settings = load_settings(None, {"OTEL_EXPORTER_OTLP_ENDPOINT": url}, {})
    with pytest.raises(ConfigError, match="own receiver"):
        require_no_loop(settings)


def test_another_port_or_host_is_no_loop() -> None:
    for url in ("http://localhost:14317", "http://collector:4317"):
        require_no_loop(load_settings(None, {"OTEL_EXPORTER_OTLP_ENDPOINT": url}, {}))
