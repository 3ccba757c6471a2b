"""What other signals tell of a call beside its record, in any order of arrival; and what stays open without them."""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Sequence
from pathlib import Path

import pytest

from spanledger.core.delivery import Delivery
from spanledger.core.posting import Charge, Status
from spanledger.core.usage import Evidence, Speed
from spanledger.core.verdict import Verdict
from support.booking import open_books
from support.telling import NOW, SECOND, Client, Usage

# Round numbers, of which one price is easily another one and some searches. In micro-USD: Opus 5.5 1,000 x 4 + 200 x 20
# + 30,000 x 0.2 + 4,000 x 5 + 3,000 x 8 = 58,000; Opus 4.8 80,000; Fable 5.2 110,000; Sonnet 4.5 48,000.
ROUND = Usage(1_000, 200, 30_000, 7_000, write_5m=4_000, write_1h=3_000)
SHORT = Usage(1_000, 200, 30_000, 7_000, write_5m=7_000, write_1h=0)
OPEN = Usage(1_000, 200, 30_000, 7_000)
START = NOW - 10 * SECOND

client = Client()


Orders = Iterable[Sequence[Delivery]]


def settled(folder: Path, deliveries: Sequence[Delivery], orders: Orders | None = None) -> list[Charge]:
    """Charges that stand, the same in any order of arrival, or in some."""
    found = []
    for number, order in enumerate(orders or itertools.permutations(deliveries)):
        with open_books(folder / f"{number}.db") as books:
            charges = books.take(*order).rest().charges
        found.append(sorted(charges, key=lambda charge: charge.identity))
    assert all(charges == found[0] for charges in found)
    return found[0]


def test_fast_unasked_is_told_by_the_sums_where_searches_could_explain_the_figure_too(tmp_path: Path) -> None:
    """Opus 4.8 served fast at twice 80,000, or 8 searches at 10,000."""
    log = client.log("req_1", "claude-opus-4-8", ROUND, cost_usd=0.16, speed="normal")
    (alone,) = settled(tmp_path / "log", [log])
    assert (alone.cost_picousd, alone.status) == (80_000 * 10**6, Status.LOWER_BOUND)
    assert (alone.evidence, alone.verdict) == (Evidence.LOG, Verdict.UNEXPLAINED)
    fast = client.sums("claude-opus-4-8", ROUND, 0.16, start=START, speed="fast")
    (told,) = settled(tmp_path / "fast", [log, fast])
    assert (told.cost_picousd, told.status, told.account.speed) == (160_000 * 10**6, Status.EXACT, Speed.FAST)
    standard = client.sums("claude-opus-4-8", ROUND, 0.16, start=START)
    (told,) = settled(tmp_path / "standard", [log, standard])
    assert (told.cost_picousd, told.tokens.web_search) == (160_000 * 10**6, 8)
    assert told.evidence is Evidence.INFERRED


@pytest.mark.parametrize("teller", ["span", "sums"])
def test_a_reply_of_another_model_than_asked_holds_no_searches(teller: str, tmp_path: Path) -> None:
    """Asked of Fable 5.2, whose price the client takes (110,000); served by Opus 4.8: 3 searches would be the same."""
    log = client.log("req_1", "claude-opus-4-8", ROUND, cost_usd=0.11)
    (alone,) = settled(tmp_path / "log", [log])
    assert (alone.cost_picousd, alone.status) == (80_000 * 10**6, Status.LOWER_BOUND)
    tellers = {
        "span": client.span("req_1", "claude-fable-5-2", OPEN),
        "sums": client.sums("claude-fable-5-2", ROUND, 0.11, start=START),
    }
    (told,) = settled(tmp_path / "told", [log, tellers[teller]])
    assert (told.cost_picousd, told.status, told.evidence) == (80_000 * 10**6, Status.EXACT, Evidence.LOG)
    assert told.verdict is Verdict.CLIENT_TABLE


