"""Deltas: everything is sent at most once, and what may be missing is counted, whatever happens in between."""

from __future__ import annotations

import tempfile
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from spanledger.core.deltas import Arrival, Delta
from spanledger.core.semconv import Metric
from spanledger.core.usage import Temporality
from spanledger.core.views import SeriesKey
from spanledger.ledger.ledger import Ledger

A = SeriesKey(Metric.COST, (("model", "a"),))
B = SeriesKey(Metric.COST, (("model", "b"),))
LEAD_NANO = 1_000_000
HERE = "here"


def open_ledger(folder: Path) -> Ledger:
    return Ledger.open(folder / "ledger.db", max_series=100)


def grow(ledger: Ledger, amounts: dict[SeriesKey, int], at: int) -> None:
    with ledger.transaction():
        ledger.series.add(amounts, to_posting_id=1, now_unix_nano=at)


def begin(ledger: Ledger, at: int) -> list[Delta]:
    with ledger.transaction():
        return ledger.deltas.begin(HERE, ledger.series.states(), at)


def end(ledger: Ledger, arrival: Arrival) -> None:
    with ledger.transaction():
        if arrival is Arrival.CONFIRMED:
            ledger.series.prime(HERE, 20 * LEAD_NANO)
        ledger.deltas.end(HERE, arrival)


@pytest.fixture
def ledger(tmp_path: Path):
    opened = open_ledger(tmp_path)
    with opened.transaction():
        opened.deltas.choose(HERE, Temporality.DELTA, [])
    yield opened
    opened.close()


def test_a_series_says_zero_then_what_is_new_in_windows_without_a_gap(ledger: Ledger) -> None:
    grow(ledger, {A: 5}, at=10 * LEAD_NANO)
    assert begin(ledger, 20 * LEAD_NANO) == [Delta(A, 9 * LEAD_NANO, 0)]
    end(ledger, Arrival.CONFIRMED)
    grow(ledger, {A: 2}, at=25 * LEAD_NANO)
    assert begin(ledger, 30 * LEAD_NANO) == [Delta(A, 20 * LEAD_NANO, 7)]
    end(ledger, Arrival.CONFIRMED)
    assert begin(ledger, 40 * LEAD_NANO) == [], "nothing new"
    end(ledger, Arrival.CONFIRMED)
    grow(ledger, {A: 2**70}, at=45 * LEAD_NANO)
    assert begin(ledger, 50 * LEAD_NANO) == [Delta(A, 40 * LEAD_NANO, 2**70)]
    assert ledger.deltas.unconfirmed(HERE, Metric.COST) == 0


def primed(ledger: Ledger) -> None:
    grow(ledger, {A: 5}, at=10 * LEAD_NANO)
    begin(ledger, 20 * LEAD_NANO)
    end(ledger, Arrival.CONFIRMED)


def test_what_was_not_taken_goes_with_the_next_export(ledger: Ledger) -> None:
    primed(ledger)
    begin(ledger, 30 * LEAD_NANO)
    end(ledger, Arrival.NOT_TAKEN)
    grow(ledger, {A: 1}, at=35 * LEAD_NANO)
    assert begin(ledger, 40 * LEAD_NANO) == [Delta(A, 20 * LEAD_NANO, 6)]


@pytest.mark.parametrize("killed", [False, True])
def test_what_is_in_doubt_is_counted_and_not_sent_again(ledger: Ledger, killed: bool, tmp_path: Path) -> None:
    primed(ledger)
    begin(ledger, 30 * LEAD_NANO)
    if killed:
        ledger.close()
        ledger = open_ledger(tmp_path)
    else:
        end(ledger, Arrival.IN_DOUBT)
    grow(ledger, {A: 1}, at=35 * LEAD_NANO)
    assert begin(ledger, 40 * LEAD_NANO) == [Delta(A, 30 * LEAD_NANO, 1)]
    assert ledger.deltas.unconfirmed(HERE, Metric.COST) == 5
    assert ledger.deltas.unconfirmed("elsewhere", Metric.COST) == 0
    ledger.close()


