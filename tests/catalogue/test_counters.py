"""Sums of processes that overlap, restart, resume, come twice or count too much. See README.md."""

from __future__ import annotations

import random
from collections.abc import Sequence
from decimal import Decimal
from pathlib import Path

import pytest

from spanledger.core.delivery import Delivery
from spanledger.core.posting import Status
from spanledger.core.semconv import Metric
from spanledger.core.usage import Temporality
from spanledger.exporter.client import Accepted
from spanledger.otlp.encode import decode_sums
from spanledger.service.series_export import SeriesExport
from spanledger.telemetry import Counters
from support.booking import Books, open_books
from support.telling import CUMULATIVE, DELTA, NOW, SECOND, Client, Usage

MODEL = "claude-opus-5-5"
MINUTE = 60 * SECOND
# 1,000 x 4 + 200 x 20 + 10,000 x 0.2 = 10,000 micro-USD
USAGE = Usage(1_000, 200, 10_000)
CENT = 0.01


def times(usage: Usage, n: int) -> Usage:
    return Usage(usage.input * n, usage.output * n, usage.read * n, usage.write * n)


def cumulative(client: Client, start: int, calls: Sequence[int]) -> list[tuple[int, Delivery]]:
    """Points of a process that has made so many calls by each minute."""
    return [
        (
            start + n * MINUTE,
            client.sums(
                MODEL, times(USAGE, made), made * CENT, start=start, end=start + n * MINUTE, temporality=CUMULATIVE
            ),
        )
        for n, made in enumerate(calls, start=1)
    ]


def take_in_order(books: Books, sent: Sequence[tuple[int, Delivery]]) -> Books:
    for at, delivery in sorted(sent, key=lambda one: one[0]):
        books.take(delivery, at=at)
    return books.rest()


def test_k26_parallel_processes_under_one_session(tmp_path: Path) -> None:
    """anthropics/claude-code#56317: three processes' points interleave. Wrong: increase() shows 100 times as much."""
    sent = [
        one
        for offset, made in zip((0, 7, 13), ([1, 2, 3], [4, 5, 6], [2, 4, 8]), strict=True)
        for one in cumulative(Client(), NOW + offset * SECOND, made)
    ]
    with open_books(tmp_path / "ledger.db") as books:
        take_in_order(books, sent)
        assert books.cost_usd == "0.17"  # 3 + 6 + 8 calls of a cent


def test_k26_parallel_processes_that_nothing_tells_apart(tmp_path: Path) -> None:
    """The same with one start time, as when a proxy rewrites it: never a sum of ups and downs."""
    made = [1, 4, 2, 2, 5, 4, 3, 6, 8]
    with open_books(tmp_path / "ledger.db") as books:
        take_in_order(books, cumulative(Client(), NOW, made))
        assert books.cost_usd == "0.08"  # what is certain: one process had made 8 calls


def test_k26_with_the_calls_of_each_process(tmp_path: Path) -> None:
    """The same with log events: what the sums hold is there already."""
    sent = []
    for number, (offset, made) in enumerate(zip((0, 7, 13), ([1, 2, 3], [4, 5, 6], [2, 4, 8]), strict=True)):
        start = NOW + offset * SECOND
        sent.extend(cumulative(Client(), start, made))
        before = 0
        for minute, count in enumerate(made):
            for call in range(before, count):
                at = start + minute * MINUTE + 30 * SECOND + call
                sent.append((at, Client().log(f"req_{number}_{call}", MODEL, USAGE, at=at, cost_usd=CENT)))
            before = count
    with open_books(tmp_path / "ledger.db") as books:
        take_in_order(books, sent)
        assert books.cost_usd == "0.17"
        assert books.residuals == []