@pytest.mark.parametrize("teller", ["span", "sums"])
def test_a_gateways_alias_holds_no_searches(teller: str, tmp_path: Path) -> None:
    """The client prices an alias as its default model, Opus 5.5: 58,000; Sonnet 4.5 and a search would be the same."""
    log = client.log("req_1", "claude-sonnet-4-5-20250929", ROUND, cost_usd=0.058)
    tellers = {
        "span": client.span("req_1", "team-sonnet", OPEN),
        "sums": client.sums("team-sonnet", ROUND, 0.058, start=START),
    }
    (told,) = settled(tmp_path / "told", [log, tellers[teller]])
    assert (told.cost_picousd, told.status, told.evidence) == (48_000 * 10**6, Status.EXACT, Evidence.LOG)
    assert told.verdict is Verdict.UNKNOWN_MODEL


def test_a_search_is_taken_when_the_model_asked_for_is_the_one_served(tmp_path: Path) -> None:
    log = client.log("req_1", "claude-sonnet-4-5-20250929", ROUND, cost_usd=0.058)
    span = client.span("req_1", "claude-sonnet-4-5[1m]", OPEN)
    (told,) = settled(tmp_path, [log, span])
    assert (told.cost_picousd, told.tokens.web_search, told.evidence) == (58_000 * 10**6, 1, Evidence.INFERRED)


def test_attempts_that_were_cut_are_not_taken_for_searches(tmp_path: Path) -> None:
    """An attempt of 2,500 input tokens costs 10,000 micro-USD at Opus 5.5: what one search costs."""
    log = client.log("req_1", "claude-opus-5-5", ROUND, cost_usd=0.068)
    both = Usage(ROUND.input + 2_500, ROUND.output, ROUND.read, ROUND.write)
    sums = client.sums("claude-opus-5-5", both, 0.068, start=START)
    residual, call = sorted(settled(tmp_path, [log, sums]), key=lambda charge: charge.tokens)[::-1]
    assert (call.cost_picousd, call.verdict) == (58_000 * 10**6, Verdict.ABORTED_ATTEMPTS)
    assert (residual.cost_picousd, residual.evidence) == (10_000 * 10**6, Evidence.METRIC)


def test_a_span_is_charged_at_the_speed_that_the_sums_say_was_served(tmp_path: Path) -> None:
    span = client.span("req_1", "claude-opus-5-5", OPEN, speed="fast")
    standard = client.sums("claude-opus-5-5", ROUND, 0.058, start=START)
    (told,) = settled(tmp_path / "standard", [span, standard])
    assert (told.cost_picousd, told.status, told.evidence) == (58_000 * 10**6, Status.EXACT, Evidence.SPAN)
    assert (told.tokens.cache_write_5m, told.tokens.cache_write_1h) == (4_000, 3_000)
    unasked = client.span("req_1", "claude-opus-5-5", OPEN, speed="normal")
    fast = client.sums("claude-opus-5-5", ROUND, 0.116, start=START, speed="fast")
    (told,) = settled(tmp_path / "fast", [unasked, fast])
    assert (told.cost_picousd, told.status, told.account.speed) == (116_000 * 10**6, Status.EXACT, Speed.FAST)


def test_a_log_that_asked_for_fast_is_exact_only_when_something_tells_how_it_was_served(tmp_path: Path) -> None:
    """Nothing gives 99,999.1 micro-USD, so that the figure does not tell whether twice 58,000 was served."""
    log = client.log("req_1", "claude-opus-5-5", ROUND, cost_usd=0.0999991, speed="fast")
    (alone,) = settled(tmp_path / "log", [log])
    assert (alone.cost_picousd, alone.status) == (116_000 * 10**6, Status.PROVISIONAL)
    fast = client.sums("claude-opus-5-5", ROUND, 0.0999991, start=START, speed="fast")
    (told,) = settled(tmp_path / "fast", [log, fast])
    assert (told.cost_picousd, told.status) == (116_000 * 10**6, Status.EXACT)
    standard = client.sums("claude-opus-5-5", ROUND, 0.0999991, start=START)
    (told,) = settled(tmp_path / "standard", [log, standard])
    assert (told.cost_picousd, told.status) == (58_000 * 10**6, Status.EXACT)