def test_deltas_begin_where_cumulative_sums_ended(tmp_path: Path) -> None:
    ledger = open_ledger(tmp_path)
    grow(ledger, {A: 5}, at=10 * LEAD_NANO)
    with ledger.transaction():
        ledger.series.prime(HERE, 20 * LEAD_NANO)
        ledger.deltas.choose(HERE, Temporality.DELTA, ledger.series.states())
    grow(ledger, {A: 1, B: 3}, at=20 * LEAD_NANO)
    assert [(delta.key, delta.amount) for delta in begin(ledger, 30 * LEAD_NANO)] == [(A, 1), (B, 0)]
    ledger.close()


def test_parts_of_an_export_have_ends_of_their_own(ledger: Ledger) -> None:
    c = SeriesKey(Metric.COST, (("model", "c"),))
    grow(ledger, {A: 1, B: 10, c: 100}, at=10 * LEAD_NANO)
    begin(ledger, 20 * LEAD_NANO)
    end(ledger, Arrival.CONFIRMED)
    assert [delta.amount for delta in begin(ledger, 30 * LEAD_NANO)] == [1, 10, 100]
    with ledger.transaction():
        apart = {A: Arrival.CONFIRMED, B: Arrival.NOT_TAKEN, c: Arrival.IN_DOUBT}
        ledger.deltas.end(HERE, Arrival.IN_DOUBT, apart)
    grow(ledger, {A: 2, B: 20, c: 200}, at=35 * LEAD_NANO)
    assert [(delta.key, delta.amount) for delta in begin(ledger, 40 * LEAD_NANO)] == [(A, 2), (B, 10 + 20), (c, 200)]
    assert ledger.deltas.unconfirmed(HERE, Metric.COST) == 100


def test_windows_stay_where_they_were_when_no_part_was_taken(ledger: Ledger) -> None:
    primed(ledger)
    begin(ledger, 30 * LEAD_NANO)
    with ledger.transaction():
        ledger.deltas.end(HERE, Arrival.IN_DOUBT, {A: Arrival.NOT_TAKEN})
    assert begin(ledger, 40 * LEAD_NANO) == [Delta(A, 20 * LEAD_NANO, 5)]


STEPS = st.lists(
    st.one_of(
        st.tuples(st.just("grow"), st.sampled_from([A, B]), st.integers(1, 10**15)),
        st.tuples(st.just("export"), st.sampled_from([*Arrival, None]), st.booleans()),
        st.tuples(st.just("restart"), st.none(), st.none()),
    ),
    max_size=25,
)


@settings(max_examples=20)
@given(STEPS)
def test_received_and_unconfirmed_and_pending_are_the_value(steps: list) -> None:
    """`None` for an outcome is a kill before it was known; the flag tells whether an export in doubt was received."""
    with tempfile.TemporaryDirectory() as folder:
        ledger = open_ledger(Path(folder))
        received = doubted = 0
        with ledger.transaction():
            ledger.deltas.choose(HERE, Temporality.DELTA, [])
        for time, (step, what, more) in enumerate(steps, start=1):
            match step:
                case "grow":
                    grow(ledger, {what: more}, at=time * 10 * LEAD_NANO)
                case "export":
                    amount = sum(delta.amount for delta in begin(ledger, time * 10 * LEAD_NANO))
                    if what is not None:
                        end(ledger, what)
                    if what is Arrival.CONFIRMED or (what is not Arrival.NOT_TAKEN and more):
                        received += amount
                    if what not in (Arrival.CONFIRMED, Arrival.NOT_TAKEN):
                        doubted += amount
                case "restart":
                    ledger.close()
                    ledger = open_ledger(Path(folder))
        for time in (10**6, 10**7):  # the last exports: what the first primes, the second says
            received += sum(delta.amount for delta in begin(ledger, time * LEAD_NANO))
            end(ledger, Arrival.CONFIRMED)
        value = sum(state.value for state in ledger.series.states())
        assert ledger.deltas.unconfirmed(HERE, Metric.COST) == doubted
        assert 0 <= value - received <= doubted
        ledger.close()
