"""Requests that are half there when the service stops: a time of grace, then an end without a word in the log."""

from __future__ import annotations

import asyncio
import logging
import signal
import socket
from contextlib import ExitStack, closing
from pathlib import Path

import pytest

from contract.conversations import HEALTH, HTTP2_PREFACE, PROTOBUF, WHOLE
from contract.test_limits import HoldingConsumer, limited
from spanledger.core.reasons import Reason
from spanledger.receiver.http_server import HttpReceiver
from spanledger.telemetry import Counter, Counters
from support.hostile import connect, head, read_answers
from support.processes import start_serve

GRACE_SECONDS = 0.3


def rest_of(connection: socket.socket) -> list[int]:
    return [answer.status for answer in read_answers(connection)]


@pytest.mark.parametrize(
    ("said", "hears", "closed"),
    [
        (WHOLE[:-3], [0], {Reason.STOPPING: 1}),
        (WHOLE[:20], [0], {Reason.STOPPING: 1}),
        (WHOLE, [0], {Reason.STOPPING: 1}),
        (head("/nowhere", 5, *PROTOBUF), [404], {}),
        (b"", [0], {}),
    ],
    ids=["half a body", "half the headers", "not answered", "answered before its body", "nothing"],
)
def test_what_is_not_finished_in_time_is_ended_and_counted(
    said: bytes, hears: list[int], closed: dict[Reason, int], caplog: pytest.LogCaptureFixture
) -> None:
    counters = Counters()

    async def run() -> list[int]:
        consumer = HoldingConsumer()
        receiver = HttpReceiver(consumer, limited(counters))
        with closing(connect(await receiver.start())) as connection:
            await asyncio.to_thread(connection.sendall, said)
            if said == WHOLE:
                await asyncio.wait_for(consumer.came.acquire(), 10)
            await receiver.stop(GRACE_SECONDS)
            return await asyncio.to_thread(rest_of, connection)

    with caplog.at_level(logging.WARNING):
        assert asyncio.run(run()) == hears
    assert caplog.messages == []
    assert counters.by_label(Counter.CONNECTIONS_CLOSED) == closed


def test_what_arrives_in_time_is_answered() -> None:
    async def run() -> list[int]:
        consumer = HoldingConsumer()
        consumer.go.set()
        receiver = HttpReceiver(consumer, limited(Counters()))
        with closing(connect(await receiver.start())) as connection:
            connection.sendall(WHOLE[:-3])
            stopping = asyncio.create_task(receiver.stop(20))
            await asyncio.sleep(0)
            await asyncio.to_thread(connection.sendall, WHOLE[-3:])
            await stopping
            return await asyncio.to_thread(rest_of, connection)

    assert asyncio.run(run()) == [200]


def test_a_service_that_is_stopped_says_nothing_of_a_request_that_never_came(tmp_path: Path) -> None:
    async def run() -> tuple[int, str]:
        serving = await start_serve(tmp_path / "ledger.db")
        addresses = serving.addresses
        assert addresses.admin is not None
        halves = {addresses.http: WHOLE[:-3], addresses.grpc: HTTP2_PREFACE, addresses.admin: HEALTH[:-2]}
        with ExitStack() as stack:
            for address, half in halves.items():
                stack.enter_context(connect(address)).sendall(half)
            return await serving.end(signal.SIGTERM)

    assert asyncio.run(run()) == (0, "")
