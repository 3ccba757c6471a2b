"""Many senders at once, by the default settings and with a ledger behind them."""

from __future__ import annotations

import asyncio
from pathlib import Path

import grpc
import pytest

from contract.rows import GOOD
from spanledger.core.usage import Signal
from spanledger.receiver.grpc_server import SERVICES
from spanledger.telemetry import Counter
from support.hostile import head
from support.serving import Running, running

EXPORT = f"/{SERVICES[Signal.TRACES]}/Export"
WHOLE = head("/v1/traces", len(GOOD), "content-type: application/x-protobuf") + GOOD
CLIENTS, REQUESTS_EACH = 64, 20
AT_ONCE = 500
CANCELLED = 2_000
CALLS_OF_A_CHANNEL = 100


async def over_http(address: str, requests: int) -> list[bytes]:
    """Status lines of requests, one after the other over one connection."""
    host, _, port = address.rpartition(":")
    reader, writer = await asyncio.open_connection(host, int(port))
    lines = []
    for _ in range(requests):
        writer.write(WHOLE)
        told = await reader.readuntil(b"\r\n\r\n")  # a success over protobuf has no body
        lines.append(told.partition(b"\r\n")[0])
    writer.close()
    await writer.wait_closed()
    return lines


async def over_grpc(address: str, requests: int) -> list[bytes]:
    """Answers to requests that are all open at once."""
    async with grpc.aio.insecure_channel(address) as channel:
        return await asyncio.gather(*(channel.unary_unary(EXPORT)(GOOD, timeout=60) for _ in range(requests)))


def received(up: Running) -> int:
    return up.service.counters.snapshot()[Counter.REQUESTS_RECEIVED]


@pytest.mark.parametrize(("clients", "requests"), [(CLIENTS, REQUESTS_EACH), (AT_ONCE, 1)])
def test_every_request_of_many_http_clients_is_taken(clients: int, requests: int, tmp_path: Path) -> None:
    async def run() -> None:
        async with running(tmp_path / "ledger.db") as up:
            talks = await asyncio.gather(*(over_http(up.addresses.http, requests) for _ in range(clients)))
            assert {line for lines in talks for line in lines} == {b"HTTP/1.1 200 OK"}
            assert received(up) == clients * requests

    asyncio.run(run())


def test_every_one_of_500_grpc_requests_at_once_is_taken(tmp_path: Path) -> None:
    async def run() -> None:
        async with running(tmp_path / "ledger.db") as up:
            assert set(await over_grpc(up.addresses.grpc, AT_ONCE)) == {b""}
            assert received(up) == AT_ONCE

    asyncio.run(run())


def test_2000_cancelled_calls_take_no_room_from_others(tmp_path: Path) -> None:
    """Twice as many as may be in work at once: what they held is free again."""

    async def give_up(address: str) -> None:
        async with grpc.aio.insecure_channel(address) as channel:
            calls = [channel.unary_unary(EXPORT)(GOOD) for _ in range(CALLS_OF_A_CHANNEL)]
            tasks = [asyncio.ensure_future(call) for call in calls]
            await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
            for call in calls:
                call.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)

    async def run() -> None:
        async with running(tmp_path / "ledger.db") as up:
            for _ in range(CANCELLED // CALLS_OF_A_CHANNEL):
                await give_up(up.addresses.grpc)
            assert set(await over_grpc(up.addresses.grpc, AT_ONCE)) == {b""}

    asyncio.run(run())
