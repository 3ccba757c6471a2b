"""Cut attempts: charged as residual, once, and the verdict of the call that they were of."""

from __future__ import annotations

from pathlib import Path

from spanledger.core.posting import Reason
from spanledger.core.semconv import Metric
from spanledger.core.verdict import Verdict
from support.booking import open_books
from support.replaying import read_folder
from support.telling import NOW, SECOND, Client, Usage
from support.truth import CAPTURES

MODEL = "claude-opus-5-5"
USAGE = Usage(1_001, 200, 10_000)  # 1,001 x 4 + 200 x 20 + 10,000 x 0.2 = 10,004 micro-USD
CUT = Usage(1_001, 10, 10_000)  # 1,001 x 4 + 10 x 20 + 10,000 x 0.2 = 6,204 micro-USD
BOTH = Usage(2_002, 210, 20_000)


def test_the_capture_of_a_cut_stream_says_what_its_figure_holds(tmp_path: Path) -> None:
    with open_books(tmp_path / "ledger.db") as books:
        for body in read_folder(CAPTURES / "s04d_stream_cut"):
            books.take(body.delivery, at=body.received_unix_nano or 0)
        books.rest()
        (call,) = books.calls
        assert (books.cost_usd, call.verdict) == ("0.0177712", Verdict.ABORTED_ATTEMPTS)
        assert books.explain(call.identity).verdict is Verdict.ABORTED_ATTEMPTS


def test_the_verdict_follows_what_is_known_and_costs_nothing(tmp_path: Path) -> None:
    client = Client()
    with open_books(tmp_path / "ledger.db") as books:
        # The client's figure of the call holds the attempt that was cut: 0.010004 + 0.006204.
        books.take(client.log("req_1", MODEL, USAGE, cost_usd=0.016208)).rest()
        assert [call.verdict for call in books.calls] == [Verdict.UNEXPLAINED]
        sums = client.sums(MODEL, BOTH, 0.016208, start=NOW - 30 * SECOND, end=NOW + 30 * SECOND)
        books.take(sums, at=NOW + 120 * SECOND).rest()
        assert [call.verdict for call in books.calls] == [Verdict.ABORTED_ATTEMPTS]
        assert books.cost_usd == "0.016208"
        # A record of the other call comes after all: there was no cut attempt, and the figure is not explained.
        late = client.log("req_2", MODEL, CUT, cost_usd=0.006204, at=NOW + SECOND)
        books.take(late, at=NOW + 300 * SECOND).rest()
        assert [call.verdict for call in books.calls] == [Verdict.UNEXPLAINED, Verdict.EQUAL]
        assert (books.cost_usd, books.residuals) == ("0.016208", [])
        assert books.total(Metric.REQUESTS) == 2
        reasons = [posting.reason for posting in books.ledger.postings.of("req_1")]
        assert reasons == [None, *[Reason.REFINED] * 4]
