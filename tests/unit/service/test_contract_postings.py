"""Contracts in the ledger: list, contract and client cost are kept apart on every posting and everywhere they show."""

from __future__ import annotations

from pathlib import Path

import pytest

from spanledger.config.sections import Prices, Settings
from spanledger.core.semconv import Metric
from spanledger.core.usage import Signal
from spanledger.otlp.decode import decode
from support.booking import Books, open_books
from support.telling import NOW, SECOND, Client, Usage

CALL = Usage(input=1_000, output=100)  # Opus 5.5: 1,000 x 4 + 100 x 20 = 6,000 per million = 0.006 USD
LIST_USD = 0.006


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    contract = tmp_path / "contract.yaml"
    contract.write_text("""
aliases: {team-model: acme-model-9}
overrides:
  - model: acme-model-9
    rates: {input: 1, output: 1, cache_write_5m: 1, cache_write_1h: 1, cache_read: 1}
discounts:
  - {multiplier: 0.85}
  - {multiplier: 0.5, cost_center: cc-1}
""")
    return Settings(prices=Prices(contract=contract))


def test_a_call_has_three_costs(tmp_path: Path, settings: Settings) -> None:
    with open_books(tmp_path / "ledger.db", settings) as books:
        (charge,) = books.take(Client().log("r1", "claude-opus-5-5", CALL, cost_usd=LIST_USD)).rest().charges
        assert (charge.cost_picousd, charge.list_cost_picousd, charge.client_cost_picousd) == (
            5_100 * 10**6,
            *[6_000 * 10**6] * 2,
        )
        assert charge.price.modifiers == ("contract x0.85",)
        assert charge.verdict == "equal"  # the client's figure is held against the list
        assert _stored(books) == [(5_100 * 10**6, 6_000 * 10**6, 6_000 * 10**6)]
        told = books.figures.as_json(duplicates=0, problems=[])
        assert (told["cost_usd"], told["list_cost_usd"], told["client_cost_usd"]) == ("0.0051", "0.006", "0.006")
        assert books.total(Metric.COST) == 5_100 * 10**6
        assert books.total(Metric.CLIENT_COST) == 6_000 * 10**6
        explained = books.explain("r1").as_json()
        assert (explained["charge"]["cost_usd"], explained["charge"]["list_cost_usd"]) == ("0.0051", "0.006")
        assert explained["difference_usd"] == "0"


def test_list_and_amount_stand_apart_on_the_record(tmp_path: Path, settings: Settings) -> None:
    with open_books(tmp_path / "ledger.db", settings) as books:
        books.take(Client().log("r1", "claude-opus-5-5", CALL, cost_usd=LIST_USD)).rest()
        (body,) = books.left(Signal.LOGS)
        (log,) = decode(Signal.LOGS, body).logs
        attributes = log.attributes
        assert attributes["gen_ai.usage.cost.amount"] == 0.0051
        assert attributes["spanledger.cost.list_usd"] == "0.006"
        assert attributes["spanledger.cost.client_usd"] == "0.006"
        assert attributes["spanledger.price_row"] == "claude-opus-5-5@2026-09-22T00:00:00Z"
        assert "+contract@1#" in attributes["spanledger.price_book"]


def test_a_discount_may_be_for_a_cost_center(tmp_path: Path, settings: Settings) -> None:
    with open_books(tmp_path / "ledger.db", settings) as books:
        for number, cost_center in enumerate(("cc-1", "cc-2")):
            client = Client(session=f"s{number}", resource={"cost_center": cost_center})
            books.take(client.log(f"r{number}", "claude-opus-5-5", CALL))
        assert [charge.cost_picousd // 10**6 for charge in books.rest().charges] == [3_000, 5_100]


def test_what_only_the_contract_prices_has_no_list_cost(tmp_path: Path, settings: Settings) -> None:
    with open_books(tmp_path / "ledger.db", settings) as books:
        (charge,) = books.take(Client().log("r1", "team-model", CALL)).rest().charges
        assert (charge.cost_picousd, charge.list_cost_picousd) == (1_100 * 10**6, None)
        assert (charge.account.model, charge.account.served_model) == ("acme-model-9", "team-model")
        assert _stored(books) == [(1_100 * 10**6, None, None)]
        assert books.figures.report.list_cost_picousd == 0


def test_residuals_have_the_contracts_price_too(tmp_path: Path, settings: Settings) -> None:
    with open_books(tmp_path / "ledger.db", settings) as books:
        sums = Client().sums("claude-opus-5-5", CALL, LIST_USD, start=NOW - SECOND, end=NOW)
        (charge,) = books.take(sums).rest().residuals
        assert (charge.cost_picousd, charge.list_cost_picousd) == (5_100 * 10**6, 6_000 * 10**6)


def _stored(books: Books) -> list[tuple[int | None, ...]]:
    query = "SELECT cost_picousd, list_cost_picousd, client_cost_picousd FROM posting ORDER BY id"
    return [tuple(row) for row in books.ledger.database.connection.execute(query)]
