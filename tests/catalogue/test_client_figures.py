"""Where the client's own figure is wrong, or tells more than its record. See README.md."""

from __future__ import annotations

from pathlib import Path

from spanledger.core.money import format_usd
from spanledger.core.posting import Status
from spanledger.core.semconv import Metric
from spanledger.core.usage import Evidence, Tokens
from spanledger.core.verdict import Verdict
from support.booking import Books, open_books
from support.telling import SECOND, Client, Usage

JUNE = 1_780_400_000 * SECOND  # 2026-06-02
AUGUST = 1_787_100_000 * SECOND  # 2026-08-19


def gap_usd(books: Books, client_usd: str) -> tuple[str, str]:
    """Our total and the client's, as metrics and ledger show them."""
    assert format_usd(books.total(Metric.CLIENT_COST)) == client_usd
    return books.cost_usd, client_usd


def test_k14_a_client_that_says_three_times_the_price(tmp_path: Path) -> None:
    """anthropics/claude-code#64701: version 2.1.159 prices Opus 4.8 at three times its rate. Wrong: 0.225."""
    client = Client(version="2.1.159")
    with open_books(tmp_path / "ledger.db") as books:
        books.take(client.log("req_1", "claude-opus-4-8", Usage(10_000, 1_000), at=JUNE, cost_usd=0.225), at=JUNE)
        books.rest()
        (call,) = books.calls
        # 10,000 x 5 + 1,000 x 25 = 75,000 micro-USD
        assert gap_usd(books, "0.225") == ("0.075", "0.225")
        assert (call.status, call.evidence, call.verdict) == (Status.EXACT, Evidence.LOG, Verdict.CLIENT_TABLE)
        assert "64701" in books.explain("req_1").citation


def test_k15_a_client_that_says_one_and_a_half_times_the_price(tmp_path: Path) -> None:
    """anthropics/claude-code#87855: Sonnet 5 at 1.5 times its rate. Wrong: the client's 0.045."""
    client = Client(version="2.1.240")
    with open_books(tmp_path / "ledger.db") as books:
        books.take(client.log("req_1", "claude-sonnet-5", Usage(10_000, 1_000), at=AUGUST, cost_usd=0.045), at=AUGUST)
        books.rest()
        (call,) = books.calls
        # 10,000 x 2 + 1,000 x 10 = 30,000 micro-USD
        assert gap_usd(books, "0.045") == ("0.03", "0.045")
        assert (call.evidence, call.verdict) == (Evidence.LOG, Verdict.CLIENT_TABLE)
        assert "87855" in books.explain("req_1").citation


def test_k16_a_client_that_leaves_tokens_out_of_its_figure(tmp_path: Path) -> None:
    """anthropics/claude-code#56110 (Bedrock EU, cache tokens left out) and #11062 (Vertex, input left out)."""
    bedrock = Client(session="bedrock", sender={"anthropic.provider": "bedrock"})
    vertex = Client(session="vertex", sender={"anthropic.provider": "vertex"})
    usage = Usage(3_000, 700, 90_000, 4_000, write_5m=4_000, write_1h=0)
    with open_books(tmp_path / "ledger.db") as books:
        # The client: (3,000 x 5 + 700 x 25) = 32,500 micro-USD, as if nothing had been read from or written to a cache.
        books.take(bedrock.log("req_eu", "eu.anthropic.claude-opus-4-6-v1", usage, cost_usd=0.0325))
        # The client: 700 x 15 + 90,000 x 0.3 + 4,000 x 3.75 = 52,500 micro-USD, as if there had been no input.
        books.take(vertex.log("req_vx", "claude-sonnet-4-5@20250929", usage, cost_usd=0.0525))
        books.rest()
        by_name = {call.identity: call for call in books.calls}
        # (3,000 x 5 + 700 x 25 + 90,000 x 0.5 + 4,000 x 6.25) x 1.1 for the EU profile = 112,750 micro-USD
        assert format_usd(by_name["req_eu"].cost_picousd or 0) == "0.11275"
        # 3,000 x 3 + 52,500 = 61,500 micro-USD; no region is said, so the global rate, marked as a lower bound
        assert format_usd(by_name["req_vx"].cost_picousd or 0) == "0.0615"
        assert by_name["req_vx"].status is Status.LOWER_BOUND
        for call in by_name.values():
            assert call.verdict is Verdict.UNEXPLAINED  # the gap is flagged, and nothing is taken from the figure
            assert call.evidence is Evidence.LOG
        assert gap_usd(books, "0.085") == ("0.17425", "0.085")


def test_k54_cache_writes_told_by_the_clients_figure(tmp_path: Path) -> None:
    """No tool tells the 5-minute from the 1-hour writes of a record that does not. Wrong: 0 tokens for an hour."""
    usage = Usage(6, 384, 22_076, 11_352)
    client = Client(version="2.1.250")
    with open_books(tmp_path / "ledger.db") as books:
        # 48,647 micro-USD; all for five minutes would be 6 x 2 + 384 x 10 + 22,076 x 0.2 + 11,352 x 2.5 = 36,647.2;
        # an hour costs 1.5 more a token, and 11,999.8 / 1.5 = 7,999.9.
        log = client.log("req_1", "claude-sonnet-5", usage, at=AUGUST, cost_usd=None, cost_usd_micros=48_647)
        books.take(log, at=AUGUST).rest()
        (call,) = books.calls
        assert call.tokens == Tokens(6, 384, 22_076, cache_write_5m=3_352, cache_write_1h=8_000)
        assert (call.status, call.evidence, call.verdict) == (
            Status.EXACT,
            Evidence.INFERRED,
            Verdict.INFERRED_FACTS,
        )
        # 36,647.2 + 8,000 x 1.5 micro-USD
        assert books.cost_usd == "0.0486472"
