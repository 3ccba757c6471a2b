"""Prices records of a process by the core that the service prices by."""

from __future__ import annotations

import os
import time
from collections.abc import Mapping
from dataclasses import replace
from functools import cache

from opentelemetry.metrics import MeterProvider, get_meter_provider

from spanledger.config.loaded_prices import load_checked_prices
from spanledger.config.sections import Settings
from spanledger.config.settings import ENVIRONMENT_PREFIX, load_settings
from spanledger.core.batch import Batch, LogData, Scalar, SpanData
from spanledger.core.enrichment import attributes_for
from spanledger.core.events import Event
from spanledger.core.genai import GenAiUsage
from spanledger.core.metering import Meter, Metered
from spanledger.core.posting import Charge, Status
from spanledger.core.settling import Policy, Prices, Sighting, charge_for
from spanledger.core.times import NANO_PER_SECOND
from spanledger.core.usage import Evidence, Signal, UsageRecord
from spanledger.logs import tell
from spanledger.sdk.calls import Sight
from spanledger.sdk.records import Candidate
from spanledger.sdk.totals import Totals


@cache
def process_pricer() -> Pricer:
    """Give the pricer of this process: the SDK makes span and log exporter apart and without arguments.

    Settings come from our own variables alone: the standard ones speak to the exporter behind.

    Raises:
        ConfigError: a setting or a price file cannot be used.
    """
    own = {name: value for name, value in os.environ.items() if name.startswith(ENVIRONMENT_PREFIX)}
    return Pricer(load_settings(None, own, {}))


class Pricer:
    """Turns a candidate into the attributes to add to it, and counts its call. For any thread.

    Span and log exporter of a program share one, for a call may come to both.

    Raises:
        ConfigError: a setting or a price file cannot be used.
    """

    def __init__(
        self, settings: Settings, *, meter_provider: MeterProvider | None = None, prices: Prices | None = None
    ) -> None:
        self.settings = settings
        self._prices = prices or load_checked_prices(settings.prices)
        self._meter = Meter(settings.metrics.resource_labels, settings.prices.known_defaults.attributes)
        # Nothing waits here: there is no join, and no client's sums to hold calls against.
        self._policy = Policy(0, 0, round(settings.settle.clock_skew_max_seconds * NANO_PER_SECOND))
        metrics = settings.metrics
        self._totals = Totals(settings.sdk.max_calls, metrics.max_series, metrics.max_label_bytes)
        # The global provider may not be set yet; the proxy that stands for it hands our counters on.
        self._totals.attach(meter_provider or get_meter_provider())

    def attributes(self, candidate: Candidate) -> Mapping[str, Scalar]:
        """Attributes that say what the call costs; none when the record says too little or repeats a call."""
        record = self._record(candidate.data)
        if record is None:
            return {}
        charge = self._charge(record, candidate.gen_ai)
        if self._totals.count(record, charge, place=candidate.place, parent=candidate.parent) is Sight.WRAPPER:
            return {}
        # What a program itself says in the words of the convention stays as it is.
        shown = record if candidate.gen_ai is None else replace(record, evidence=Evidence.LOG)
        return attributes_for(shown, charge, gen_ai_cost=self.settings.attributes.gen_ai_cost)

    def _charge(self, record: UsageRecord, gen_ai: GenAiUsage | None) -> Charge:
        now_unix_nano = time.time_ns()
        if gen_ai is None:
            return charge_for(Sighting(record, now_unix_nano), self._prices, self._policy)
        # Like a log event it stands alone: nothing is to come that could complete it.
        alone = Sighting(replace(record, evidence=Evidence.LOG), now_unix_nano)
        charge = charge_for(alone, self._prices, self._policy)
        return replace(charge, evidence=record.evidence, status=_status(charge.status, gen_ai))

    def _record(self, data: SpanData | LogData) -> UsageRecord | None:
        match data:
            case SpanData():
                metered = self._meter.meter(Batch(Signal.TRACES, 1, (0,), spans=(data,)))
            case LogData():
                metered = self._meter.meter(Batch(Signal.LOGS, 1, (0,), logs=(data,)))
        self._tell(metered)
        return metered.usage[0]

    def _tell(self, metered: Metered) -> None:
        self._totals.drop(problem.reason for problem in metered.problems)
        for problem in metered.problems:
            tell(Event.PLUG_IN_USAGE_UNREADABLE, detail=problem.detail)


def _status(status: Status, usage: GenAiUsage) -> Status:
    if status is not Status.EXACT:
        return status
    if not usage.input_known:
        return Status.LOWER_BOUND
    return Status.EXACT if usage.served else Status.PROVISIONAL
