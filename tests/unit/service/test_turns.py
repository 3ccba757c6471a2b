"""The turn's sum on its span: background subagents in it, nothing of another turn, and never less in silence."""

from __future__ import annotations

from decimal import Decimal
from pathlib import Path

import pytest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

from spanledger.config.settings import load_settings
from spanledger.core.usage import Signal
from support.booking import Books, open_books
from support.replaying import read_folder
from support.telling import NOW, SECOND, Client, Usage
from support.truth import CAPTURES

MODEL = "claude-opus-5-5"
USAGE = Usage(1_000, 200, 10_000)  # 1,000 x 4 + 200 x 20 + 10,000 x 0.2 = 10,000 micro-USD
CLIENT = Client()
TRACE, ROOT = "ab" * 16, "0a" * 8


def turns(books: Books) -> list[dict[str, str | int]]:
    """What is written on each interaction span that leaves, in order of its start."""
    spans = [
        span
        for body in books.left(Signal.TRACES)
        for group in ExportTraceServiceRequest.FromString(body).resource_spans
        for scope in group.scope_spans
        for span in scope.spans
        if span.name == "claude_code.interaction"
    ]
    return [
        {
            pair.key.removeprefix("spanledger.turn."): pair.value.string_value or pair.value.int_value
            for pair in span.attributes
            if pair.key.startswith("spanledger.")
        }
        for span in sorted(spans, key=lambda span: span.start_time_unix_nano)
    ]


def turn(cost_usd: str, requests: int, status: str = "exact") -> dict[str, str | int]:
    return {"cost_usd": cost_usd, "requests": requests, "status": status}


def interaction(*, at: int, seconds: float, parent: str = "", span: str = ROOT, client: Client = CLIENT):
    return client.span(
        None, "", Usage(), name="interaction", trace=TRACE, span=span, parent=parent, at=at, seconds=seconds
    )


def test_every_turn_of_the_captures_has_the_sum_of_its_calls(tmp_path: Path) -> None:
    for name, expected in (
        # One turn: 0.0064552 + 0.0066104 + 0.0067656 + 0.0069208
        ("s21_traces_default", [("0.026752", 4)]),
        # Title and reply, a reply, the compaction, a reply; /cost and /exit make turns without calls.
        ("s05a_manual_compact", [("0.006831835", 2), ("0.0067656", 1), ("0.0069208", 1), ("0.007076", 1), None, None]),
        # The classifier's calls, which no log event tells of, are in their turns.
        ("s06c_auto_mode_classifier", [("0.018338735", 4, "provisional"), ("0.0192846", 3, "provisional"), None, None]),
        # Sampled by a parent of its own, then not sampled, then without one.
        ("s18_traceparent", [("0.0064552", 1), ("0.0067656", 1)]),
    ):
        with open_books(tmp_path / f"{name}.db") as books:
            for body in read_folder(CAPTURES / name):
                books.take(body.delivery, at=body.received_unix_nano or 0)
            books.rest()
            wanted = [{} if one is None else turn(*one) for one in expected]
            assert turns(books) == wanted, name


def test_background_subagents_are_in_the_turn_that_began_them(tmp_path: Path) -> None:
    with open_books(tmp_path / "ledger.db") as books:
        for body in read_folder(CAPTURES / "s03_subagent"):
            books.take(body.delivery, at=body.received_unix_nano or 0)
        books.rest()
        found = turns(books)
        # The first turn's four agents went on for 1.6 s after it; a notice of each makes a turn of its own.
        assert [one.get("requests") for one in found] == [10, None, 1, 1, 1]
        assert sum(Decimal(one.get("cost_usd", "0")) for one in found) == Decimal(books.cost_usd)


def test_what_comes_after_the_span_has_left_is_not_in_it(tmp_path: Path) -> None:
    calls = [CLIENT.span(f"req_{n}", MODEL, USAGE, trace=TRACE, parent=ROOT, at=NOW + n * SECOND) for n in range(3)]
    with open_books(tmp_path / "ledger.db") as books:
        books.take(calls[0], interaction(at=NOW, seconds=5))
        books.take(calls[1], at=NOW + 9 * SECOND)  # still waits for its log event when the turn leaves
        books.take(calls[2], at=NOW + 11 * SECOND).rest()
        assert turns(books) == [turn("0.02", 2, "provisional")]  # of spans alone


def test_a_call_without_a_price_is_counted_and_leaves_a_lower_bound(tmp_path: Path) -> None:
    calls = [CLIENT.span(f"req_{n}", model, USAGE, trace=TRACE) for n, model in enumerate((MODEL, "claude-next-9"))]
    with open_books(tmp_path / "ledger.db") as books:
        books.take(*calls, interaction(at=NOW, seconds=5)).rest()
        assert turns(books) == [turn("0.01", 2, "lower_bound") | {"unpriced_requests": 1}]


def test_a_turn_of_which_nothing_has_a_price_costs_nothing_known(tmp_path: Path) -> None:
    with open_books(tmp_path / "ledger.db") as books:
        books.take(CLIENT.span("req_1", "claude-next-9", USAGE, trace=TRACE), interaction(at=NOW, seconds=5)).rest()
        assert turns(books) == [{"requests": 1, "status": "unpriced", "unpriced_requests": 1}]


def test_a_turn_is_told_without_waiting_when_there_is_no_window(tmp_path: Path) -> None:
    settings = load_settings(None, {}, {"forward.join_window_seconds": "0"})
    with open_books(tmp_path / "ledger.db", settings) as books:
        log = CLIENT.logs([CLIENT.event("req_1", MODEL, USAGE)], trace=TRACE, parent=ROOT)
        books.take(log, interaction(at=NOW, seconds=5))
        assert turns(books) == [turn("0.01", 1)]


@pytest.mark.parametrize("session", ["session-1", ""], ids=["with a session", "without"])
def test_turns_in_one_trace_from_outside_keep_to_their_own_time(session: str, tmp_path: Path) -> None:
    """TRACEPARENT gives several processes one trace; the second continues the first one's session."""
    client, outside = Client(session=session), "0f" * 8
    with open_books(tmp_path / "ledger.db") as books:
        first, second = "01" * 8, "02" * 8
        books.take(
            client.span("req_1", MODEL, USAGE, trace=TRACE, parent=first, at=NOW + 2 * SECOND),
            # A subagent of the first turn, in the background.
            client.span(
                "req_2", MODEL, USAGE, trace=TRACE, at=NOW + 5 * SECOND, query_source_safe="agent.custom", agent_id="a"
            ),
            interaction(at=NOW + 3 * SECOND, seconds=3, parent=outside, span=first, client=client),
            client.span("req_3", MODEL, Usage(0, 1_000), trace=TRACE, parent=second, at=NOW + 8 * SECOND),
            interaction(at=NOW + 9 * SECOND, seconds=3, parent=outside, span=second, client=client),
            Client(session="other", user="user-2").span("req_4", MODEL, USAGE, trace=TRACE, at=NOW + 2 * SECOND),
            at=NOW + 10 * SECOND,
        ).rest()
        # Two calls of a cent; one of 1,000 x 20 micro-USD
        assert turns(books) == [turn("0.02", 2, "provisional"), turn("0.02", 1, "provisional")]
