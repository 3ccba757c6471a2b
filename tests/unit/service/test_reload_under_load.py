"""Prices that change while thousands of calls are in flight: none is lost, and no delivery is of two books."""

from __future__ import annotations

import asyncio
from collections import defaultdict
from pathlib import Path

from spanledger.core.delivery import Delivery, Receipt
from spanledger.service.runtime import Service
from support.price_lists import MODEL, put_list
from support.serving import running, standing
from support.telling import NOW, SECOND, Client, Usage

DELIVERIES, CALLS, RELOADS = 80, 50, 8


def put(path: Path, version: int) -> None:
    """A version in which a million tokens cost 1 or 2 USD in turn."""
    put_list(path, version, rate=str(1 + version % 2))


def deliveries() -> list[Delivery]:
    """Logs and lone spans; `req-D-C` is call C of delivery D."""
    client = Client()
    found = []
    for number in range(DELIVERIES):
        names = [f"req-{number}-{call}" for call in range(CALLS)]
        if number % 2:
            events = [client.event(name, MODEL, Usage(input=1_000)) for name in names]
            found.append(client.logs(events, at=NOW + number * SECOND))
        else:
            spans = [client.span(name, MODEL, Usage(input=1_000), at=NOW) for name in names]
            found.append(Delivery(spans[0].signal, spans[0].encoding, b"".join(span.body for span in spans)))
    return found


async def send(service: Service, work: list[Delivery]) -> list[Receipt]:
    return [await service.consume(delivery) for delivery in work]


async def reload(service: Service, path: Path) -> None:
    for version in range(2, RELOADS + 2):
        put(path, version)
        assert await service.price_files.load()


def test_reloads_under_load_lose_nothing_and_mix_no_two_books_in_a_delivery(tmp_path: Path) -> None:
    put(tmp_path / "list.yaml", 1)

    async def run() -> None:
        settings = {"prices__files": [str(tmp_path / "list.yaml")], "forward__join_window_seconds": "0.05"}
        async with running(tmp_path / "ledger.db", **settings) as up:
            work = deliveries()
            senders = [send(up.service, work[place::10]) for place in range(10)]
            *receipts, _ = await asyncio.gather(*senders, reload(up.service, tmp_path / "list.yaml"))
            assert [one for several in receipts for one in several] == [Receipt()] * DELIVERIES
            await up.service.rest()

    asyncio.run(run())
    replayed = standing(tmp_path / "ledger.db")
    assert replayed.problems == []
    assert replayed.figures.report.requests == DELIVERIES * CALLS
    assert replayed.figures.report.unpriced_requests == 0
    books: defaultdict[str, set[str]] = defaultdict(set)
    for posting in replayed.postings:
        # 1,000 tokens at 1 or 2 USD per million, as the book of the posting has it
        version = int(posting.charge.price.price_book.partition("list@")[2].partition("#")[0])
        assert posting.charge.cost_picousd == 1_000 * (1 + version % 2) * 10**6
        if posting.reason is not None:
            continue  # a correction comes later, by the prices of its own time
        books[posting.charge.identity.split("-")[1]].add(posting.charge.price.price_book)
    assert len(books) == DELIVERIES
    assert all(len(of_delivery) == 1 for of_delivery in books.values())
    assert len({book for of_delivery in books.values() for book in of_delivery}) > 1
