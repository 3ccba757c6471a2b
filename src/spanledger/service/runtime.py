"""The running service: receivers in front, the ledger's thread behind, forwarding and metrics out."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from random import Random

from spanledger.config.sections import Settings
from spanledger.core.delivery import Delivery, Payload, Receipt
from spanledger.core.events import Event
from spanledger.core.settling import Prices
from spanledger.core.times import NANO_PER_DAY, NANO_PER_SECOND, shown_time
from spanledger.core.usage import Signal, Temporality
from spanledger.exporter.forward import Forwarder
from spanledger.exporter.metrics import MetricsExporter, Part, RequestLimits, Sent, with_body
from spanledger.exporter.retry import Backoff
from spanledger.ledger.faults import fault_of
from spanledger.ledger.ledger import Ledger
from spanledger.logs import tell
from spanledger.otlp.screen import Screener
from spanledger.receiver.admin_server import AdminServer
from spanledger.service.admin import ServiceAdmin
from spanledger.service.assembly import Parts, load_prices
from spanledger.service.budget_watch import BudgetWatch
from spanledger.service.clock_steps import BelievedAges
from spanledger.service.component_gauges import component_readings
from spanledger.service.destinations import NamedClient
from spanledger.service.gauges import Reader, readers
from spanledger.service.ledger_watch import LedgerWatch
from spanledger.service.pipeline import Accepted
from spanledger.service.price_files import PriceFiles
from spanledger.service.receivers import Receivers
from spanledger.service.self_telemetry import SelfTelemetry
from spanledger.service.series_export import SeriesExport, resource_of
from spanledger.service.worker import LedgerWorker
from spanledger.telemetry import Counter, Counters

_ADVANCE_PAUSE_MAX_SECONDS = 1.0
_RECOVERY_PAUSE_SECONDS = 1.0
_BUDGET_PAUSE_SECONDS = 15.0
_DAYS_PAUSE_SECONDS = 5.0
_AGES_PAUSE_SECONDS = 2.0
_ADMIN_GRACE_SECONDS = 1.0
_LEDGER_GRACE_SECONDS = 1.0


@dataclass(frozen=True, slots=True)
class Addresses:
    """Where the service listens, as `host:port`."""

    grpc: str
    http: str
    admin: str | None = None


class Service:
    """Receivers, pipeline and exporters of one ledger, from `start` to `stop`.

    Without destinations nothing is forwarded and no metrics leave: the ledger alone is kept.
    """

    def __init__(self, settings: Settings, parts: Parts, destinations: Sequence[NamedClient]) -> None:
        self.counters = Counters()
        self.watch = LedgerWatch(self.counters, parts.ledger.database.mark_damaged)
        self._settings = settings
        self._parts = parts
        self._worker = LedgerWorker(
            parts.pipeline,
            parts.meter,
            time.time_ns,
            self._on_accepted,
            self.watch.failed,
            redaction=parts.redaction,
            wait_max_seconds=settings.ledger.commit_wait_seconds,
            screener=Screener(settings.receiver.content_limits),
        )
        self._ages = BelievedAges(parts.pipeline.outbox_max_age_nano, time.time_ns, time.monotonic_ns)
        self._budgets = BudgetWatch(settings, settings.ledger.path)
        self.price_files = PriceFiles(
            settings.prices.paths,
            parts.price_files_seen,
            lambda: load_prices(settings),
            self._use,
            self.counters,
            interval_seconds=settings.prices.reload_interval_seconds,
        )
        waited_for = parts.ledger.outbox.destinations()
        known = dict.fromkeys([*(destination.name for destination in destinations), *waited_for])
        self._telemetry = SelfTelemetry(self.counters, resource_of(parts.ledger), known)
        all_readers: tuple[Reader, ...] = (
            *readers(
                parts.ledger,
                [destination.name for destination in destinations],
                lambda: parts.pipeline.prices,
                lambda: self.price_files.refused,
            ),
            self._budgets.readings,
            lambda now_unix_nano: component_readings(parts.ledger, self.watch.fault, now_unix_nano),
        )
        self._request_limits = RequestLimits(settings.metrics.max_label_bytes, settings.metrics.max_request_bytes)
        self._series_export = SeriesExport(
            parts.ledger,
            parts.pipeline,
            all_readers,
            self.counters,
            settings.metrics.temporality,
            self.watch.failed,
            self._request_limits,
        )
        self._forwarders = [self._payload_forwarder(to) for to in destinations if to.signals]
        self._metrics_exporters = [self._metrics_exporter(to) for to in destinations if to.cost_metrics]
        self._senders: tuple[Forwarder | MetricsExporter, ...] = (*self._forwarders, *self._metrics_exporters)
        self._destinations = tuple(destinations)
        self._stopping = asyncio.Event()
        self._tasks: list[asyncio.Task[None]] = []
        self._receivers = Receivers(settings.receiver, self, self.counters, lambda: self._worker.undecided)
        self._admin = self._admin_server(all_readers)

    async def start(self) -> Addresses:
        """Start everything, the receivers last.

        Raises:
            ConfigError: an address cannot be listened on.
        """
        self._warn_of_strangers()
        self._warn_if_stale(self._parts.pipeline.prices)
        told = [destination.name for destination in self._destinations if destination.cost_metrics]
        await self._worker.run(lambda: self._series_export.prepare(told))
        self._tasks.append(asyncio.create_task(self._kept_up(self._advance)))
        self._tasks.append(asyncio.create_task(self._kept_up(self.price_files.run)))
        self._tasks.append(asyncio.create_task(self._watch_budgets()))
        self._tasks.append(asyncio.create_task(self._kept_up(self._keep_days)))
        self._tasks.append(asyncio.create_task(self._kept_up(self._watch_disk)))
        self._tasks.append(asyncio.create_task(self._kept_up(self._keep_ages)))
        self._tasks.extend(asyncio.create_task(self._kept_up(part.run)) for part in self._senders)
        admin = None if self._admin is None else await self._admin.start()
        return Addresses(*await self._receivers.start(), admin)

    async def consume(self, delivery: Delivery) -> Receipt:
        """Make a delivery durable; see `core.delivery.Consumer`."""
        receipt = await self._worker.consume(delivery)
        self._notify()
        return receipt

    async def settle(self) -> None:
        """Post and seal what is due now, instead of at the next turn."""
        await self._worker.run(self._advance_all)
        self._notify()

    async def rest(self) -> None:
        """Wait until no span and no payload waits for its window any more."""
        while (due := await self._worker.run(self._parts.pipeline.next_advance_unix_nano)) is not None:
            await asyncio.sleep(max(0.0, (due - time.time_ns()) / NANO_PER_SECOND))
            await self.settle()

    async def flush(self) -> None:
        """Send what is ready: payloads, then the metrics with their last values."""
        await asyncio.gather(*(part.flush() for part in self._senders))

    async def stop(self) -> None:
        """Stop receiving, send what is ready, close. What still waits stays in the ledger for the next start.

        Every step has its time, so that the whole ends within 30 seconds by default, whatever hangs.
        """
        await self._receivers.stop()
        self._stopping.set()
        self._budgets.close()
        self.price_files.stop()
        for part in self._senders:
            part.stop()
        await self._end_tasks()
        is_sent = await self._send_the_rest()
        ledger_is_free, _ = await asyncio.gather(
            self._worker.stop(_LEDGER_GRACE_SECONDS if is_sent else 0.0), self._stop_admin()
        )
        self._telemetry.close()
        for destination in self._destinations:
            await destination.client.close()
        if ledger_is_free:
            self._parts.ledger.close()

    async def _stop_admin(self) -> None:
        if self._admin is not None:
            await self._admin.stop(_ADMIN_GRACE_SECONDS)

    async def _send_the_rest(self) -> bool:
        """Settle and send what is ready, as far as ledger and destinations let it; what is left waits in the ledger.

        False when the time was over before that.
        """
        try:
            async with asyncio.timeout(self._settings.forward.flush_timeout_seconds):
                await self.settle()
                await self.flush()
        except TimeoutError:
            tell(Event.SERVICE_STOPPED_EARLY)
            return False
        except Exception as error:  # noqa: BLE001 - a ledger that cannot be written must not keep us from stopping
            self.watch.failed(error)
        return True

    async def _end_tasks(self) -> None:
        """Let what is under way end, but no longer than a flush may take; a cut export stays in the outbox."""
        _, late = await asyncio.wait(self._tasks, timeout=self._settings.forward.flush_timeout_seconds)
        for task in late:
            task.cancel()
        await asyncio.wait(self._tasks)

    async def _pause(self, seconds: float) -> None:
        """Wait a while, no longer than until the service stops."""
        with suppress(TimeoutError):
            await asyncio.wait_for(self._stopping.wait(), seconds)

    async def _kept_up(self, work: Callable[[], Awaitable[None]]) -> None:
        """Do background work until it ends by itself; what fails it (a full disk) is told, and it begins again."""
        while True:
            try:
                return await work()
            except Exception as error:  # noqa: BLE001 - whatever it was, the service goes on
                self._work_failed(work, error)
            await self._pause(_RECOVERY_PAUSE_SECONDS)
            if self._stopping.is_set():
                return None

    def _work_failed(self, work: Callable[[], Awaitable[None]], error: Exception) -> None:
        if fault_of(error) is not None:
            self.watch.failed(error)
        else:
            tell(Event.SERVICE_WORK_FAILED, error, work=work.__qualname__)

    def _warn_of_strangers(self) -> None:
        """Say which destinations are waited for that the settings no longer name, or no longer for a signal."""
        outbox, named = self._parts.ledger.outbox, {one.name: one.signals for one in self._destinations}
        for name in outbox.destinations():
            if name not in named:
                tell(Event.DESTINATION_UNKNOWN, destination=name)
            elif lost := sorted(outbox.signals(name) - frozenset(named[name])):
                tell(Event.DESTINATION_UNKNOWN, destination=f"{name} ({', '.join(lost)})")

    async def _advance(self) -> None:
        """Post spans and seal payloads as their windows close."""
        while not self._stopping.is_set():
            due = await self._worker.run(self._next_advance)
            pause = _ADVANCE_PAUSE_MAX_SECONDS if due is None else (due - time.time_ns()) / NANO_PER_SECOND
            if pause <= 0:
                await self.settle()
                continue
            await self._pause(min(pause, _ADVANCE_PAUSE_MAX_SECONDS))

    def _next_advance(self) -> int | None:
        self._parts.pipeline.follow_clock(time.time_ns())
        return self._parts.pipeline.next_advance_unix_nano()

    async def _use(self, prices: Prices) -> None:
        """Price by these from the next delivery on. What is due is posted before, so that no delivery has two books."""

        def work() -> None:
            self._advance_all()
            self._parts.pipeline.use(prices)

        await self._worker.run(work)
        self._warn_if_stale(prices)

    def _warn_if_stale(self, prices: Prices) -> None:
        """Say when nobody has compared the price list with its source for long."""
        checked, after_days = prices.book.checked_unix_nano, self._settings.prices.stale_after_days
        if checked is None or time.time_ns() - checked <= after_days * NANO_PER_DAY:
            return
        tell(Event.PRICES_STALE, checked=shown_time(checked).partition("T")[0], days=f"{after_days:g}")

    async def _watch_budgets(self) -> None:
        """Look at the budgets often enough that a level is told of well within a minute."""
        while not self._stopping.is_set():
            await self._look_at_budgets()
            await self._pause(_BUDGET_PAUSE_SECONDS)

    async def _look_at_budgets(self) -> None:
        """Take up what was spent; when a level is reached, every destination is told at once."""
        if await asyncio.to_thread(self._budgets.keep_up, time.time_ns()):
            for exporter in self._metrics_exporters:
                exporter.hurry()

    async def _keep_days(self) -> None:
        """Roll postings up into days for reports and budgets, a slice at a time: senders wait for no more than one."""
        ledger = self._parts.ledger

        def roll_up() -> bool:
            with ledger.transaction():
                return ledger.days.roll_up(self._budgets.zone)

        while not self._stopping.is_set():
            if await self._worker.run(roll_up):
                continue
            await self._pause(_DAYS_PAUSE_SECONDS)

    async def _watch_disk(self) -> None:
        """See at the start, after a fault and now and then whether the ledger can be written: nobody may send.

        Whether it is in its place costs little, and is looked at every time.
        """
        while not self._stopping.is_set():
            await self._worker.run(self._parts.ledger.database.keep_in_place)
            if not self.watch.is_proven:
                await self._worker.run(self._parts.ledger.prove_writable)
                self.watch.succeeded()
            await self._pause(_RECOVERY_PAUSE_SECONDS)

    async def _keep_ages(self) -> None:
        """Drop what waited too long also where nothing comes that would be posted."""
        while not self._stopping.is_set():
            await self._worker.run(self._expire)
            await self._pause(_AGES_PAUSE_SECONDS)

    def _advance_all(self) -> None:
        while self._parts.pipeline.advance(time.time_ns()):
            pass
        self._expire()

    def _expire(self) -> None:
        now_unix_nano = self._ages.now_unix_nano()
        if now_unix_nano is not None:
            self.counters.add_each(Counter.PAYLOADS_EXPIRED, self._parts.pipeline.expire(now_unix_nano))

    def _on_accepted(self, accepted: Accepted, seconds: float) -> None:
        self.watch.succeeded()
        self._telemetry.committed(seconds)
        self.counters.add(Counter.REQUESTS_RECEIVED, len(accepted.receipts))
        self.counters.add(Counter.RECORDS_RECEIVED, accepted.records)
        self.counters.add(Counter.DUPLICATES, accepted.duplicates)
        self.counters.add_each(Counter.PAYLOADS_NOT_FORWARDED, accepted.not_forwarded)
        for destination in accepted.not_forwarded:
            tell(Event.DESTINATION_OUTBOX_FULL, destination=destination)
        for reason, count in accepted.rejected.items():
            self.counters.add(Counter.DROPPED, count, reason=reason)

    def _notify(self) -> None:
        for forwarder in self._forwarders:
            forwarder.notify()

    def _payload_forwarder(self, to: NamedClient) -> Forwarder:
        forward = self._settings.forward
        retry = forward.retry
        return Forwarder(
            _LedgerOutbox(self._worker, self._parts.ledger, self.watch, to.name, forward.outbox_max_bytes),
            to.name,
            to.client,
            Backoff(
                retry.initial_delay_seconds,
                retry.max_delay_seconds,
                retry.max_server_delay_seconds,
                Random(),  # noqa: S311
            ),
            self.counters,
            signals=to.signals,
            max_batch_bytes=forward.max_batch_bytes,
        )

    def _admin_server(self, all_readers: tuple[Reader, ...]) -> AdminServer | None:
        endpoint = self._settings.admin.endpoint
        if endpoint is None:
            return None
        names = [destination.name for destination in self._destinations]
        export = SeriesExport(
            self._parts.ledger,
            self._parts.pipeline,
            all_readers,
            self.counters,
            Temporality.CUMULATIVE,
            self.watch.failed,
            RequestLimits(self._settings.metrics.max_label_bytes),
        )
        look = self._look_at_budgets
        admin = ServiceAdmin(self._parts, self._worker, self.watch, export, self._telemetry, look, names)
        return AdminServer(admin, endpoint, self._settings.receiver, self.counters)

    def _metrics_exporter(self, to: NamedClient) -> MetricsExporter:
        async def begin() -> list[Part]:
            await self._look_at_budgets()
            parts = await self._worker.run(lambda: self._series_export.begin(to.name, time.time_ns()))
            return with_body(parts, self._telemetry.body(), self._request_limits)

        async def end(sent: Sent) -> None:
            await self._worker.run(lambda: self._series_export.end(to.name, sent))

        return MetricsExporter(
            begin, end, to.name, to.client, self.counters, interval_seconds=self._settings.metrics.interval_seconds
        )


class _LedgerOutbox:
    """One destination's outbox as forwarding sees it: every step on the ledger's thread."""

    def __init__(
        self, worker: LedgerWorker, ledger: Ledger, watch: LedgerWatch, destination: str, max_bytes: int
    ) -> None:
        self._worker = worker
        self._watch = watch
        self._ledger = ledger
        self._destination = destination
        self._max_bytes = max_bytes

    async def departures(self, signal: Signal, max_bytes: int) -> Sequence[Payload]:
        return await self._worker.run(lambda: self._ledger.outbox.departures(self._destination, signal, max_bytes))

    async def remove(self, payloads: Sequence[Payload]) -> bool:
        return await self._written(lambda: self._ledger.outbox.remove(self._destination, payloads))

    async def set_aside(self, payloads: Sequence[Payload], why: str) -> bool:
        tell(Event.DESTINATION_REFUSED, destination=self._destination, payloads=len(payloads), why=why)
        outbox = self._ledger.outbox
        return await self._written(
            lambda: outbox.set_aside(self._destination, payloads, why, max_bytes=self._max_bytes)
        )

    async def _written(self, change: Callable[[], None]) -> bool:
        """Whether the disk took a change of the outbox; its fault is told."""

        def work() -> None:
            with self._ledger.transaction():
                change()

        try:
            await self._worker.run(work)
        except Exception as error:
            if fault_of(error) is None:
                raise
            self._watch.failed(error)
            return False
        return True
