"""Settings: one YAML file, environment variables over it, command-line flags over both; all mistakes at once.

Every key can be set by the environment variable `SPANLEDGER_` + the key in capitals with `__` for `.`
(`SPANLEDGER_LEDGER__PATH`). The exporter also understands the standard `OTEL_EXPORTER_OTLP_*` variables.
"""

from __future__ import annotations

import difflib
import os
import re
import sys
from collections.abc import Iterator, Mapping
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any
from urllib.parse import unquote, urlsplit

import yaml
from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationError

from spanledger.core.errors import ConfigError
from spanledger.core.semconv import DEFAULT_RESOURCE_LABELS

ENVIRONMENT_PREFIX = "SPANLEDGER_"
FLAGS = {
    "receiver.grpc.endpoint": "--grpc",
    "receiver.http.endpoint": "--http",
    "ledger.path": "--ledger",
    "exporter.endpoint": "--otlp-endpoint",
    "exporter.protocol": "--otlp-protocol",
}
"""Settings that `spanledger serve` also takes as flags."""

_ENVIRONMENT_REFERENCE = re.compile(r"\$\{env:([A-Za-z_][A-Za-z0-9_]*)\}")
_PORT_MAX = 65_535
_MISSPELT_CUTOFF = 0.85
_LOCAL_HOSTS = frozenset({"localhost", "127.0.0.1", "::1", "0.0.0.0", "::"})  # noqa: S104 - recognised, not bound


class Protocol(StrEnum):
    """How to speak OTLP to the destination."""

    GRPC = "grpc"
    HTTP_PROTOBUF = "http/protobuf"


class Compression(StrEnum):
    """Compression of what is sent to the destination."""

    NONE = "none"
    GZIP = "gzip"


def _endpoint(value: str) -> str:
    host, colon, port = value.rpartition(":")
    if not colon or not host or not port.isdigit() or int(port) > _PORT_MAX:
        raise ValueError(f"{value!r} is not HOST:PORT, as in localhost:4317 or [::1]:4317")
    return value


def _url(value: str) -> str:
    parts = urlsplit(value if "://" in value else f"http://{value}")
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise ValueError(f"{value!r} is not a URL, as in http://localhost:4317")
    return value if "://" in value else f"http://{value}"


Endpoint = Annotated[str, AfterValidator(_endpoint)]
Url = Annotated[str, AfterValidator(_url)]
Seconds = Annotated[float, Field(ge=0, allow_inf_nan=False)]
PositiveSeconds = Annotated[float, Field(gt=0, allow_inf_nan=False)]


