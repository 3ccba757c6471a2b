"""Series: cumulative, primed, bounded, and the same after a restart."""

from __future__ import annotations

from pathlib import Path

from spanledger.core.labels import MAX_LABEL_BYTES, cut_key
from spanledger.core.semconv import Metric
from spanledger.core.views import SeriesKey, overflow_key
from spanledger.ledger.ledger import Ledger
from spanledger.ledger.series import Crowding

LEAD_NANO = 1_000_000
A = SeriesKey(Metric.COST, (("model", "a"),))
B = SeriesKey(Metric.COST, (("model", "b"),))
C = SeriesKey(Metric.COST, (("model", "c"),))


def open_ledger(path: Path, max_series: int = 100) -> Ledger:
    return Ledger.open(path / "ledger.db", max_series=max_series)


def test_a_series_says_zero_before_it_says_its_value(tmp_path: Path) -> None:
    ledger = open_ledger(tmp_path)
    with ledger.transaction():
        ledger.series.add({A: 5}, to_posting_id=1, now_unix_nano=10 * LEAD_NANO)
    (state,) = ledger.series.states()
    assert (state.exported_value("here"), state.value) == (0, 5)
    with ledger.transaction():
        ledger.series.prime("here", 20 * LEAD_NANO)
    (state,) = ledger.series.states()
    assert (state.exported_value("here"), state.exported_value("elsewhere")) == (5, 0)
    with ledger.transaction():
        ledger.series.prime("here", 30 * LEAD_NANO)
    assert ledger.series.told_since("here") == 20 * LEAD_NANO, "the first time stays"
    assert ledger.series.told_since("elsewhere") is None
    ledger.close()


def test_a_restart_continues_value_start_and_watermark(tmp_path: Path) -> None:
    first = open_ledger(tmp_path)
    with first.transaction():
        first.series.add({A: 2**70}, to_posting_id=7, now_unix_nano=10 * LEAD_NANO)
        first.series.prime("here", 20 * LEAD_NANO)
    first.close()
    second = open_ledger(tmp_path)
    assert second.series.watermark == 7
    with second.transaction():
        second.series.add({A: 1}, to_posting_id=8, now_unix_nano=99 * LEAD_NANO)
    (state,) = second.series.states()
    assert state.exported_value("here") == 2**70 + 1
    assert state.start_unix_nano == 9 * LEAD_NANO
    second.close()


def test_what_has_no_room_goes_to_the_overflow_series_and_the_total_stays(tmp_path: Path) -> None:
    ledger = open_ledger(tmp_path, max_series=2)
    with ledger.transaction():
        crowding = ledger.series.add({A: 1, B: 10, C: 100}, to_posting_id=1, now_unix_nano=LEAD_NANO)
    assert crowding == Crowding(overflowed=1)
    values = {state.key: state.value for state in ledger.series.states()}
    assert values == {A: 1, B: 10, overflow_key(Metric.COST): 100}
    with ledger.transaction():
        ledger.series.add({C: 1000, A: 1}, to_posting_id=2, now_unix_nano=LEAD_NANO)
    assert sum(state.value for state in ledger.series.states()) == 1 + 10 + 100 + 1000 + 1
    ledger.close()


LONG, OTHER = (SeriesKey(Metric.COST, (("model", "m" * 10**6 + end),)) for end in "12")


def test_long_labels_are_cut_and_counted_and_different_ones_stay_apart(tmp_path: Path) -> None:
    ledger = open_ledger(tmp_path)
    for times in (1, 2):
        with ledger.transaction():
            crowding = ledger.series.add({A: 1, LONG: 10, OTHER: 100}, to_posting_id=times, now_unix_nano=LEAD_NANO)
        assert crowding == Crowding(cut=2 if times == 1 else 0), "counted when they begin"
    values = {state.key: state.value for state in ledger.series.states()}
    assert values == {A: 2, cut_key(LONG, MAX_LABEL_BYTES): 20, cut_key(OTHER, MAX_LABEL_BYTES): 200}
    assert max(len(value.encode()) for key in values for _, value in key.labels) == MAX_LABEL_BYTES
    ledger.close()


def test_a_series_that_began_with_a_long_label_goes_on_as_one(tmp_path: Path) -> None:
    older = Ledger.open(tmp_path / "ledger.db", max_series=100, max_label_bytes=2 * 10**6)
    with older.transaction():
        older.series.add({LONG: 1}, to_posting_id=1, now_unix_nano=LEAD_NANO)
    older.close()
    ledger = open_ledger(tmp_path)
    with ledger.transaction():
        ledger.series.add({LONG: 2}, to_posting_id=2, now_unix_nano=LEAD_NANO)
    assert [(state.key, state.value) for state in ledger.series.states()] == [(LONG, 1 + 2)]
    ledger.close()


def test_an_undone_transaction_undoes_the_memory_too(tmp_path: Path) -> None:
    ledger = open_ledger(tmp_path)
    try:
        with ledger.transaction():
            ledger.series.add({A: 5}, to_posting_id=1, now_unix_nano=LEAD_NANO)
            raise ZeroDivisionError
    except ZeroDivisionError:
        assert ledger.series.states() == []
    ledger.close()
