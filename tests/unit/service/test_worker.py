"""The ledger's thread: what is not durable is never acknowledged, and one bad delivery takes no other along."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Sequence
from pathlib import Path

import pytest

from spanledger.core.delivery import Delivery, Encoding, Receipt
from spanledger.core.errors import PermanentError, RetryableError
from spanledger.core.reasons import Reason
from spanledger.core.usage import Signal
from spanledger.service.assembly import Parts
from spanledger.service.pipeline import Accepted, Prepared
from spanledger.service.worker import LedgerWorker
from support.replaying import open_parts, read_folder
from support.truth import CAPTURES

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
        await worker.stop()
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
        await worker.stop()

    asyncio.run(run())
    parts.ledger.close()


def test_who_waits_too_long_is_told_to_send_again_and_is_booked_all_the_same(parts: Parts) -> None:
    entered, held = threading.Event(), threading.Event()

    def hold() -> None:
        entered.set()
        held.wait()

    async def run() -> list[object]:
        failed: list[Exception] = []
        worker = LedgerWorker(
            parts.pipeline, parts.meter, lambda: 10**18, lambda *_: None, failed.append, wait_max_seconds=0.01
        )
        holding = asyncio.create_task(worker.run(hold))
        await asyncio.to_thread(entered.wait)
        results = await asyncio.gather(*map(worker.consume, S01), return_exceptions=True)
        held.set()
        await holding
        await worker.stop()
        assert failed == []
        return results

    results = asyncio.run(run())
    assert {type(result) for result in results} == {RetryableError}
    assert "sending it again does no harm" in str(results[0])
    assert parts.ledger.report().requests == 1
    parts.ledger.close()
