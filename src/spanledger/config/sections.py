"""The sections of the settings: every key with its type, default and meaning, as pydantic models.

`settings` reads them from file, environment and flags; docs/reference/configuration.md is generated from them.
"""

from __future__ import annotations

import os
import sys
from enum import StrEnum
from pathlib import Path
from typing import Annotated
from urllib.parse import urlsplit

from pydantic import AfterValidator, BaseModel, ConfigDict, Field

from spanledger.core.semconv import DEFAULT_RESOURCE_LABELS

_PORT_MAX = 65_535


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
