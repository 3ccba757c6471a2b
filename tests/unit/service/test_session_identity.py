"""Session ids as they behave: several processes under one, numbers that begin again, starts under ids of their own."""

from __future__ import annotations

from pathlib import Path

from spanledger.core.semconv import Metric
from support.booking import open_books
from support.replaying import replay_folders
from support.telling import CUMULATIVE, DELTA, NOW, SECOND, Client, Usage
from support.truth import CAPTURES

MODEL = "claude-opus-5-5"
USAGE = Usage(1_000, 200, 10_000)  # 1,000 x 4 + 200 x 20 + 10,000 x 0.2 = 10,000 micro-USD
MINUTE = 60 * SECOND


def test_processes_side_by_side_under_one_session(tmp_path: Path) -> None:
    """Two processes of one session (an IDE and a terminal): their intervals overlap, and no call tells its process."""
    for temporality in (DELTA, CUMULATIVE):
        with open_books(tmp_path / f"{temporality}.db") as books:
            client = Client()
            for process, offset in enumerate((0, 23)):
                start = NOW + offset * SECOND
                for minute in range(3):
                    begins, ends = start + minute * MINUTE, start + (minute + 1) * MINUTE
                    log = client.log(f"req_{process}_{minute}", MODEL, USAGE, at=ends - 30 * SECOND, cost_usd=0.01)
                    done = minute + 1 if temporality is CUMULATIVE else 1
                    sums = client.sums(
                        MODEL,
                        Usage(*(count * done for count in (1_000, 200, 10_000))),
                        0.01 * done,
                        start=start if temporality is CUMULATIVE else begins,
                        end=ends,
                        temporality=temporality,
                    )
                    books.take(log, sums, at=NOW + 4 * MINUTE)
            books.rest()
            assert (books.cost_usd, len(books.calls), books.residuals) == ("0.06", 6, [])
            assert books.session("session-1").whole.requests == 6


def test_event_numbers_that_begin_again_are_no_repetition(tmp_path: Path) -> None:
    """`event.sequence` begins at 0 in each process: one session has several events of the same number."""
    client = Client()
    with open_books(tmp_path / "ledger.db") as books:
        for request_ids in (("req_1", "req_2"), (None, None)):  # with, and where a proxy drops the request id
            for process, request_id in enumerate(request_ids):
                at = NOW + process * 10 * SECOND
                event = client.event(request_id, MODEL, USAGE, **{"event.sequence": 7})
                books.take(client.logs([event], at=at))
                books.take(client.logs([event], at=at))  # the same again, as after a timeout
        books.rest()
        assert (len(books.calls), books.duplicates, books.cost_usd) == (4, 4, "0.04")


def test_a_start_under_an_id_of_its_own_costs_nothing_and_counts_once(tmp_path: Path) -> None:
    started, session = Client(session="throw-away"), Client()
    count = ("claude_code.session.count", {"start_type": "continue"}, 1.0)
    with open_books(tmp_path / "ledger.db") as books:
        books.take(started.points([count], start=NOW - SECOND), session.log("req_1", MODEL, USAGE, cost_usd=0.01))
        books.take(session.sums(MODEL, USAGE, 0.01, start=NOW - SECOND, end=NOW + SECOND), at=NOW + SECOND).rest()
        assert (books.cost_usd, books.residuals) == ("0.01", [])
        assert books.total(Metric.SESSIONS) == 1
        assert books.session("throw-away").calls == ()
        assert books.session("session-1").activity == {}


def test_sessions_of_the_capture_are_processes(tmp_path: Path) -> None:
    """s14: a session, a process that continues it under an id of its own, and another session."""
    replayed = replay_folders([CAPTURES / "s14_cache_1h"], tmp_path / "ledger.db")
    assert replayed.figures.metrics[Metric.SESSIONS] == 3
    assert len({posting.charge.source.session_id for posting in replayed.postings}) == 2