def test_the_sums_tell_the_speed_where_a_client_may_know_no_fast_price(tmp_path: Path) -> None:
    """2.1.197 prices Opus 5.5 as Opus 5, at 80,000, fast or not; served fast it is 116,000 at list (capture s07f)."""
    old = Client(version="2.1.197")
    log = old.log("req_1", "claude-opus-5-5", OPEN, cost_usd=0.08, speed="normal")
    (alone,) = settled(tmp_path / "log", [log])
    assert (alone.cost_picousd, alone.verdict) == (58_000 * 10**6, Verdict.CLIENT_TABLE)
    fast = old.sums("claude-opus-5-5", ROUND, 0.08, start=START, speed="fast")
    (told,) = settled(tmp_path / "fast", [log, fast])
    assert (told.cost_picousd, told.status, told.account.speed) == (116_000 * 10**6, Status.EXACT, Speed.FAST)
    assert (told.evidence, told.verdict) == (Evidence.INFERRED, Verdict.CLIENT_TABLE)
    standard = old.sums("claude-opus-5-5", ROUND, 0.08, start=START)
    (told,) = settled(tmp_path / "standard", [log, standard])
    assert (told.cost_picousd, told.account.speed) == (58_000 * 10**6, Speed.STANDARD)


def test_searches_of_a_span_are_told_by_the_sums(tmp_path: Path) -> None:
    """7,000 writes for five minutes: 1,000 x 4 + 200 x 20 + 30,000 x 0.2 + 7,000 x 5 = 49,000; two searches 20,000."""
    span = client.span("req_1", "claude-opus-5-5", OPEN)
    sums = client.sums("claude-opus-5-5", SHORT, 0.069, start=START)
    (told,) = settled(tmp_path, [span, sums])
    assert (told.cost_picousd, told.status, told.tokens.web_search) == (69_000 * 10**6, Status.EXACT, 2)
    assert (told.evidence, told.verdict) == (Evidence.INFERRED, None)


def test_searches_of_sums_alone_are_charged(tmp_path: Path) -> None:
    (told,) = settled(tmp_path, [client.sums("claude-opus-5-5", SHORT, 0.069, start=START)])
    assert (told.cost_picousd, told.status, told.tokens.web_search) == (69_000 * 10**6, Status.EXACT, 2)
    assert told.evidence is Evidence.METRIC


@pytest.mark.parametrize(
    ("cost_usd", "cost_picousd", "status"),
    [
        # Haiku 5.5: 120,000 x 0.1 = 12,000 micro-USD in short prompts, 120,000 x 0.5 = 60,000 in one that is long.
        (0.012, 12_000 * 10**6, Status.EXACT),
        (0.060, 60_000 * 10**6, Status.EXACT),
        (0.031, 12_000 * 10**6, Status.LOWER_BOUND),  # some of each
    ],
)
def test_the_length_of_prompts_is_told_by_sums_alone(
    cost_usd: float, cost_picousd: int, status: Status, tmp_path: Path
) -> None:
    (told,) = settled(tmp_path, [client.sums("claude-haiku-5-5", Usage(120_000), cost_usd, start=START)])
    assert (told.cost_picousd, told.status) == (cost_picousd, status)


def test_sums_of_an_unknown_region_are_a_lower_bound(tmp_path: Path) -> None:
    vertex = Client(sender={"anthropic.provider": "vertex"})
    sums = vertex.sums("claude-opus-5-5", SHORT, 0.049, start=START)
    (told,) = settled(tmp_path / "sums", [sums])
    assert (told.cost_picousd, told.status) == (49_000 * 10**6, Status.LOWER_BOUND)
    (span,) = settled(tmp_path / "span", [vertex.span("req_1", "claude-opus-5-5", OPEN), sums])
    assert (span.cost_picousd, span.status) == (49_000 * 10**6, Status.PROVISIONAL)


