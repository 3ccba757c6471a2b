"""The ledger's thread: what is not durable is never acknowledged, and one bad delivery takes no other along."""

from __future__ import annotations

import asyncio
import gc
import threading
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

from spanledger.core.delivery import Delivery, Encoding, Receipt, Undecided
from spanledger.core.errors import PermanentError, RetryableError
from spanledger.core.reasons import Reason
from spanledger.core.usage import Signal
from spanledger.service.assembly import Parts
from spanledger.service.pipeline import Accepted, Prepared
from spanledger.service.worker import LedgerWorker
from support.collectors import until
from support.replaying import open_parts, read_folder
from support.telling import Client, Usage
from support.truth import CAPTURES

GRACE_SECONDS = 30.0
S01 = [body.delivery for body in read_folder(CAPTURES / "s01_single_prompt")]


class FailingPipeline:
    """The real pipeline, but commits that hold a chosen body fail by a mistake of ours."""

    def __init__(self, parts: Parts, poison: bytes) -> None:
        self._pipeline = parts.pipeline
        self._poison = poison
        self.groups: list[int] = []

    def accept(self, group: Sequence[Prepared], now_unix_nano: int) -> Accepted:
        self.groups.append(len(group))
        if any(prepared.body == self._poison for prepared in group):
            raise ZeroDivisionError
        return self._pipeline.accept(group, now_unix_nano)


def consume_all(parts: Parts, pipeline: object, deliveries: Sequence[Delivery]) -> tuple[list[object], list[Exception]]:
    failed: list[Exception] = []

    async def run() -> list[object]:
        worker = LedgerWorker(pipeline, parts.meter, lambda: 10**18, lambda *_: None, failed.append)
        results = await asyncio.gather(*map(worker.consume, deliveries), return_exceptions=True)
        assert await worker.stop(GRACE_SECONDS)
        return results

    results = asyncio.run(run())
    return results, failed


@pytest.fixture
def parts(tmp_path: Path) -> Parts:
    return open_parts(tmp_path / "ledger.db")


def test_deliveries_that_come_together_are_booked_and_answered(parts: Parts) -> None:
    results, failed = consume_all(parts, parts.pipeline, S01)
    assert results == [Receipt()] * len(S01)
    assert failed == []
    assert parts.ledger.report().requests == 1
    parts.ledger.close()


def test_a_delivery_that_fails_by_itself_is_a_retry_and_spoils_no_neighbour(parts: Parts) -> None:
    poison = Delivery(Signal.LOGS, Encoding.PROTOBUF, b"\x0a\x00")
    pipeline = FailingPipeline(parts, poison.body)
    results, failed = consume_all(parts, pipeline, [S01[0], poison, *S01[1:]])
    refused = results.pop(1)
    assert isinstance(refused, RetryableError)
    assert (str(refused), refused.reason) == ("not durable", Reason.NOT_DURABLE)
    assert refused.retry_after_seconds > 0
    assert results == [Receipt()] * len(S01)
    assert len(failed) == 1
    assert parts.ledger.report().requests == 1
    parts.ledger.close()


def test_an_unreadable_body_never_reaches_the_thread(parts: Parts) -> None:
    pipeline = FailingPipeline(parts, b"")
    results, failed = consume_all(parts, pipeline, [Delivery(Signal.LOGS, Encoding.PROTOBUF, b"\xff")])
    assert isinstance(results[0], PermanentError)
    assert (pipeline.groups, failed) == ([], [])
    parts.ledger.close()


