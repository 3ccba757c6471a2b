"""The ledger's thread: group commit, one transaction for all deliveries that came while the last one was written."""

from __future__ import annotations

import asyncio
import queue
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

from spanledger.core.delivery import Delivery, Receipt, Undecided
from spanledger.core.errors import RetryableError
from spanledger.core.metering import Meter
from spanledger.core.redaction import Redaction
from spanledger.ledger.database import BUSY_TIMEOUT_SECONDS
from spanledger.ledger.faults import fault_of
from spanledger.otlp.screen import Screener
from spanledger.service.pipeline import DEFAULT_SCREENER, Accepted, Pipeline, Prepared, prepare

T = TypeVar("T")

GROUP_RECORDS_MAX = 4_096
"""Records with which a transaction is full, so that no sender waits long for its answer."""

RETRY_AFTER_SECONDS = 2.0

LAST_WRITE_SECONDS = BUSY_TIMEOUT_SECONDS + 1.0
"""How long the write under way may take at the stop: it may have begun to wait for another program just now."""

_STOPPING = "not durable: the service stops"
_WAITED_TOO_LONG = "not durable yet: the ledger is behind; it may be booked later, sending it again does no harm"


@dataclass(frozen=True, slots=True)
class _Booking:
    prepared: Prepared
    done: asyncio.Future[Receipt]


@dataclass(frozen=True, slots=True)
class _Job:
    work: Callable[[], Any]
    done: asyncio.Future[Any]


