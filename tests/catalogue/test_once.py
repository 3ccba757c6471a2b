"""One call in several records, signals, requests and files. See README.md."""

from __future__ import annotations

import itertools
import random
from pathlib import Path

import pytest

from spanledger.core.usage import Evidence, Tokens
from support.booking import open_books
from support.splitting import split_records
from support.telling import NOW, SECOND, Client, Usage

MODEL = "claude-opus-5-5"
USAGE = Usage(107, 53, 12_011, 513, write_5m=513, write_1h=0)
# 107 x 4 + 53 x 20 + 12,011 x 0.2 + 513 x 5 = 6,455.2 micro-USD
COST_USD, COST = "0.0064552", 0.0064552


def test_k31_usage_that_grows_counts_once_and_in_full(tmp_path: Path) -> None:
    """ccusage/ccusage#938: of a reply's records the first is kept, which holds part of it. Wrong: 2.7 times low."""
    client = Client()
    # What a transcript holds while a reply streams in; the last has all output, the second alone the split of writes.
    grown = [
        Usage(107, 1, 12_011, 513),
        Usage(107, 20, 12_011, 513, write_5m=513, write_1h=0),
        Usage(107, 53, 12_011, 513),
    ]
    for number, order in enumerate(itertools.permutations(range(3))):
        with open_books(tmp_path / f"{number}.db") as books:
            for n in order:
                books.take(client.log("req_1", MODEL, grown[n], at=NOW + n * SECOND))
            books.rest()
            (call,) = books.calls
            assert call.tokens == Tokens(107, 53, 12_011, 513)
            assert books.cost_usd == COST_USD


@pytest.mark.parametrize("request_id", ["req_1\0", "req_\0one", "\0"])
def test_a_request_id_with_a_nul_is_one_call_however_often_it_comes(request_id: str, tmp_path: Path) -> None:
    client = Client()
    with open_books(tmp_path / "ledger.db") as books:
        books.take(*[client.log(request_id, MODEL, USAGE)] * 3, client.log("req_1", MODEL, USAGE)).rest()
        assert (len(books.calls), books.duplicates) == (2, 2)


def test_k32_nineteen_lines_of_one_reply(tmp_path: Path) -> None:
    """ccusage/ccusage#1728: a line for each block of content, all with the reply's usage. Wrong: 6.5 times."""
    client = Client()
    with open_books(tmp_path / "ledger.db") as books:
        books.take(*(client.log("req_1", MODEL, USAGE, at=NOW + n * SECOND) for n in range(19))).rest()
        assert (books.cost_usd, len(books.calls)) == (COST_USD, 1)


def test_k32_a_reply_in_the_file_of_the_session_and_of_its_subagent(tmp_path: Path) -> None:
    """steipete/CodexBar#646: a subagent's replies are in its parent's file too. Wrong: 3.08 times."""
    parent, subagent = Client(session="parent"), Client(session="subagent")
    of_subagent = {"query_source": "agent:custom", "agent.name": "reviewer"}
    copies = [
        parent.log("req_1", MODEL, USAGE, **of_subagent),
        parent.log("req_1", MODEL, USAGE, at=NOW + SECOND, **of_subagent),
        subagent.log("req_1", MODEL, USAGE, **of_subagent),
    ]
    costs = set()
    for number, order in enumerate(itertools.permutations(copies)):
        with open_books(tmp_path / f"{number}.db") as books:
            books.take(*order).rest()
            (call,) = books.calls
            costs.add((books.cost_usd, call.source.session_id, call.account.query_class))
    (found,) = costs  # in any order the same
    assert found in {(COST_USD, "parent", "subagent"), (COST_USD, "subagent", "subagent")}


@pytest.mark.parametrize("late", [None, 0, 1, 2])
@pytest.mark.parametrize("order", list(itertools.permutations(("log", "span", "sum"))), ids=" ".join)
def test_k33_log_span_and_sum_of_one_call(order: tuple[str, ...], late: int | None, tmp_path: Path) -> None:
    """Every signal tells of the same call. Wrong: two or three times."""
    client = Client()
    told = {
        "log": client.log("req_1", MODEL, USAGE, cost_usd=COST),
        "span": client.span("req_1", MODEL, USAGE),
        "sum": client.sums(MODEL, USAGE, COST, start=NOW - SECOND, end=NOW + SECOND),
    }
    with open_books(tmp_path / "ledger.db") as books:
        for place, name in enumerate(order):
            # A late one comes when everything else has been settled and held against the sums.
            books.take(told[name], at=NOW + SECOND + (600 * SECOND if place >= (9 if late is None else late) else 0))
        books.rest()
        assert books.cost_usd == COST_USD
        assert [call.evidence for call in books.charges] == [Evidence.LOG]


def test_k34_a_request_sent_again_in_whole_and_in_part(tmp_path: Path) -> None:
    """A client that timed out sends the same bytes again; a Collector cuts them otherwise. Wrong: twice."""
    client = Client()
    events = [client.event(f"req_{n}", MODEL, USAGE, cost_usd=COST) for n in range(5)]
    log = client.logs(events, at=NOW)
    sums = client.sums(MODEL, Usage(535, 265, 60_055, 2_565), 5 * COST, start=NOW - SECOND, end=NOW + SECOND)
    sent = [log, sums, log, sums, *split_records(log)[2:4], *split_records(sums)[1:]]
    random.Random(34).shuffle(sent)
    with open_books(tmp_path / "ledger.db") as books:
        for n, delivery in enumerate(sent):
            books.take(delivery, at=NOW + 2 * SECOND + n * 20 * SECOND)
        books.rest()
        # 5 x 6,455.2 micro-USD
        assert (books.cost_usd, len(books.calls), books.residuals) == ("0.032276", 5, [])
        assert books.duplicates == 5 + 2


def test_k35_a_call_that_the_gateway_tells_of_too(tmp_path: Path) -> None:
    """Otari's documentation: calls that are both routed and exported count twice. Wrong: twice."""
    client = Client(sender={"anthropic.custom_base_url": True}, resource={"team.id": "payments"})
    # The spend row of a gateway as an OTLP event: the same request id, no session, no user, its own service.
    gateway = Client(session="", user="", version="", resource={"service.name": "gateway"})
    row = gateway.log("req_1", MODEL, USAGE, at=NOW + SECOND, query_source=None)
    told = client.log("req_1", MODEL, USAGE, cost_usd=COST)
    for number, order in enumerate(itertools.permutations((row, told))):
        with open_books(tmp_path / f"{number}.db") as books:
            books.take(*order).rest()
            (call,) = books.calls
            assert books.cost_usd == COST_USD
            # What the client says of itself is not lost to a row that says nothing of whom it was for.
            assert (call.source.session_id, dict(call.account.labels)["team"]) == ("session-1", "payments")
            assert call.client_cost_picousd == 6_455_200_000
            said = books.explain("req_1").as_json()["signals"]
            assert sorted(signal["sender"]["service"] for signal in said) == ["claude-code", "gateway"]