def test_sums_are_finer_than_a_figure_that_may_have_been_rounded(tmp_path: Path) -> None:
    """Haiku 5.5 in micro-USD: 1,000 x 0.1 + 200 x 0.5 + 30,000 x 0.01 + 4,000 x 0.125 + 3,000 x 0.2 = 1,600.

    Were it rounded to whole micro-USD, a few more or fewer writes for an hour would do too.
    """
    (charge,) = settled(tmp_path, [client.sums("claude-haiku-5-5", OPEN, 0.0016, start=START)])
    assert (charge.tokens.cache_write_5m, charge.tokens.cache_write_1h) == (4_000, 3_000)
    assert (charge.cost_picousd, charge.status) == (1_600 * 10**6, Status.EXACT)


def test_a_span_alone_is_never_exact(tmp_path: Path) -> None:
    """It says the speed asked for, also where it wrote nothing to the cache."""
    usage = Usage(1_000, 200)
    span = client.span("req_1", "claude-opus-5-5", usage)
    (alone,) = settled(tmp_path / "span", [span])
    assert (alone.cost_picousd, alone.status) == (8_000 * 10**6, Status.PROVISIONAL)
    (told,) = settled(
        tmp_path / "sums", [span, client.sums("claude-opus-5-5", usage, 0.016, start=START, speed="fast")]
    )
    assert (told.cost_picousd, told.status, told.account.speed) == (16_000 * 10**6, Status.EXACT, Speed.FAST)


def test_sums_that_begin_after_their_end_are_charged(tmp_path: Path) -> None:
    """A client's clock steps back; a killed process of 2.1.330 ended its last interval 3 ms before its start."""
    with open_books(tmp_path / "ledger.db") as books:
        books.take(client.log("req_1", "claude-opus-5-5", ROUND, at=NOW - 60 * SECOND, cost_usd=0.058)).rest()
        backwards = client.sums("claude-opus-5-5", ROUND, 0.058, start=NOW + 3 * 10**6)
        (residual,) = books.take(backwards).rest().residuals
        assert residual.cost_picousd == 58_000 * 10**6


def test_a_figure_that_nothing_explains_is_of_the_speed_that_the_sums_tell(tmp_path: Path) -> None:
    """Asked fast and served standard: 58,000 and not 116,000, whatever is in the client's figure beside it."""
    log = client.log("req_1", "claude-opus-5-5", ROUND, cost_usd=0.0612345678, speed="fast")
    (alone,) = settled(tmp_path / "log", [log])
    assert (alone.cost_picousd, alone.verdict) == (116_000 * 10**6, Verdict.UNEXPLAINED)
    sums = client.sums("claude-opus-5-5", ROUND, 0.0612345678, start=START)
    (told,) = settled(tmp_path / "sums", [log, sums])
    assert (told.cost_picousd, told.account.speed) == (58_000 * 10**6, Speed.STANDARD)
    assert (told.evidence, told.verdict) == (Evidence.INFERRED, Verdict.UNEXPLAINED)


def test_cache_writes_of_an_alias_are_told_by_the_price_that_the_client_takes_for_it(tmp_path: Path) -> None:
    """At 58,000, as Opus 5.5, 3,000 of them are for an hour. Sonnet 4.5 served it: 48,000. In any order."""
    early = NOW - 300 * SECOND
    log = client.log("req_1", "claude-sonnet-4-5-20250929", SHORT, at=early, cost_usd=0.049)
    of_log = client.sums("team-sonnet", SHORT, 0.049, start=early - 10 * SECOND, end=early)
    alone = client.sums("team-sonnet", ROUND, 0.058, start=START)
    residual = next(one for one in settled(tmp_path, [log, of_log, alone]) if one.evidence is Evidence.METRIC)
    assert (residual.cost_picousd, residual.status) == (48_000 * 10**6, Status.EXACT)
    assert (residual.tokens.cache_write_5m, residual.tokens.cache_write_1h) == (4_000, 3_000)


