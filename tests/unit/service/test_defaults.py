"""What is configured of calls that their telemetry does not say: it fills in, and stands beside the price."""

from __future__ import annotations

from pathlib import Path

import pytest
from pydantic import ValidationError

from spanledger.config.sections import Prices, Settings
from spanledger.core.posting import Status
from spanledger.core.usage import Evidence, Provider, Signal
from spanledger.otlp.decode import decode
from spanledger.service.price_lines import rate_line
from support.booking import open_books
from support.replaying import list_prices
from support.telling import NOW, SECOND, Client, Usage

MILLION = Usage(input=1_000_000)
WRITES = Usage(write=1_000_000)
VERTEX = {"anthropic.provider": "vertex"}


def settings(*defaults: dict) -> Settings:
    return Settings(prices=Prices(defaults=[{"evidence": "ours", **default} for default in defaults]))


def charged(tmp_path: Path, configured: Settings, *deliveries, residual: bool = False):
    with open_books(tmp_path / "ledger.db", configured) as books:
        books.take(*deliveries).rest()
        (charge,) = books.residuals if residual else books.calls
        return charge


def test_a_region_of_vertex(tmp_path: Path) -> None:
    """Opus 5.5, a million of input: 4 USD, a tenth more in a region."""
    asked = Client(sender=VERTEX).log("r1", "claude-opus-5-5", MILLION)
    assert charged(tmp_path / "none", settings(), asked).status is Status.LOWER_BOUND
    region = {
        "match": {"provider": "vertex"},
        "region": "europe-west1",
        "evidence": "CLOUD_ML_REGION",
    }
    charge = charged(tmp_path / "set", settings(region), asked)
    assert (charge.cost_picousd, charge.status) == (44 * 10**11, Status.EXACT)
    assert charge.price.modifiers == ("regional x1.1",)
    assert charge.price.assumed == ("region europe-west1: CLOUD_ML_REGION",)
    world = charged(tmp_path / "global", settings(region | {"region": "global"}), asked)
    assert (world.cost_picousd, world.status) == (4 * 10**12, Status.EXACT)


def test_an_attribute_tells_which_senders(tmp_path: Path) -> None:
    """Any attribute of the resource or the record; it is kept with the sender, and is no label of a metric."""
    rules = ({"match": {"deployment.site": "berlin", "anthropic.provider": "vertex"}, "region": "europe-west1"},)
    with open_books(tmp_path / "ledger.db", settings(*rules)) as books:
        for number, site in enumerate(("berlin", "austin")):
            client = Client(session=f"s{number}", sender=VERTEX, resource={"deployment.site": site})
            books.take(client.log(f"r{number}", "claude-opus-5-5", MILLION))
        berlin, austin = books.rest().charges
        assert (berlin.cost_picousd, austin.cost_picousd) == (44 * 10**11, 4 * 10**12)
        assert dict(berlin.source.facts) == {"anthropic.provider": "vertex", "deployment.site": "berlin"}
        assert "berlin" not in str([state.key for state in books.ledger.series.states()])
    # what is kept comes back from the ledger
    with open_books(tmp_path / "ledger.db", settings(*rules)) as books:
        assert {dict(charge.source.facts)["deployment.site"] for charge in books.charges} == {"berlin", "austin"}


def test_the_first_that_matches_counts_for_each_fact(tmp_path: Path) -> None:
    rules = (
        {"match": {"team.id": "x"}, "region": "us-east5"},
        {"region": "global", "evidence": "the others"},
        {"cache_write_ttl": "1h", "evidence": "ENABLE_PROMPT_CACHING_1H"},
    )
    charge = charged(tmp_path, settings(*rules), Client(sender=VERTEX).log("r1", "claude-opus-5-5", WRITES))
    assert (charge.cost_picousd, charge.status) == (8 * 10**12, Status.EXACT)  # a million 1-hour writes at 8
    assert charge.price.assumed == ("region global: the others", "cache_write_ttl 1h: ENABLE_PROMPT_CACHING_1H")


def test_residency(tmp_path: Path) -> None:
    asked = Client().log("r1", "claude-opus-5-5", MILLION)
    charge = charged(tmp_path, settings({"inference_geo": "us"}), asked)
    assert (charge.cost_picousd, charge.price.modifiers) == (44 * 10**11, ("us_residency x1.1",))


def test_a_provider_behind_a_gateway(tmp_path: Path) -> None:
    asked = Client(sender={"anthropic.provider": "firstParty"}, resource={"gateway": "llm"}).log(
        "r1", "us.anthropic.claude-opus-5-5", MILLION
    )
    assert charged(tmp_path / "none", settings(), asked).account.provider is Provider.ANTHROPIC
    charge = charged(tmp_path / "set", settings({"match": {"gateway": "llm"}, "provider": "bedrock"}), asked)
    assert (charge.account.provider, charge.cost_picousd) == (Provider.BEDROCK, 44 * 10**11)
    assert charge.price.assumed == ("provider bedrock: ours",)


@pytest.mark.parametrize(
    ("match", "query_source", "long"),
    [
        ({"anthropic.plan": "max", "query_class": "main"}, "repl_main_thread", True),
        ({"anthropic.plan": "max", "query_class": "main"}, "agent:custom", False),
        ({"anthropic.plan": "pro"}, "repl_main_thread", False),
    ],
)
def test_the_time_to_live_by_plan_and_purpose(match: dict, query_source: str, long: bool, tmp_path: Path) -> None:
    """The client writes its main conversation for an hour on a subscription: likely, and not certain."""
    rule = {"match": match, "cache_write_ttl": "1h", "evidence": "the plan's default", "status": "provisional"}
    client = Client(sender={"anthropic.plan": "max"})
    charge = charged(tmp_path, settings(rule), client.log("r1", "claude-opus-5-5", WRITES, query_source=query_source))
    if long:
        assert (charge.tokens.cache_write_1h, charge.cost_picousd) == (1_000_000, 8 * 10**12)
        assert charge.status is Status.PROVISIONAL
    else:
        assert (charge.tokens.cache_write_unspecified, charge.status) == (1_000_000, Status.LOWER_BOUND)


