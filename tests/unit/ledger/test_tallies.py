"""Tallies: the client's own counters, each data point once, whatever its temporality, order and repetition."""

from __future__ import annotations

import random
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from spanledger.core.semconv import Metric
from spanledger.core.tally import TallyKey, tally_increments
from spanledger.core.usage import ActivityPoint, Source, Temporality
from spanledger.ledger.ledger import Ledger
from support.booking import open_books
from support.replaying import replay_folders
from support.telling import CUMULATIVE, NOW, SECOND, Client
from support.truth import CAPTURES

SENDER = Source(session_id="s", labels=(("team", "payments"), ("cost_center", "")))


def point(amount: int, time: int, temporality: Temporality, start: int = NOW) -> ActivityPoint:
    return ActivityPoint(
        metric=Metric.COMMITS,
        series="one",
        start_unix_nano=start,
        time_unix_nano=time,
        temporality=temporality,
        amount=amount,
        source=SENDER,
        labels=(),
    )


@given(st.lists(st.integers(0, 50), min_size=1, max_size=8), st.randoms(use_true_random=False), st.booleans())
def test_deltas_and_cumulative_points_in_any_order_and_twice_give_one_total(
    tmp_path_factory: pytest.TempPathFactory, grown: list[int], order: random.Random, cumulative: bool
) -> None:
    totals = [sum(grown[: n + 1]) for n in range(len(grown))]
    times = [NOW + n * SECOND for n in range(1, len(grown) + 1)]
    temporality = Temporality.CUMULATIVE if cumulative else Temporality.DELTA
    points = [point(*one, temporality) for one in zip(totals if cumulative else grown, times, strict=True)]
    points += order.sample(points, k=len(points) // 2)
    order.shuffle(points)
    ledger = Ledger.open(tmp_path_factory.mktemp("tallies") / "ledger.db", max_series=10)
    for one in points:
        with ledger.transaction():
            ledger.tallies.add_points([one], NOW)
    assert sum(ledger.tallies.totals().values()) == totals[-1]
    ledger.close()


def test_a_series_older_than_the_ledger_begins_at_its_lowest_point(tmp_path: Path) -> None:
    began = NOW + 3600 * SECOND
    ledger = Ledger.open(tmp_path / "ledger.db", max_series=10)
    with ledger.transaction():
        for amount in (7, 9, 5):  # 5 was the first to be sent and the last to come
            ledger.tallies.add_points([point(amount, began + amount, Temporality.CUMULATIVE)], began)
    assert ledger.tallies.totals() == {Metric.COMMITS: 9 - 5}
    ledger.close()


def test_what_is_folded_is_folded_once(tmp_path: Path) -> None:
    key = TallyKey(SENDER, Metric.COMMITS, ())
    ledger = Ledger.open(tmp_path / "ledger.db", max_series=10)
    with ledger.transaction():
        ledger.tallies.add({key: 3})
    assert ledger.tallies.grown() == [(key, 3)]
    with ledger.transaction():
        ledger.tallies.fold()
    assert ledger.tallies.grown() == []
    with ledger.transaction():
        ledger.tallies.add({key: 1})
    assert ledger.tallies.grown() == [(key, 1)]
    ledger.close()
    again = Ledger.open(tmp_path / "ledger.db", max_series=10)
    assert again.tallies.grown() == [(key, 1)]
    assert again.tallies.of_senders([1]) == {key: 4}
    again.close()


def test_a_total_that_64_bits_do_not_hold_stops_there_and_more_is_taken_still(tmp_path: Path) -> None:
    most = 2**63 - 1
    keys = [TallyKey(sender, Metric.COMMITS, ()) for sender in (SENDER, Source(session_id="t"))]
    ledger = Ledger.open(tmp_path / "ledger.db", max_series=10)
    for amount in (2**62, 2**62 - 2, 1, 1, 2**70):
        with ledger.transaction():
            ledger.tallies.add(dict.fromkeys(keys, amount))
    assert ledger.tallies.grown() == [(key, most) for key in keys]
    assert ledger.tallies.totals() == {Metric.COMMITS: 2 * most}
    ledger.close()


def test_series_of_tallies_carry_no_session_and_name_what_is_missing() -> None:
    other = Source(session_id="t", labels=SENDER.labels)
    grown = [
        (TallyKey(sender, Metric.LINES_OF_CODE, (("type", "added"),)), amount)
        for sender, amount in ((SENDER, 2), (other, 3))
    ]
    (key,) = tally_increments(grown)
    assert key.labels == (("type", "added"), ("team", "payments"), ("cost_center", "unallocated"))
    assert tally_increments(grown) == {key: 5}


@pytest.mark.parametrize(
    ("name", "sessions", "lines", "commits", "active_seconds"),
    [
        ("s02_tools_edit_commit", 1, 4 + 0 + 2 + 1, 1, 1.6),
        ("s10_cumulative", 1, 2, 0, 3.874),  # five cumulative points of one session
        ("s17b_http_503_429", 1, 2, 0, 8.795),  # the first export came three times
    ],
)
def test_the_captures_say_what_their_sessions_did(
    name: str, sessions: int, lines: int, commits: int, active_seconds: float, tmp_path: Path
) -> None:
    metrics = replay_folders([CAPTURES / name], tmp_path / "ledger.db").figures.metrics
    assert (metrics[Metric.SESSIONS], metrics[Metric.LINES_OF_CODE], metrics[Metric.COMMITS]) == (
        sessions,
        lines,
        commits,
    )
    assert metrics[Metric.ACTIVE_TIME] == active_seconds * 10**9


def test_counters_are_kept_apart_by_what_they_say_of_themselves(tmp_path: Path) -> None:
    client = Client(resource={"team.id": "payments"})
    lines = [("claude_code.lines_of_code.count", {"type": kind}, n) for kind, n in (("added", 5.0), ("removed", 2.0))]
    accepted = [("claude_code.code_edit_tool.decision", {"decision": "accept", "tool_name": "Edit"}, 1.0)]
    with open_books(tmp_path / "ledger.db") as books:
        books.take(client.points(lines + accepted, start=NOW - SECOND, temporality=CUMULATIVE)).rest()
        found = {
            (state.key.metric, *dict(state.key.labels).values()): state.value
            for state in books.ledger.series.states()
            if state.value
        }
    assert found == {
        (Metric.LINES_OF_CODE, "added", "payments", "unallocated", "unallocated"): 5,
        (Metric.LINES_OF_CODE, "removed", "payments", "unallocated", "unallocated"): 2,
        (Metric.EDIT_DECISIONS, "accept", "unknown", "Edit", "payments", "unallocated", "unallocated"): 1,
    }


@pytest.mark.parametrize("value", [-1.0, 0.5, float("nan"), float("inf"), 2.0**64])
def test_a_counter_that_cannot_be_is_refused_alone(value: float, tmp_path: Path) -> None:
    points = [("claude_code.commit.count", {}, value), ("claude_code.pull_request.count", {}, 1.0)]
    with open_books(tmp_path / "ledger.db") as books:
        books.take(Client().points(points, start=NOW - SECOND)).rest()
        assert [receipt.rejected for receipt in books.receipts] == [1]
        assert books.ledger.tallies.totals() == {Metric.PULL_REQUESTS: 1}
