"""Assembly: settings in, connected parts out."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from spanledger.config.destinations import DEFAULT_DESTINATION
from spanledger.config.files import Look, look_at
from spanledger.config.loaded_prices import load_checked_prices
from spanledger.config.privacy import load_redaction
from spanledger.config.sections import Settings
from spanledger.core.delivery import Route
from spanledger.core.metering import Meter
from spanledger.core.redaction import Redaction
from spanledger.core.settling import Policy, Prices
from spanledger.core.times import NANO_PER_SECOND
from spanledger.ledger.ledger import Ledger
from spanledger.otlp.decode import require_fast_protobuf
from spanledger.service.pipeline import Options, OutboxLimits, Pipeline


@dataclass(frozen=True, slots=True)
class Parts:
    """A pipeline and what it works on. `price_files_seen` is how the price files were before they were read."""

    ledger: Ledger
    meter: Meter
    pipeline: Pipeline
    redaction: Redaction | None = None
    price_files_seen: Look = ()


def load_prices(settings: Settings) -> Prices:
    """Load the price book of the settings, and what is known of how clients price.

    Raises:
        ConfigError: a price file cannot be used, or the book made of them fails its check.
    """
    return load_checked_prices(settings.prices)


def assemble(settings: Settings, ledger_path: Path, *, forward: bool, prices: Prices | None = None) -> Parts:
    """Open the ledger, load the prices unless they are given, and connect both to a pipeline.

    Raises:
        ConfigError: the ledger, a price file or the protobuf backend cannot be used.
    """
    require_fast_protobuf()
    seen = look_at(settings.prices.paths)
    prices = prices or load_prices(settings)
    redaction = load_redaction(settings.privacy)
    metrics = settings.metrics
    ledger = Ledger.open(ledger_path, max_series=metrics.max_series, max_label_bytes=metrics.max_label_bytes)
    meter = Meter(settings.metrics.resource_labels, settings.prices.known_defaults.attributes)
    options = Options(
        policy_of(settings, prices),
        routes_of(settings) if forward else (),
        OutboxLimits(settings.forward.outbox_max_bytes, _nano(settings.forward.outbox_max_age_seconds)),
        settings.attributes.gen_ai_cost,
    )
    pipeline = Pipeline(ledger, prices, meter, options)
    pipeline.use(prices)
    return Parts(ledger, meter, pipeline, redaction, seen)


def routes_of(settings: Settings) -> tuple[Route, ...]:
    """What is forwarded where; all of it to the default destination when none is configured, as in a replay."""
    routes = tuple(Route(name, exporter.forwarded) for name, exporter in settings.exporters.items())
    return routes or (Route(DEFAULT_DESTINATION),)


def policy_of(settings: Settings, prices: Prices) -> Policy:
    """Settings of settling in the pipeline's unit, and what is known of clients that count too much."""
    return Policy(
        join_window_nano=_nano(settings.forward.join_window_seconds),
        join_tolerance_nano=_nano(settings.settle.join_tolerance_seconds),
        clock_skew_max_nano=_nano(settings.settle.clock_skew_max_seconds),
        residual_wait_nano=_nano(settings.settle.residual_wait_seconds),
        basis_rules=settings.basis.compiled,
        recounting=tuple(erratum.versions for erratum in prices.clients.counting),
    )


def _nano(seconds: float) -> int:
    return round(seconds * NANO_PER_SECOND)