class LedgerWorker:
    """Owns the pipeline's thread. `consume` books deliveries in groups; `run` does any other work on that thread.

    One commit, one fsync, serves every delivery that came while the one before it was written. A failure to write
    (disk full, file gone) fails the deliveries of the group as retryable, and the next group tries again: nothing is
    acknowledged that is not durable. Who waits longer than `wait_max_seconds` is told to try again although the
    delivery may still be booked: refusing it would lose it, and sending it again is a duplicate. Until it is, it counts
    as `undecided`, for it still takes room.
    """

    def __init__(
        self,
        pipeline: Pipeline,
        meter: Meter,
        clock: Callable[[], int],
        on_accepted: Callable[[Accepted, float], None],
        on_failed: Callable[[Exception], None],
        *,
        redaction: Redaction | None = None,
        wait_max_seconds: float | None = None,
        screener: Screener = DEFAULT_SCREENER,
    ) -> None:
        self._pipeline = pipeline
        self._redaction = redaction
        self._meter = meter
        self._screener = screener
        self._wait_max_seconds = wait_max_seconds
        self._clock = clock
        self._on_accepted = on_accepted
        self._on_failed = on_failed
        self._loop = asyncio.get_running_loop()
        self.undecided = Undecided()
        self._queue: queue.SimpleQueue[_Booking | _Job | None] = queue.SimpleQueue()
        self._in_haste = threading.Event()
        self._thread = threading.Thread(target=self._serve, name="spanledger-ledger", daemon=True)
        self._thread.start()

    async def consume(self, delivery: Delivery) -> Receipt:
        """Make a delivery durable; see `core.delivery.Consumer`."""
        prepared = prepare(delivery, self._meter, self._redaction, self._screener)
        done: asyncio.Future[Receipt] = self._loop.create_future()
        self._queue.put(_Booking(prepared, done))
        # Effect 3: the answer. A kill before it leaves the delivery booked or not, as of effect 2.
        try:
            return await asyncio.wait_for(asyncio.shield(done), self._wait_max_seconds)
        except TimeoutError:
            raise RetryableError(_WAITED_TOO_LONG, retry_after_seconds=RETRY_AFTER_SECONDS) from None
        finally:
            if not done.done():
                self._leave_undecided(done, len(delivery.body))

    async def run(self, work: Callable[[], T]) -> T:
        """Do work on the ledger's thread and give its result."""
        done: asyncio.Future[T] = self._loop.create_future()
        self._queue.put(_Job(work, done))
        return await done

    async def stop(self, grace_seconds: float, last_write_seconds: float = LAST_WRITE_SECONDS) -> bool:
        """Finish what is queued and end the thread; past the grace only what is being written, the rest is refused.

        False when not even that ended in the time that it may take: then the ledger is still in use.
        """
        self._queue.put(None)
        if await self._ends(grace_seconds):
            return True
        self._in_haste.set()
        return await self._ends(last_write_seconds)

    async def _ends(self, within_seconds: float) -> bool:
        await asyncio.to_thread(self._thread.join, within_seconds)
        return not self._thread.is_alive()

    def _leave_undecided(self, done: asyncio.Future[Receipt], size_bytes: int) -> None:
        """Keep a delivery in mind that nobody waits for any more; failures are told by `on_failed`."""

        def count(deliveries: int, size_bytes: int) -> None:
            before = self.undecided
            self.undecided = Undecided(before.deliveries + deliveries, before.bytes + size_bytes)

        def decided(done: asyncio.Future[Receipt]) -> None:
            count(-1, -size_bytes)
            if not done.cancelled():
                done.exception()

        count(1, size_bytes)
        done.add_done_callback(decided)

    def _serve(self) -> None:
        going_on = True
        while going_on:
            jobs, going_on = self._turn()
            for job in jobs:
                self._do(job)

    def _turn(self) -> tuple[Sequence[_Job], bool]:
        """Book the deliveries that wait; gives the other work that does, and whether more is to come.

        A method of its own, so that what was booked is out of memory while the other work waits for the disk.
        """
        items = self._take()
        going_on = None not in items
        if self._in_haste.is_set():
            refusal = RetryableError(_STOPPING, retry_after_seconds=RETRY_AFTER_SECONDS)
            self._answer([(item.done, refusal) for item in items if item is not None])
            return [], going_on
        bookings = [item for item in items if isinstance(item, _Booking)]
        if bookings:
            self._book(bookings)
        return [item for item in items if isinstance(item, _Job)], going_on

    def _take(self) -> list[_Booking | _Job | None]:
        """Wait for one item, then take what else has come, up to a size."""
        items = [self._queue.get()]
        size = _size(items[0])
        while items[-1] is not None and size < GROUP_RECORDS_MAX:
            try:
                item = self._queue.get_nowait()
            except queue.Empty:
                break
            items.append(item)
            size += _size(item)
        return items

    def _book(self, bookings: Sequence[_Booking]) -> None:
        began = time.monotonic()
        try:
            accepted = self._pipeline.accept([booking.prepared for booking in bookings], self._clock())
        except Exception as error:  # noqa: BLE001 - whatever stopped the commit, no sender may hear OK
            self._book_alone(bookings, error)
            return
        self._on_accepted(accepted, time.monotonic() - began)
        self._answer([(b.done, receipt) for b, receipt in zip(bookings, accepted.receipts, strict=True)])

    def _book_alone(self, bookings: Sequence[_Booking], error: Exception) -> None:
        """Try the deliveries of a failed group one by one, so that a bad one takes no other along.

        Where the disk is at fault all would fail alike, and none is tried.
        """
        fault = fault_of(error)
        if len(bookings) > 1 and fault is None:
            for booking in bookings:
                self._book([booking])
            return
        self._on_failed(error)
        why = "not durable" if fault is None else f"not durable: {fault.advice}"
        refusal = RetryableError(why, retry_after_seconds=RETRY_AFTER_SECONDS)
        self._answer([(booking.done, refusal) for booking in bookings])

    def _do(self, job: _Job) -> None:
        try:
            result = job.work()
        except Exception as error:  # noqa: BLE001 - handed to whoever waits for the job
            self._answer([(job.done, error)])
        else:
            self._answer([(job.done, result)])

    def _answer(self, answers: Sequence[tuple[asyncio.Future[Any], Any]]) -> None:
        """Hand results over to the event loop, all of a group at once."""
        self._loop.call_soon_threadsafe(_resolve, answers)


def _size(item: _Booking | _Job | None) -> int:
    """What an item takes of a group: its records, and one more, for without any it takes time too."""
    return 1 + len(item.prepared.usage) if isinstance(item, _Booking) else 0


def _resolve(answers: Sequence[tuple[asyncio.Future[Any], Any]]) -> None:
    for future, result in answers:
        if future.done():
            continue
        if isinstance(result, Exception):
            future.set_exception(result)
        else:
            future.set_result(result)
