"""The sections of the settings: every key with its type, default and meaning, as pydantic models.

`settings` reads them from file, environment and flags; docs/reference/configuration.md is generated from them.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path

from pydantic import Field

from spanledger.config.basis import BasisSection
from spanledger.config.budgets import Budgets
from spanledger.config.destinations import DEFAULT_DESTINATION, Exporter, MoreExporter, Name
from spanledger.config.fields import Endpoint, PositiveSeconds, Seconds, Section, TimeZone
from spanledger.config.price_defaults import PriceDefault, defaults_of
from spanledger.config.prices import Layers
from spanledger.config.privacy import Privacy
from spanledger.config.receivers import Receiver
from spanledger.core.defaults import Defaults
from spanledger.core.events import Level, LogFormat
from spanledger.core.genai import InputTokens
from spanledger.core.labels import MAX_LABEL_BYTES, MIN_LABEL_BYTES
from spanledger.core.semconv import DEFAULT_RESOURCE_LABELS
from spanledger.core.usage import Temporality


class Ledger(Section):
    """The ledger file."""

    path: Path = Field(
        default_factory=lambda: data_folder() / "ledger.db",
        description="The ledger file; by default in the user's data folder.",
    )
    commit_wait_seconds: PositiveSeconds = Field(
        default=8.0, description="How long a sender waits for the commit before it is told to try again."
    )


class Retry(Section):
    """Pauses between attempts."""

    initial_delay_seconds: PositiveSeconds = Field(default=1.0, description="Pause after the first failed attempt.")
    max_delay_seconds: PositiveSeconds = Field(default=60.0, description="Longest pause that backoff grows to.")
    max_server_delay_seconds: PositiveSeconds = Field(
        default=300.0, description="Longest pause that a destination can ask for (Retry-After, RetryInfo)."
    )


class Forward(Section):
    """Forwarding of telemetry."""

    join_window_seconds: Seconds = Field(
        default=10.0, description="How long a span waits for its log event before it is priced alone; 0: not at all."
    )
    max_batch_bytes: int = Field(
        default=4 * 2**20, gt=0, description="Payloads of a signal are sent together up to this."
    )
    retry: Retry = Retry()
    flush_timeout_seconds: Seconds = Field(
        default=5.0, description="How long to send what is ready when the service stops; the rest waits in the ledger."
    )
    outbox_max_bytes: int = Field(
        default=2**30, gt=0, description="What is kept for a destination that takes nothing; then its copy is dropped."
    )
    outbox_max_age_seconds: PositiveSeconds = Field(
        default=3 * 86_400.0, description="How long a payload is kept for a destination that does not take it."
    )


class Metrics(Section):
    """Cost metrics."""

    interval_seconds: PositiveSeconds = Field(default=60.0, description="Time between two exports.")
    temporality: Temporality = Field(
        default=Temporality.CUMULATIVE,
        description="How rising sums are sent: `cumulative`, or `delta`: what is new. Others are cumulative always.",
    )
    resource_labels: dict[str, str] = Field(
        default=DEFAULT_RESOURCE_LABELS,
        description="Resource attributes that become labels, and the label's name. Of several attributes for one label "
        "the first that a sender states counts.",
    )
    max_series: int = Field(
        default=10_000, gt=0, description="Series kept for each metric; what exceeds it goes to an overflow series."
    )
    max_label_bytes: int = Field(
        default=MAX_LABEL_BYTES,
        ge=MIN_LABEL_BYTES,
        description="A longer value of a label is cut, and ends in `…` and a digest of the whole.",
    )
    max_request_bytes: int = Field(
        default=4 * 2**20, gt=0, description="An export larger than this is sent in several requests."
    )


class Settle(Section):
    """How records become calls."""

    join_tolerance_seconds: Seconds = Field(
        default=5.0, description="Without a request id, a log and a span this close in time can be one call."
    )
    clock_skew_max_seconds: Seconds = Field(
        default=7 * 86_400.0, description="A client's clock further off than this is replaced by the time of receipt."
    )
    residual_wait_seconds: Seconds = Field(
        default=30.0,
        description="How long after it came a client's sum is held against the calls received; at most twice as long.",
    )


class Prices(Section):
    """Price files."""

    files: list[Path] = Field(default=[], description="Price files to use instead of the bundled list.")
    updates: list[Path] = Field(
        default=[], description="Newer price files over the list: a model in one takes the place of that model."
    )

    contract: Path | None = Field(
        default=None, description="The organisation's contract: aliases, own prices and discounts (docs/prices.md)."
    )

    defaults: list[PriceDefault] = Field(
        default=[],
        description="What telemetry does not say of a call: provider, region, residency, time to live of cache writes; "
        "of each the first entry that matches counts (docs/prices.md).",
    )
    reload_interval_seconds: Seconds = Field(
        default=5.0,
        description="How often the files are looked at; changed ones are loaded. 0: on SIGHUP alone.",
    )
    stale_after_days: float = Field(
        default=30.0, gt=0, description="Age of the last check of the price list that is warned of."
    )

    @property
    def paths(self) -> tuple[Path, ...]:
        """Every file that the price book is read from; none when it is the bundled one."""
        contract = () if self.contract is None else (self.contract,)
        return (*self.files, *self.updates, *contract)

    @property
    def known_defaults(self) -> Defaults:
        """What is configured of calls that their telemetry does not say."""
        return defaults_of(self.defaults)

    @property
    def layers(self) -> Layers:
        """The files that the price book is made of."""
        return Layers(tuple(self.files), tuple(self.updates), self.contract)


class Calendar(Section):
    """Days, weeks and months."""

    timezone: TimeZone = Field(
        default="UTC", description="Time zone of budgets, of `spanledger.cost.period`, and of reports unless told."
    )


class Attributes(Section):
    """Attributes that are written on spans and log records."""

    gen_ai_cost: bool = Field(default=True, description="Write the proposed `gen_ai.usage.cost.*` attributes.")


class Sdk(Section):
    """The plug-in for Python programs (docs/plug-in.md)."""

    traces_exporter: str = Field(default="otlp", description="Exporter behind the plug-in's: an entry point's name.")
    logs_exporter: str = Field(default="otlp", description="The same for log records.")
    input_tokens: InputTokens = Field(
        default=InputTokens.AUTO,
        description="What `gen_ai.usage.input_tokens` of the program counts: `includes_cached`, `excludes_cached`, or "
        "`auto`: as each record tells.",
    )
    max_calls: int = Field(default=10_000, gt=0, description="Calls remembered, so that each is counted once.")


class Admin(Section):
    """Health and the component's metrics, on a port of their own."""

    endpoint: Endpoint | None = Field(
        default="localhost:8890",
        description="Where `/healthz`, `/readyz` and `/metrics` are answered; `null`: nowhere.",
    )


