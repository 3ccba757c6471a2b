"""Plans: whether usage is billed or covered, by what the client says of the account, through the whole pipeline.

No account server can be had, so these senders are made up; names and values are those of the client's code. The rules
tested here are the defaults.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import pytest
from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest

from spanledger.core.money import format_usd
from spanledger.core.semconv import Metric
from spanledger.core.usage import Basis, Evidence, Signal
from support.booking import Books, open_books
from support.telling import NOW, SECOND, Client, Usage

MODEL = "claude-opus-5-5"
USAGE = Usage(1_000, 200, 10_000)  # 1,000 x 4 + 200 x 20 + 10,000 x 0.2 = 10,000 micro-USD

ACCOUNT = {"user.email": "ada@example.com", "user.account_uuid": "a-1", "organization.id": "o-1"}
SENDERS: dict[str, tuple[Mapping[str, str], Basis]] = {
    "API key": ({"anthropic.provider": "firstParty"}, Basis.BILLED),
    "Bedrock": ({"anthropic.provider": "bedrock"}, Basis.BILLED),
    "Vertex": ({"anthropic.provider": "vertex"}, Basis.BILLED),
    "Pro": ({**ACCOUNT, "anthropic.plan": "pro"}, Basis.NOTIONAL),
    "Max": ({**ACCOUNT, "anthropic.plan": "max"}, Basis.NOTIONAL),
    "Team, premium seat": ({**ACCOUNT, "anthropic.plan": "team", "anthropic.seat_type": "premium"}, Basis.NOTIONAL),
    "Team, standard seat": ({**ACCOUNT, "anthropic.plan": "team", "anthropic.seat_type": "standard"}, Basis.NOTIONAL),
    "Enterprise, usage-based": (
        {**ACCOUNT, "anthropic.plan": "enterprise", "anthropic.seat_type": "usage_based"},
        Basis.BILLED,
    ),
    "Enterprise, premium seat": (
        {**ACCOUNT, "anthropic.plan": "enterprise", "anthropic.seat_type": "premium"},
        Basis.NOTIONAL,
    ),
    "Team, another seat": ({**ACCOUNT, "anthropic.plan": "team", "anthropic.seat_type": "other"}, Basis.UNKNOWN),
    "Team, no seat said": ({**ACCOUNT, "anthropic.plan": "team"}, Basis.UNKNOWN),
    "an account without a plan": (ACCOUNT, Basis.UNKNOWN),
}


@pytest.mark.parametrize(("sender", "basis"), SENDERS.values(), ids=SENDERS)
def test_every_signal_of_an_account_has_its_basis(sender: Mapping[str, str], basis: Basis, tmp_path: Path) -> None:
    client = Client(sender=sender)
    with open_books(tmp_path / "ledger.db") as books:
        books.take(client.log("req_1", MODEL, USAGE), client.span("req_2", MODEL, USAGE))
        # The sums hold both calls, and one that no record tells of.
        held = Usage(3_000, 600, 30_000)
        books.take(client.sums(MODEL, held, 0.03, start=NOW - SECOND, end=NOW + SECOND), at=NOW + SECOND).rest()
        found = {charge.evidence: charge.account.basis for charge in books.charges}
        assert found == {Evidence.LOG: basis, Evidence.SPAN: basis, Evidence.METRIC: basis}
        for metric in (Metric.COST, Metric.USER_COST, Metric.REQUESTS):
            assert bases(books, metric).keys() == {basis.value}
        (body,) = books.left(Signal.LOGS)
        attributes = ExportLogsServiceRequest.FromString(body).resource_logs[0].scope_logs[0].log_records[0].attributes
        assert [pair.value.string_value for pair in attributes if pair.key == "spanledger.basis"] == [basis.value]


def test_billed_covered_and_unknown_are_kept_apart(tmp_path: Path) -> None:
    with open_books(tmp_path / "ledger.db") as books:
        for number, (sender, _) in enumerate(SENDERS.values()):
            client = Client(session=f"session-{number}", sender=sender)
            books.take(client.log(f"req_{number}", "claude-haiku-4-5", Usage(1_000, 200)))
        books.rest()
        # 1,000 x 1 + 200 x 5 = 2,000 micro-USD a sender; on Bedrock an id without a profile is in-region: 10 % more.
        # Billed: three and 2,200; covered: five; not known: three.
        expected = {Basis.BILLED: "0.0082", Basis.NOTIONAL: "0.01", Basis.UNKNOWN: "0.006"}
        report = books.figures.report.groups["by_basis"]
        assert {Basis(basis): format_usd(group.cost_picousd or 0) for basis, group in report.items()} == expected
        in_metrics = bases(books, Metric.COST)
        assert {Basis(basis): format_usd(value) for basis, value in in_metrics.items()} == expected


def bases(books: Books, metric: Metric) -> dict[str, int]:
    """Values of a metric by basis."""
    found: dict[str, int] = {}
    for state in books.ledger.series.states():
        if state.key.metric is metric:
            basis = dict(state.key.labels)["basis"]
            found[basis] = found.get(basis, 0) + state.value
    return found