def test_an_alias_that_two_models_serve_has_no_price_in_whatever_order(tmp_path: Path) -> None:
    """What was charged by the first model is taken back when the other one is seen under the same name."""
    deliveries = []
    for number, model in enumerate(("claude-sonnet-4-5-20250929", "claude-haiku-5-5")):
        at = NOW - (number + 2) * 300 * SECOND
        deliveries.append(client.log(f"req_{number}", model, SHORT, at=at, cost_usd=0.049))
        deliveries.append(client.sums("team", SHORT, 0.049, start=at - 10 * SECOND, end=at))
    deliveries.append(client.sums("team", ROUND, 0.058, start=START))
    orders = [deliveries[first:] + deliveries[:first] for first in range(len(deliveries))]
    charges = settled(tmp_path, deliveries, [*orders, deliveries[::-1]])
    residual = next(one for one in charges if one.evidence is Evidence.METRIC)
    assert (residual.cost_picousd, residual.status) == (None, Status.UNPRICED)


def test_sums_that_a_collector_took_the_session_from_hold_the_calls_of_all_sessions(tmp_path: Path) -> None:
    """Twice 49,000 and what no call tells of, 1,000 x 4 = 4,000: once each, in any order."""
    other, nameless = Client(session="session-2"), Client(sender={"session.id": None})
    deliveries = [
        client.log("req_1", "claude-opus-5-5", SHORT, cost_usd=0.049),
        other.span("req_2", "claude-opus-5-5", OPEN),
        nameless.sums("claude-opus-5-5", Usage(3_000, 400, 60_000, 14_000), 0.102, start=START),
    ]
    charges = settled(tmp_path, deliveries)
    assert sorted(charge.cost_picousd or 0 for charge in charges) == [4_000 * 10**6, 49_000 * 10**6, 49_000 * 10**6]
    (residual,) = [charge for charge in charges if charge.evidence is Evidence.METRIC]
    assert (residual.cost_picousd, residual.source.session_id) == (4_000 * 10**6, "")


def test_sums_without_a_session_hold_no_calls_of_another_user(tmp_path: Path) -> None:
    nameless = Client(user="user-2", sender={"session.id": None})
    sums = nameless.sums("claude-opus-5-5", SHORT, 0.049, start=START)
    charges = settled(tmp_path, [client.log("req_1", "claude-opus-5-5", SHORT, cost_usd=0.049), sums])
    assert [charge.cost_picousd for charge in charges] == [49_000 * 10**6, 49_000 * 10**6]


def test_the_price_of_the_model_that_served_an_alias_tells_nothing_of_its_cache_writes(tmp_path: Path) -> None:
    """As Opus 5.5: 127 x 4 + 1,194 x 20 + 117,185 x 0.2 + 7,791 x 5 = 86,780, so all writes are for five minutes.

    Sonnet 4.5 served it: 127 x 3 + 1,194 x 15 + 117,185 x 0.3 + 7,791 x 3.75 = 82,662.75; with 1,830 of the writes for
    an hour it would be 86,780.25, which is the same in whole micro-USD.
    """
    early, usage = NOW - 300 * SECOND, Usage(127, 1_194, 117_185, 7_791)
    deliveries = [
        client.log("req_1", "claude-sonnet-4-5-20250929", SHORT, at=early, cost_usd=0.049),
        client.sums("team-sonnet", SHORT, 0.049, start=early - 10 * SECOND, end=early),
        client.span("req_2", "team-sonnet", usage),
        client.sums("team-sonnet", usage, 0.08678, start=START),
    ]
    charges = settled(tmp_path, deliveries)
    (span,) = [charge for charge in charges if charge.evidence is Evidence.SPAN]
    assert (span.cost_picousd, span.tokens.cache_write_1h) == (82_662_750_000, 0)