def test_k27_a_counter_that_saws(tmp_path: Path) -> None:
    """anthropics/claude-code#72500: 22 commits of processes under one session id. Wrong: about 6,200."""
    sent = []
    for number, commits in enumerate((5, 9, 8)):
        start = NOW + number * SECOND
        for n in range(200):  # 200 exports each, whose values go up and down as one takes turns with another
            point = ("claude_code.commit.count", {}, float(min(commits, 1 + n // 10)))
            at = start + n * MINUTE
            sent.append((at, Client().points([point], start=start, end=at, temporality=CUMULATIVE)))
    with open_books(tmp_path / "ledger.db") as books:
        take_in_order(books, sent)
        assert books.total(Metric.COMMITS) == 5 + 9 + 8 == 22


def test_k28_delta_and_cumulative_say_the_same(tmp_path: Path) -> None:
    """corveil/crow#689: deltas summed as if cumulative, or the reverse. Wrong: doubled."""
    client = Client()
    restart = NOW + 10 * MINUTE  # a second process: another start time
    deltas, totals = [], cumulative(client, NOW, [1, 3, 3, 4]) + cumulative(client, restart, [2, 2, 5])
    for start, grown in ((NOW, [1, 2, 0, 1]), (restart, [2, 0, 3])):
        for n, calls in enumerate(grown, start=1):
            if calls:  # nothing changed, nothing sent
                at = start + n * MINUTE
                usage, cost = times(USAGE, calls), calls * CENT
                deltas.append((at, client.sums(MODEL, usage, cost, start=at - MINUTE, end=at, temporality=DELTA)))
    shuffled = random.Random(28)
    for name, sent in (("delta", deltas), ("cumulative", totals)):
        for order in ("in order", "reordered", "repeated"):
            arrived = [delivery for _, delivery in sent] * (2 if order == "repeated" else 1)
            if order != "in order":
                shuffled.shuffle(arrived)
            with open_books(tmp_path / f"{name} {order}.db") as books:
                books.take(client.points([], start=NOW))  # the ledger is as old as the series
                for delivery in arrived:
                    books.take(delivery, at=NOW + 20 * MINUTE)
                books.rest()
                assert books.cost_usd == "0.09", (name, order)  # 4 + 5 calls of a cent


@pytest.mark.parametrize("restores", [True, False], ids=["begins where the last one ended", "begins at zero"])
@pytest.mark.parametrize("turns", [1, 4])
def test_k29_processes_that_resume_a_session(turns: int, restores: bool, tmp_path: Path) -> None:
    """Enderfga/claw-orchestrator#112 and iOfficeAI/AionCore#767: both behaviours. Wrong: 16 times; lost."""
    sent: list[tuple[int, Delivery]] = []
    made = 0
    for process in range(16):
        begins = NOW + process * 10 * MINUTE
        before = made if restores else 0
        for turn in range(turns):
            at = begins + turn * MINUTE
            made += 1
            sent.append((at, Client().log(f"req_{made}", MODEL, USAGE, at=at, cost_usd=CENT)))
            held = before + turn + 1
            sums = Client().sums(
                MODEL, times(USAGE, held), held * CENT, start=begins, end=at + 30 * SECOND, temporality=CUMULATIVE
            )
            sent.append((at + 30 * SECOND, sums))
    with open_books(tmp_path / "ledger.db") as books:
        take_in_order(books, sent)
        assert books.cost_usd == f"{16 * turns * Decimal('0.01'):f}"  # each turn once
        assert books.residuals == []


def test_k29_a_resumed_process_and_a_call_that_no_record_tells_of(tmp_path: Path) -> None:
    """Where a client begins at zero, what it holds beyond its calls is still charged."""
    first, second = NOW, NOW + 10 * MINUTE
    classifier = Usage(500, 50, 3_000)  # 500 x 4 + 50 x 20 + 3,000 x 0.2 = 3,600 micro-USD
    held = Usage(USAGE.input + classifier.input, USAGE.output + classifier.output, USAGE.read + classifier.read)
    sent = [
        (first, Client().log("req_1", MODEL, USAGE, at=first, cost_usd=CENT)),
        (first + MINUTE, Client().sums(MODEL, USAGE, CENT, start=first, end=first + MINUTE, temporality=CUMULATIVE)),
        (second, Client().log("req_2", MODEL, USAGE, at=second, cost_usd=CENT)),
        (
            second + MINUTE,
            Client().sums(MODEL, held, 0.0136, start=second, end=second + MINUTE, temporality=CUMULATIVE),
        ),
    ]
    with open_books(tmp_path / "ledger.db") as books:
        take_in_order(books, sent)
        assert books.cost_usd == "0.0236"


@pytest.mark.parametrize(("version", "cost_usd"), [("2.1.213", "0.02"), ("2.1.214", "0.028")])
def test_k30_sums_that_count_a_reply_again_for_each_frame(version: str, cost_usd: str, tmp_path: Path) -> None:
    """Claude Code before 2.1.214: a reply with usage in two frames is in the sums twice. Wrong: double."""
    client = Client(version=version)
    # Two calls of a cent. An extra frame of one held its input and reads, and half of its output:
    # 1,000 x 4 + 100 x 20 + 10,000 x 0.2 = 8,000 micro-USD more in the sums.
    held = Usage(3_000, 500, 30_000)
    with open_books(tmp_path / "ledger.db") as books:
        books.take(*(client.log(f"req_{n}", MODEL, USAGE, cost_usd=CENT) for n in range(2)))
        books.take(client.sums(MODEL, held, 0.028, start=NOW - SECOND, end=NOW + SECOND), at=NOW + SECOND).rest()
        # From 2.1.214 on the same is an attempt that was cut, and was served.
        assert books.cost_usd == cost_usd


def test_k30_a_pair_of_events_that_differ_by_a_frame(tmp_path: Path) -> None:
    """The same in two records of one reply: the larger one is not trusted. Wrong: double."""
    pair = [USAGE, Usage(2_000, 300, 20_000)]
    for version, cost_usd in (("2.1.197", "0.01"), ("2.1.330", "0.018")):
        for order in (pair, pair[::-1]):
            with open_books(tmp_path / f"{version}{order[0].input}.db") as books:
                books.take(*(Client(version=version).log("req_1", MODEL, usage) for usage in order)).rest()
                # A newer client's larger record is what the reply had grown to: 2,000 x 4 + 300 x 20 + 20,000 x 0.2
                assert (books.cost_usd, len(books.calls)) == (cost_usd, 1)


def test_k30_what_only_such_sums_hold_is_not_final(tmp_path: Path) -> None:
    """A lost call of an old client is charged, but its figure is marked: it may be too high."""
    client = Client(version="2.1.213")
    held = Usage(1_700, 300, 10_500)  # the call of a cent, and 700 x 4 + 100 x 20 + 500 x 0.2 = 4,900 micro-USD
    with open_books(tmp_path / "ledger.db") as books:
        books.take(client.log("req_1", MODEL, USAGE, cost_usd=CENT))
        books.take(client.sums(MODEL, held, 0.0149, start=NOW - SECOND, end=NOW + SECOND), at=NOW + SECOND).rest()
        assert books.cost_usd == "0.0149"
        assert [charge.status for charge in books.residuals] == [Status.PROVISIONAL]


def test_k43_a_counter_that_counted_once_is_said_again_ten_minutes_later(tmp_path: Path) -> None:
    """ColeMurray/claude-code-otel#11: a one-shot counter expires after five minutes and reads 0. Wrong: 0."""
    with open_books(tmp_path / "ledger.db") as books:
        books.take(Client().log("req_1", MODEL, USAGE, cost_usd=CENT)).rest()
        export = SeriesExport(books.ledger, books.parts.pipeline, (), Counters(), Temporality.CUMULATIVE)
        said = []
        for minutes in (0, 1, 11):  # the first export primes the series
            (part,) = export.begin("backend", books.now_unix_nano + minutes * MINUTE)
            export.end("backend", [(part, Accepted())])
            said.append([(p.metric, p.attributes, p.value, p.start_unix_nano) for p in decode_sums(part.body)])
        assert said[1] == said[2]
        cost = [value for metric, _, value, _ in said[2] if metric == Metric.COST]
        assert sum(cost) == pytest.approx(CENT)
