"""Loss accounting: what each signal told of beside what is known, and the residual as a series of its own."""

from __future__ import annotations

import random
from collections.abc import Collection
from pathlib import Path

import pytest

from spanledger.core.delivery import Delivery
from spanledger.core.money import format_usd
from spanledger.core.semconv import Metric
from spanledger.core.usage import Signal
from support.booking import Books, open_books
from support.replaying import read_folder
from support.telling import NOW, SECOND, Client, Usage
from support.truth import CAPTURES

MODEL = "claude-opus-5-5"
USAGE = Usage(1_000, 200, 10_000)  # 1,000 x 4 + 200 x 20 + 10,000 x 0.2 = 10,000 micro-USD
TOKENS = 11_200
S03_TOKENS = 167_544  # of all calls of the capture, as its truth counts them


def of_signals(books: Books, **labels: str) -> dict[str, int]:
    """Tokens by signal, of the series with some labels."""
    found: dict[str, int] = {}
    for state in books.ledger.series.states():
        have = dict(state.key.labels)
        is_wanted = all(have.get(key) == value for key, value in labels.items())
        if state.key.metric in (Metric.SIGNAL_TOKENS, Metric.SIGNAL_TOKENS_ADJUSTMENT) and is_wanted:
            found[have["signal"]] = found.get(have["signal"], 0) + state.value
    return found


def take_capture(books: Books, name: str, without: Collection[Signal] = ()) -> Books:
    for body in read_folder(CAPTURES / name):
        if body.delivery.signal not in without:
            books.take(body.delivery, at=body.received_unix_nano or 0)
    return books.rest()


@pytest.mark.parametrize(
    ("without", "told"),
    [
        ((), {"logs": S03_TOKENS, "traces": S03_TOKENS, "metrics": S03_TOKENS}),
        ((Signal.LOGS,), {"logs": 0, "traces": S03_TOKENS, "metrics": S03_TOKENS}),
        ((Signal.TRACES,), {"logs": S03_TOKENS, "traces": 0, "metrics": S03_TOKENS}),
        ((Signal.METRICS,), {"logs": S03_TOKENS, "traces": S03_TOKENS, "metrics": 0}),
        ((Signal.LOGS, Signal.TRACES), {"logs": 0, "traces": 0, "metrics": S03_TOKENS}),
    ],
    ids=["all", "no logs", "no spans", "no metrics", "metrics alone"],
)
def test_a_signal_that_is_off_shows_beside_what_is_known(
    without: Collection[Signal], told: dict[str, int], tmp_path: Path
) -> None:
    with open_books(tmp_path / "ledger.db") as books:
        take_capture(books, "s03_subagent", without)
        assert books.total(Metric.TOKENS) == S03_TOKENS
        assert of_signals(books, team="platform", cost_center="cc-42") == told


def test_what_a_call_has_in_no_log_is_the_gap_of_the_log(tmp_path: Path) -> None:
    with open_books(tmp_path / "ledger.db") as books:
        take_capture(books, "s06c_auto_mode_classifier")
        told = of_signals(books)
        # Two calls of the permission classifier: 121 + 59 + 12,033 + 539 and 142 + 68 + 12,066 + 578
        assert books.total(Metric.TOKENS) - told["logs"] == 12_752 + 12_854
        assert told["traces"] == told["metrics"] == books.total(Metric.TOKENS)


def test_a_lost_metric_export_is_the_gap_of_the_metric(tmp_path: Path) -> None:
    client = Client()
    with open_books(tmp_path / "ledger.db") as books:
        books.take(*(client.log(f"req_{n}", MODEL, USAGE, at=NOW + n * 60 * SECOND) for n in range(3)))
        for n in (0, 2):  # the second interval's export was lost
            end = NOW + n * 60 * SECOND + 30 * SECOND
            books.take(client.sums(MODEL, USAGE, 0.01, start=end - 60 * SECOND, end=end))
        books.rest()
        assert books.total(Metric.TOKENS) == 3 * TOKENS
        assert of_signals(books) == {"logs": 3 * TOKENS, "traces": 0, "metrics": 2 * TOKENS}
        assert books.residuals == []  # nothing is carried from one interval to the next


def test_repetition_order_and_restarts_change_nothing(tmp_path: Path) -> None:
    bodies = [body.delivery for body in read_folder(CAPTURES / "s10_cumulative")]
    order = random.Random(3)
    for number in range(4):
        arrived = bodies + order.sample(bodies, k=len(bodies) // 2)
        order.shuffle(arrived)
        for delivery in arrived:  # a restart before every one
            with open_books(tmp_path / f"{number}.db") as books:
                books.take(delivery, at=1_795_369_900 * SECOND)
        with open_books(tmp_path / f"{number}.db") as books:
            books.rest()
            assert of_signals(books) == {"logs": 50_940, "traces": 50_940, "metrics": 50_940}


def test_two_records_of_one_call_in_one_signal_count_once(tmp_path: Path) -> None:
    one, other = Client(resource={"team.id": "a"}), Client(session="", user="", resource={"team.id": "b"})
    records: list[Delivery] = [one.log("req_1", MODEL, USAGE), other.log("req_1", MODEL, Usage(1_000, 150, 10_000))]
    for order in (records, records[::-1]):
        with open_books(tmp_path / f"{order is records}.db") as books:
            for delivery in order:
                books.take(delivery)
                books.parts.pipeline.fold(NOW)
            books.rest()
            assert of_signals(books, team="a")["logs"] == TOKENS
            assert of_signals(books, team="b").get("logs", 0) == 0
            assert books.total(Metric.SIGNAL_TOKENS) == TOKENS


def test_the_residual_is_a_series_and_a_late_log_takes_it_back(tmp_path: Path) -> None:
    client = Client(resource={"team.id": "payments"})
    with open_books(tmp_path / "ledger.db") as books:
        books.take(client.sums(MODEL, USAGE, 0.01, start=NOW - SECOND, end=NOW + SECOND), at=NOW + SECOND).rest()
        assert format_usd(books.total(Metric.RESIDUAL_COST)) == books.cost_usd == "0.01"
        books.take(client.log("req_1", MODEL, USAGE, cost_usd=0.01), at=NOW + 600 * SECOND).rest()
        assert (format_usd(books.total(Metric.RESIDUAL_COST)), books.cost_usd) == ("0", "0.01")
        found = {state.key.metric: state for state in books.ledger.series.states()}
        series, twin = found[Metric.RESIDUAL_COST], found[Metric.RESIDUAL_COST_ADJUSTMENT]
        assert (format_usd(series.value), series.value + twin.value) == ("0.01", 0)
        labels = {"basis": "billed", "model": MODEL, "query_class": "main", "team": "payments"}
        assert labels.items() <= dict(series.key.labels).items()
        assert dict(twin.key.labels).items() >= {**labels, "reason": "residual"}.items()


def test_metric_residual_and_ledger_agree_in_the_captures(tmp_path: Path) -> None:
    with open_books(tmp_path / "ledger.db") as books:
        take_capture(books, "s04d_stream_cut")
        # Two attempts that were cut: 0.0054152 + 0.0055904
        assert format_usd(books.total(Metric.RESIDUAL_COST)) == "0.0110056"
