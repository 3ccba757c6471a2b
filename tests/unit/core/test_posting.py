"""Postings: what leads from what is posted to what should be."""

from __future__ import annotations

from spanledger.core.attribution import Account
from spanledger.core.posting import Charge, Latest, Posting, Price, Reason, Status, reconcile
from spanledger.core.usage import Basis, Evidence, Provider, QueryClass, Source, Speed, Tokens

ACCOUNT = Account(Basis.BILLED, "u", Provider.ANTHROPIC, "m", "m", QueryClass.MAIN, Speed.STANDARD, "2", ())
PRICE = Price("book", "row", (4, 20, 1, 5, 8, 5, 0))


def charge(digest: str, evidence: Evidence = Evidence.LOG, identity: str = "req") -> Charge:
    return Charge(
        identity=identity,
        record_digest=digest,
        evidence=evidence,
        status=Status.EXACT,
        source=Source(),
        account=ACCOUNT,
        price=PRICE,
        tokens=Tokens(10, 2, 3, 4, 5, 6),
        client_cost_picousd=None,
        occurred_unix_nano=0,
    )


def apply(latest: dict[str, Latest], postings: list[Posting]) -> dict[str, Latest]:
    return latest | {p.charge.identity: Latest(p.revision, p.charge) for p in postings}


def test_cost_is_tokens_times_rates() -> None:
    # 10*4 + 2*20 + 3*1 + 4*5 + 5*8 + 6*5 = 40 + 40 + 3 + 20 + 40 + 30
    assert charge("a").cost_picousd == 173
    assert Price("book", unpriced_reason="unknown_model").cost_picousd(Tokens(1)) is None


def test_a_new_call_is_charged_once() -> None:
    postings = reconcile({"req": charge("a")}, {}, 7)
    assert postings == [Posting(charge("a"), 0, None, None, 7)]
    assert reconcile({"req": charge("a")}, apply({}, postings), 8) == []


def test_a_late_log_takes_the_span_s_charge_back_and_names_it() -> None:
    span = charge("s", Evidence.SPAN)
    postings = reconcile({"req": charge("l")}, {"req": Latest(0, span)}, 9)
    assert postings == [
        Posting(span, 1, 0, Reason.LATE_LOG, 9),
        Posting(charge("l"), 2, 0, Reason.LATE_LOG, 9),
    ]
    assert [p.sign for p in postings] == [-1, 1]


def test_a_charge_that_is_no_longer_wanted_is_taken_back_and_can_come_again() -> None:
    span = charge("s", Evidence.SPAN, "span:1")
    back = reconcile({"log:1": charge("l", identity="log:1")}, {"span:1": Latest(0, span)}, 9)
    assert [(p.charge.identity, p.revision) for p in back] == [("span:1", 1), ("log:1", 0)]
    again = reconcile({"span:1": span}, apply({}, back), 10)
    assert [(p.charge.identity, p.revision, p.sign) for p in again] == [("log:1", 1, -1), ("span:1", 2, 1)]


def test_a_new_price_book_does_not_reprice() -> None:
    repriced = Charge(**{name: getattr(charge("a"), name) for name in Charge.__slots__} | {"price": Price("newer")})
    assert reconcile({"req": repriced}, {"req": Latest(0, charge("a"))}, 9) == []


def test_a_fuller_record_replaces_an_earlier_one() -> None:
    postings = reconcile({"req": charge("b")}, {"req": Latest(0, charge("a"))}, 9)
    assert [(p.revision, p.reason) for p in postings] == [(1, Reason.BETTER_RECORD), (2, Reason.BETTER_RECORD)]