class Log(Section):
    """The log, on standard error (docs/reference/logs.md)."""

    format: LogFormat = Field(
        default=LogFormat.CONSOLE, description="`console`: for people; `json`: one JSON object a line."
    )
    level: Level = Field(default=Level.INFO, description="The least that is written: `debug` to `error`.")
    repeat_interval_seconds: Seconds = Field(
        default=60.0, description="Lines alike are written once in this time, and then as one with their count; 0: all."
    )


class Settings(Section):
    """All settings; every one has a default."""

    receiver: Receiver = Receiver()
    admin: Admin = Admin()
    ledger: Ledger = Field(default_factory=Ledger)
    exporter: Exporter = Exporter()
    destinations: dict[Name, MoreExporter] = Field(
        default={}, description="Further destinations by name; keys of `exporter`, `signals` and `cost_metrics` each."
    )
    forward: Forward = Forward()
    metrics: Metrics = Metrics()
    settle: Settle = Settle()
    prices: Prices = Prices()
    basis: BasisSection = BasisSection()
    calendar: Calendar = Calendar()
    budgets: Budgets = Budgets()
    attributes: Attributes = Attributes()
    sdk: Sdk = Sdk()
    privacy: Privacy = Privacy()
    log: Log = Log()

    @property
    def exporters(self) -> dict[str, Exporter]:
        """Destinations by name, each with an endpoint for a signal at least; `exporter` is the first of them."""
        default = {DEFAULT_DESTINATION: self.exporter} if self.exporter.forwarded else {}
        return {**default, **self.destinations}


def data_folder() -> Path:
    """Folder for data of this user, by the platform's convention."""
    if sys.platform == "darwin":
        return Path.home() / "Library" / "Application Support" / "spanledger"
    if sys.platform == "win32":
        return Path(os.environ.get("LOCALAPPDATA", Path.home() / "AppData" / "Local")) / "spanledger"
    base = os.environ.get("XDG_DATA_HOME", "")
    return (Path(base) if Path(base).is_absolute() else Path.home() / ".local" / "share") / "spanledger"