class _Section(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Grpc(_Section):
    """OTLP over gRPC."""

    endpoint: Endpoint = Field(default="localhost:4317", description="Where to receive OTLP over gRPC.")


class Http(_Section):
    """OTLP over HTTP."""

    endpoint: Endpoint = Field(default="localhost:4318", description="Where to receive OTLP over HTTP.")


class Receiver(_Section):
    """Receivers."""

    grpc: Grpc = Grpc()
    http: Http = Http()
    max_request_bytes: int = Field(
        default=64 * 2**20, gt=0, description="Largest request body taken, after decompression."
    )


class Ledger(_Section):
    """The ledger file."""

    path: Path = Field(
        default_factory=lambda: data_folder() / "ledger.db",
        description="The ledger file; by default in the user's data folder.",
    )


class Exporter(_Section):
    """The destination of telemetry and metrics."""

    endpoint: Url | None = Field(
        default=None, description="Where to send telemetry and metrics; without it only the ledger is kept."
    )
    traces_endpoint: Url | None = Field(default=None, description="Another URL for traces, used as it is (HTTP).")
    logs_endpoint: Url | None = Field(default=None, description="Another URL for logs, used as it is (HTTP).")
    metrics_endpoint: Url | None = Field(default=None, description="Another URL for metrics, used as it is (HTTP).")
    protocol: Protocol = Field(default=Protocol.GRPC, description="`grpc` or `http/protobuf`.")
    headers: dict[str, str] = Field(default={}, description="Headers or gRPC metadata of every request.")
    timeout_seconds: PositiveSeconds = Field(default=10.0, description="How long to wait for an answer.")
    compression: Compression = Field(default=Compression.NONE, description="`none` or `gzip`.")
    certificate_file: Path | None = Field(
        default=None, description="CA certificates for https, instead of the system's."
    )


class Retry(_Section):
    """Pauses between attempts."""

    initial_delay_seconds: PositiveSeconds = Field(default=1.0, description="Pause after the first failed attempt.")
    max_delay_seconds: PositiveSeconds = Field(default=60.0, description="Longest pause that backoff grows to.")


class Forward(_Section):
    """Forwarding of telemetry."""

    join_window_seconds: Seconds = Field(
        default=10.0, description="How long a span waits for its log event before it is priced alone; 0: not at all."
    )
    max_batch_bytes: int = Field(
        default=4 * 2**20, gt=0, description="Payloads of a signal are sent together up to this."
    )
    retry: Retry = Retry()


class Metrics(_Section):
    """Cost metrics."""

    interval_seconds: PositiveSeconds = Field(default=60.0, description="Time between two exports.")
    resource_labels: dict[str, str] = Field(
        default=DEFAULT_RESOURCE_LABELS, description="Resource attributes that become labels, and the label's name."
    )
    max_series: int = Field(
        default=10_000, gt=0, description="Series kept for each metric; what exceeds it goes to an overflow series."
    )


class Settle(_Section):
    """How records become calls."""

    join_tolerance_seconds: Seconds = Field(
        default=5.0, description="Without a request id, a log and a span this close in time can be one call."
    )
    clock_skew_max_seconds: Seconds = Field(
        default=7 * 86_400.0, description="A client's clock further off than this is replaced by the time of receipt."
    )
    residual_wait_seconds: Seconds = Field(
        default=30.0, description="How long after it came a client's sum is held against the calls received."
    )


class Prices(_Section):
    """Price files."""

    files: list[Path] = Field(default=[], description="Price files to use instead of the bundled list.")


class Attributes(_Section):
    """Attributes that are written on spans and log records."""

    gen_ai_cost: bool = Field(default=True, description="Write the proposed `gen_ai.usage.cost.*` attributes.")


class Settings(_Section):
    """All settings; every one has a default."""

    receiver: Receiver = Receiver()
    ledger: Ledger = Field(default_factory=Ledger)
    exporter: Exporter = Exporter()
    forward: Forward = Forward()
    metrics: Metrics = Metrics()
    settle: Settle = Settle()
    prices: Prices = Prices()
    attributes: Attributes = Attributes()


def data_folder() -> Path:
    """Folder for data of this user, by the platform's convention."""
    if sys.platform == "darwin":
        return Path.home() / "Library" / "Application Support" / "spanledger"
    if sys.platform == "win32":
        return Path(os.environ.get("LOCALAPPDATA", Path.home() / "AppData" / "Local")) / "spanledger"
    base = os.environ.get("XDG_DATA_HOME", "")
    return (Path(base) if Path(base).is_absolute() else Path.home() / ".local" / "share") / "spanledger"


def setting_keys() -> dict[str, tuple[str, Any, str]]:
    """Every key with its type, default and meaning, in order: what documentation is generated from."""
    return dict(_keys(Settings, ""))


def load_settings(file: Path | None, environ: Mapping[str, str], flags: Mapping[str, str]) -> Settings:
    """Read settings: `flags` (by key) over `environ` over `file`.

    Raises:
        ConfigError: every mistake, each with file and line, variable or flag.
    """
    problems: list[str] = []
    tree, origins = _read_file(file, environ, problems)
    given = {**_otel_variables(environ, problems), **_own_variables(environ, problems)}
    for key, (value, origin) in given.items():
        _put(tree, key, value)
        origins[key] = origin
    for key, value in flags.items():
        _put(tree, key, value)
        origins[key] = FLAGS.get(key, "given")
    try:
        settings = Settings.model_validate(tree)
    except ValidationError as error:
        problems.extend(_problem(dict(item), origins) for item in error.errors())
        raise ConfigError(problems) from None
    if problems:
        raise ConfigError(problems)
    return settings


def require_no_loop(settings: Settings) -> None:
    """Refuse a destination that is one of the service's own receivers: telemetry would run in a circle.

    The usual cause is `OTEL_EXPORTER_OTLP_ENDPOINT`, set for the client on the machine that the service runs on too.

    Raises:
        ConfigError: names each such key.
    """
    exporter, receiver = settings.exporter, settings.receiver
    own = {_host_and_port(f"//{endpoint}") for endpoint in (receiver.grpc.endpoint, receiver.http.endpoint)}
    problems = [
        f"exporter.{key}: {url} is this service's own receiver; set --otlp-endpoint, or unset the variable"
        for key in ("endpoint", "traces_endpoint", "logs_endpoint", "metrics_endpoint")
        if (url := getattr(exporter, key)) is not None and _host_and_port(url) in own
    ]
    if problems:
        raise ConfigError(problems)


def _keys(model: type[BaseModel], prefix: str) -> Iterator[tuple[str, tuple[str, Any, str]]]:
    for name, field in model.model_fields.items():
        kind = field.annotation
        if isinstance(kind, type) and issubclass(kind, BaseModel):
            yield from _keys(kind, f"{prefix}{name}.")
            continue
        default = "the user's data folder" if name == "path" else field.default
        yield f"{prefix}{name}", (_kind_name(kind), default, field.description or "")


def _kind_name(kind: Any) -> str:  # noqa: ANN401 - a type annotation
    text = str(kind)
    for word, shown in (("dict", "mapping"), ("list", "list"), ("Path", "path"), ("str", "text"), ("float", "number")):
        if word in text:
            return shown
    return {"<class 'int'>": "whole number", "<class 'bool'>": "true or false"}.get(text, "text")


def _read_file(
    file: Path | None, environ: Mapping[str, str], problems: list[str]
) -> tuple[dict[str, Any], dict[str, str]]:
    """The file as a tree, and where each key stands."""
    if file is None:
        return {}, {}
    try:
        node = yaml.compose(file.read_text(encoding="utf-8"), Loader=yaml.SafeLoader)
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError([f"{file}: configuration cannot be read: {error}"]) from None
    except yaml.YAMLError as error:
        raise ConfigError([f"{file}: is not YAML: {error}"]) from None
    if node is None:
        return {}, {}
    if not isinstance(node, yaml.MappingNode):
        raise ConfigError([f"{file}:1: settings are keys and values, as in `ledger: {{path: ledger.db}}`"])
    origins = {key: f"{file}:{line}" for key, line in _lines(node, "")}
    tree = yaml.safe_load(file.read_text(encoding="utf-8"))
    return _expanded(tree, environ, str(file), problems), origins


def _lines(node: yaml.MappingNode, prefix: str) -> Iterator[tuple[str, int]]:
    for key, value in node.value:
        name = f"{prefix}{key.value}"
        yield name, key.start_mark.line + 1
        if isinstance(value, yaml.MappingNode):
            yield from _lines(value, f"{name}.")


def _expanded(value: Any, environ: Mapping[str, str], file: str, problems: list[str]) -> Any:  # noqa: ANN401 - YAML
    """Replace `${env:NAME}` in texts, as a Collector does."""
    match value:
        case dict():
            return {str(key): _expanded(inner, environ, file, problems) for key, inner in value.items()}
        case list():
            return [_expanded(inner, environ, file, problems) for inner in value]
        case str():
            missing = [name for name in _ENVIRONMENT_REFERENCE.findall(value) if name not in environ]
            problems.extend(f"{file}: ${{env:{name}}}: no such environment variable" for name in missing)
            return _ENVIRONMENT_REFERENCE.sub(lambda match: environ.get(match[1], ""), value)
        case _:
            return value


def _own_variables(environ: Mapping[str, str], problems: list[str]) -> dict[str, tuple[Any, str]]:
    keys = setting_keys()
    by_variable = {variable_of(key): key for key in keys}
    given: dict[str, tuple[Any, str]] = {}
    for name, value in environ.items():
        if not name.startswith(ENVIRONMENT_PREFIX):
            continue
        key = by_variable.get(name)
        if key is None:
            nearest = difflib.get_close_matches(name, by_variable, n=1, cutoff=_MISSPELT_CUTOFF)
            if not nearest and "__" not in name:
                continue  # Kubernetes gives every pod variables of a service named spanledger, SPANLEDGER_SERVICE_HOST
            problems.append(f"{name}: no such setting" + (f"; did you mean {nearest[0]}?" if nearest else ""))
            continue
        kind = keys[key][0]
        given[key] = (_parsed(value) if kind in ("mapping", "list") else value, name)
    return given


def variable_of(key: str) -> str:
    """Environment variable of a setting."""
    return ENVIRONMENT_PREFIX + key.upper().replace(".", "__")


def _parsed(value: str) -> Any:  # noqa: ANN401 - YAML
    try:
        return yaml.safe_load(value)
    except yaml.YAMLError:
        return value


def _otel_variables(environ: Mapping[str, str], problems: list[str]) -> dict[str, tuple[Any, str]]:
    """Settings from the standard variables of OpenTelemetry exporters; an empty variable is unset (specification)."""
    plain = {
        "ENDPOINT": "exporter.endpoint",
        "TRACES_ENDPOINT": "exporter.traces_endpoint",
        "LOGS_ENDPOINT": "exporter.logs_endpoint",
        "METRICS_ENDPOINT": "exporter.metrics_endpoint",
        "PROTOCOL": "exporter.protocol",
        "COMPRESSION": "exporter.compression",
        "CERTIFICATE": "exporter.certificate_file",
    }
    given: dict[str, tuple[Any, str]] = {}
    for suffix, key in plain.items():
        name = f"OTEL_EXPORTER_OTLP_{suffix}"
        if environ.get(name):
            given[key] = (environ[name], name)
    timeout = environ.get("OTEL_EXPORTER_OTLP_TIMEOUT")
    if timeout:
        given["exporter.timeout_seconds"] = (timeout, "OTEL_EXPORTER_OTLP_TIMEOUT")
    headers = environ.get("OTEL_EXPORTER_OTLP_HEADERS")
    if headers:
        given["exporter.headers"] = (_headers(headers, problems), "OTEL_EXPORTER_OTLP_HEADERS")
    return given


def _headers(text: str, problems: list[str]) -> dict[str, str]:
    """Read `key=value,key=value` with percent-encoded values (W3C baggage form)."""
    headers: dict[str, str] = {}
    for part in filter(None, (part.strip() for part in text.split(","))):
        key, equals, value = part.partition("=")
        if not equals or not key.strip():
            problems.append(f"OTEL_EXPORTER_OTLP_HEADERS: {part!r} is not KEY=VALUE")
            continue
        headers[unquote(key.strip()).lower()] = unquote(value.strip())
    return headers


def _put(tree: dict[str, Any], key: str, value: Any) -> None:  # noqa: ANN401 - a setting's value
    *parents, last = key.split(".")
    for name in parents:
        inner = tree.get(name)
        if not isinstance(inner, dict):
            inner = tree[name] = {}
        tree = inner
    tree[last] = value


def _problem(item: dict[str, Any], origins: Mapping[str, str]) -> str:
    key = ".".join(str(step) for step in item["loc"])
    origin = origins.get(key) or next((place for known, place in origins.items() if key.startswith(known + ".")), "")
    place = f"{origin}: {key}" if origin else key
    if item["type"] == "extra_forbidden":
        return f"{place}: no such setting{_nearest(key)}"
    return f"{place}: {str(item['msg']).removeprefix('Value error, ')}"


def _host_and_port(url: str) -> tuple[str, int | None]:
    parts = urlsplit(url)
    host = parts.hostname or ""
    return ("localhost" if host in _LOCAL_HOSTS else host, parts.port)


def _nearest(key: str) -> str:
    known = list(setting_keys())
    sections = {name.rsplit(".", 1)[0] for name in known}
    found = difflib.get_close_matches(key, [*known, *sections], n=1)
    return f"; did you mean {found[0]}?" if found else ""