def test_work_on_the_thread_gives_its_result_or_its_error(parts: Parts) -> None:
    async def run() -> None:
        worker = LedgerWorker(parts.pipeline, parts.meter, lambda: 0, lambda *_: None, lambda _: None)
        assert await worker.run(lambda: 6 * 7) == 42
        with pytest.raises(ZeroDivisionError):
            await worker.run(lambda: 1 // 0)
        assert await worker.stop(GRACE_SECONDS)

    asyncio.run(run())
    parts.ledger.close()


@dataclass(slots=True)
class HeldUp:
    """A worker whose thread writes something that takes until `go_on`, as when another program holds the ledger."""

    worker: LedgerWorker
    failed: list[Exception]
    go_on: Callable[[], None]


@asynccontextmanager
async def held_up(
    parts: Parts, wait_max_seconds: float | None = None, pipeline: object | None = None
) -> AsyncIterator[HeldUp]:
    entered, held = threading.Event(), threading.Event()

    def hold() -> None:
        entered.set()
        held.wait()

    failed: list[Exception] = []
    worker = LedgerWorker(
        *(pipeline or parts.pipeline, parts.meter, lambda: 10**18, lambda *_: None, failed.append),
        wait_max_seconds=wait_max_seconds,
    )
    holding = asyncio.create_task(worker.run(hold))
    await asyncio.to_thread(entered.wait)
    try:
        yield HeldUp(worker, failed, held.set)
    finally:
        held.set()
        await holding


def test_who_waits_too_long_is_told_to_send_again_and_is_booked_all_the_same(parts: Parts) -> None:
    async def run() -> list[object]:
        async with held_up(parts, wait_max_seconds=0.01) as up:
            results = await asyncio.gather(*map(up.worker.consume, S01), return_exceptions=True)
            assert up.worker.undecided == Undecided(len(S01), sum(len(one.body) for one in S01))
            up.go_on()
            assert await up.worker.stop(GRACE_SECONDS)
            await until(lambda: up.worker.undecided == Undecided(), 30, "all are decided")
            assert up.failed == []
            return results

    results = asyncio.run(run())
    assert {type(result) for result in results} == {RetryableError}
    assert "sending it again does no harm" in str(results[0])
    assert parts.ledger.report().requests == 1
    parts.ledger.close()


def test_what_a_sender_that_went_away_has_sent_counts_until_it_is_booked(parts: Parts) -> None:
    async def run() -> None:
        async with held_up(parts) as up:
            sending = [asyncio.create_task(up.worker.consume(one)) for one in S01]
            await asyncio.sleep(0)
            for task in sending:
                task.cancel()
            await asyncio.wait(sending)
            assert up.worker.undecided == Undecided(len(S01), sum(len(one.body) for one in S01))
            up.go_on()
            assert await up.worker.stop(GRACE_SECONDS)
            await until(lambda: up.worker.undecided == Undecided(), 30, "all are decided")

    asyncio.run(run())
    assert parts.ledger.report().requests == 1
    parts.ledger.close()


def test_at_the_stop_what_is_queued_behind_a_long_write_is_refused_untried(parts: Parts) -> None:
    async def run() -> list[object]:
        async with held_up(parts) as up:
            sending = [asyncio.create_task(up.worker.consume(one)) for one in S01]
            job = asyncio.create_task(up.worker.run(lambda: 6 * 7))
            await asyncio.sleep(0)
            assert not await up.worker.stop(0.0, 0.01), "the write has not ended"
            up.go_on()
            assert await up.worker.stop(GRACE_SECONDS)
            return await asyncio.gather(*sending, job, return_exceptions=True)

    results = asyncio.run(run())
    assert {type(result) for result in results} == {RetryableError}
    assert {str(result) for result in results} == {"not durable: the service stops"}
    assert parts.ledger.report().requests == 0
    parts.ledger.close()


def test_what_was_booked_is_out_of_memory_while_other_work_waits_for_the_disk(parts: Parts) -> None:
    """A group of deliveries is as large as `receiver.max_buffered_bytes`, and a job may wait ten seconds."""
    began, caught_up = threading.Event(), threading.Event()

    async def run() -> list[object]:
        async with held_up(parts) as up:
            sending = [asyncio.create_task(up.worker.consume(one)) for one in S01]
            job = asyncio.create_task(up.worker.run(lambda: began.set() or caught_up.wait()))
            await asyncio.sleep(0)  # now all are queued, to be taken at once
            up.go_on()
            await asyncio.to_thread(began.wait)
            await asyncio.gather(*sending)
            gc.collect()  # what nobody refers to any more is not meant: of this test and of those before it
            left = [one for one in gc.get_objects() if type(one).__name__ == "_Booking"]
            caught_up.set()
            await job
            assert await up.worker.stop(GRACE_SECONDS)
            return left

    assert asyncio.run(run()) == []
    parts.ledger.close()


def test_a_transaction_takes_no_more_once_it_has_its_records(parts: Parts) -> None:
    """Four deliveries of 1,023 calls, each counted as one more, are the 4,096 of a group; two are left of six."""
    client = Client()
    calls = client.logs([client.event(f"req-{number}", "claude-sonnet-4-5", Usage(input=1)) for number in range(1_023)])
    pipeline = FailingPipeline(parts, poison=b"")

    async def run() -> list[Receipt]:
        async with held_up(parts, pipeline=pipeline) as up:
            sending = [asyncio.create_task(up.worker.consume(calls)) for _ in range(6)]
            await asyncio.sleep(0)  # now all are queued
            up.go_on()
            receipts = await asyncio.gather(*sending)
            assert await up.worker.stop(GRACE_SECONDS)
            return receipts

    assert asyncio.run(run()) == [Receipt()] * 6
    assert pipeline.groups == [4, 2]
    assert parts.ledger.report().requests == 1_023
    parts.ledger.close()