def test_what_record_or_figure_tells_of_cache_writes_wins(tmp_path: Path) -> None:
    rule = {"cache_write_ttl": "1h"}
    split = Usage(write=1_000_000, write_5m=1_000_000, write_1h=0)
    told = charged(tmp_path / "record", settings(rule), Client().log("r1", "claude-opus-5-5", split))
    assert (told.cost_picousd, told.price.assumed) == (5 * 10**12, ())
    # 5 USD: the client wrote for five minutes
    figure = Client().log("r1", "claude-opus-5-5", WRITES, cost_usd=5.0)
    inferred = charged(tmp_path / "figure", settings(rule), figure)
    assert (inferred.cost_picousd, inferred.evidence, inferred.price.assumed) == (5 * 10**12, Evidence.INFERRED, ())


def test_residuals_have_defaults_too(tmp_path: Path) -> None:
    rules = ({"match": {"provider": "vertex"}, "region": "us-east5"}, {"cache_write_ttl": "5m"})
    both = Usage(input=1_000_000, write=1_000_000)
    sums = Client(sender=VERTEX).sums("claude-opus-5-5", both, 0.0, start=NOW - SECOND)
    charge = charged(tmp_path, settings(*rules), sums, residual=True)
    assert (charge.cost_picousd, charge.status) == (99 * 10**11, Status.EXACT)  # (4 + 5) x 1.1
    assert len(charge.price.assumed) == 2


def test_a_span_alone_keeps_its_default(tmp_path: Path) -> None:
    span = Client().span("r1", "claude-opus-5-5", WRITES)
    charge = charged(tmp_path, settings({"cache_write_ttl": "1h"}), span)
    assert (charge.evidence, charge.cost_picousd) == (Evidence.SPAN, 8 * 10**12)


def test_it_stands_on_the_record_and_in_the_explanation(tmp_path: Path) -> None:
    rule = {"match": {"provider": "vertex"}, "region": "us-east5"}
    with open_books(tmp_path / "ledger.db", settings(rule)) as books:
        books.take(Client(sender=VERTEX).log("r1", "claude-opus-5-5", MILLION)).rest()
        (log,) = decode(Signal.LOGS, books.left(Signal.LOGS)[0]).logs
        assert log.attributes["spanledger.assumed"] == "region us-east5: ours"
        assert books.explain("r1").as_json()["charge"]["assumed"] == ["region us-east5: ours"]


def test_a_price_line_has_the_defaults_of_its_provider() -> None:
    defaults = settings(
        {"match": {"provider": "vertex"}, "region": "us-east5"}, {"provider": "bedrock"}
    ).prices.known_defaults
    line = (
        '{"id":1,"provider":"vertex","model":"claude-opus-5-5","timestamp":"2026-11-20T00:00:00Z",'
        '"tokens":{"input":1}%s}'
    )
    answer = rate_line(line % "", list_prices().book, defaults)
    assert (answer["status"], answer["modifier"], answer["reason"]) == ("exact", "1.1", "region us-east5: ours")
    stated = rate_line(line % ',"flags":{"region":"global"}', list_prices().book, defaults)
    assert stated["modifier"] == "1"


@pytest.mark.parametrize(
    ("default", "said"),
    [
        ({}, "says nothing; expected one of provider, region, inference_geo, cache_write_ttl"),
        ({"region": "global", "evidence": ""}, "at least 1 character"),
        ({"cache_write_ttl": "2h"}, "'5m' or '1h'"),
        (
            {"region": "global", "match": {"provider": "aws"}},
            "match.provider: 'aws': expected one of anthropic",
        ),
        ({"region": "global", "match": {"query_class": "side"}}, "match.query_class: 'side': expected one of main"),
        ({"region": "global", "status": "sure"}, "'exact' or 'provisional'"),
        ({"regoin": "global"}, "regoin"),
    ],
)
def test_a_default_that_cannot_be_used_is_refused(default: dict, said: str) -> None:
    with pytest.raises(ValidationError, match=said):
        settings(default)


def test_an_announced_price_is_flagged_until_somebody_confirms_it(tmp_path: Path) -> None:
    """The list says since 2026-11-20: announced for 2026-11-24. Taken, and not certain."""
    row = """
schema: 1
name: newer
version: "1"
checked: "2026-11-20"
source: an announcement
models:
  - id: claude-next-1
    prices:
      - from: "2026-11-24T00:00:00Z"
        announced: true
        rates: {input: "1", output: "5", cache_write_5m: "1.25", cache_write_1h: "2", cache_read: "0.1"}
        source: an announcement
        checked: "2026-11-20"
"""
    asked = Client().log("r1", "claude-next-1", MILLION)
    for text, status, assumed in (
        (row, Status.PROVISIONAL, ("price announced, not confirmed since",)),
        (row.replace("        announced: true\n", ""), Status.EXACT, ()),
    ):
        update = tmp_path / "update.yaml"
        update.write_text(text)
        charge = charged(tmp_path / status, Settings(prices=Prices(updates=[update])), asked)
        assert (charge.cost_picousd, charge.status, charge.price.assumed) == (10**12, status, assumed)
