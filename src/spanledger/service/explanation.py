"""Explanation of one call: every signal that spoke of it, the sum worked out, the client's figure and the verdict."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, tzinfo

from spanledger.core.cost_range import CostRange, cost_range
from spanledger.core.money import format_usd, rate_usd_per_mtok
from spanledger.core.posting import Charge, Posting
from spanledger.core.pricing import Modifier
from spanledger.core.rating_input import RatingInput
from spanledger.core.settling import Policy, Prices, Sighting, settle, standing_by_identity
from spanledger.core.times import shown_time
from spanledger.core.usage import TOKEN_CLASSES, Evidence, UsageRecord
from spanledger.core.verdict import VERDICT_TEXT, Hints, Verdict
from spanledger.ledger.ledger import Ledger

Json = dict[str, object]


@dataclass(frozen=True, slots=True)
class Explanation:
    """A call as the ledger knows it. `charge` is what stands, None while a span still waits for its log.

    `costs` is what it may have cost, `interval` the start and end of the client's sums that hold a residual.
    `given_away` are the facts that the charge takes from the client's figure. `citation` is the source of the client's
    known error that the verdict stands on, if it stands on one.
    """

    name: str
    sightings: tuple[Sighting, ...]
    postings: tuple[Posting, ...]
    charge: Charge | None
    costs: CostRange
    interval: tuple[int, int] | None
    given_away: tuple[str, ...]
    citation: str

    @property
    def verdict(self) -> Verdict | None:
        """Why the client's figure is what it is; None without one."""
        return None if self.charge is None else self.charge.verdict

    def as_json(self, zone: tzinfo = UTC) -> Json:
        """One object: money and rates as exact decimal strings, counts as integers, times in RFC 3339."""
        charge, verdict = self.charge, self.verdict
        return {
            "request_id": self.name,
            "signals": [_signal(sighting, zone) for sighting in self.sightings],
            "interval": None if self.interval is None else [shown_time(at, zone) for at in self.interval],
            "charge": None if charge is None else {**_charge(charge, zone), **range_json(self.costs)},
            "client_cost_usd": None if charge is None else _usd(charge.client_cost_picousd),
            "difference_usd": None if charge is None else _usd(charge.client_excess_picousd),
            "verdict": None if verdict is None else verdict.value,
            "verdict_text": None if verdict is None else VERDICT_TEXT[verdict],
            "given_away": list(self.given_away),
            "citation": self.citation or None,
            "postings": [_posting(posting, zone) for posting in self.postings],
        }


def explain(ledger: Ledger, prices: Prices, policy: Policy, name: str) -> Explanation | None:
    """Explain the call with a request id, or the identity of one without; None when the ledger has no record of it."""
    sightings = _of_call(ledger.evidence.named(name), policy, name)
    identities = sorted({sighting.record.identity for sighting in sightings} | {name})
    postings = tuple(posting for identity in identities for posting in ledger.postings.of(identity))
    if not sightings and not postings:
        return None
    standing = [known.charge for known in ledger.postings.latest(identities).values() if known.live]
    charge = standing[0] if standing else None
    record = None if charge is None else _standing_record(sightings, policy, charge)
    return Explanation(
        name=name,
        sightings=tuple(sightings),
        postings=postings,
        charge=charge,
        costs=CostRange() if charge is None else cost_range(charge, prices, policy),
        interval=ledger.residuals.interval_of(name),
        given_away=() if charge is None or record is None else _given_away(charge, record),
        citation="" if charge is None or record is None else _citation(prices, charge, record, sightings),
    )


def range_json(costs: CostRange) -> Json:
    """The least and the most as exact decimal strings; null where there is no most."""
    return {"least_usd": format_usd(costs.least_picousd), "most_usd": _usd(costs.most_picousd)}


def _of_call(sightings: Sequence[Sighting], policy: Policy, name: str) -> list[Sighting]:
    """Those of a bucket's sightings that are of one call, in the order of signals and arrival."""
    call_of = settle(sightings, policy, now_unix_nano=0).calls
    call = call_of.get(name, name)
    found = [one for one in sightings if name == one.record.request_id or call_of[one.record.identity] == call]
    return sorted(found, key=lambda one: (one.record.evidence, one.received_unix_nano))


def _standing_record(sightings: Sequence[Sighting], policy: Policy, charge: Charge) -> UsageRecord | None:
    """The record that a charge stands on; None of a residual."""
    for evidence in (Evidence.LOG, Evidence.SPAN):
        found = standing_by_identity((s for s in sightings if s.record.evidence is evidence), policy)
        if charge.identity in found:
            return found[charge.identity].record
    return None


def _given_away(charge: Charge, record: UsageRecord) -> tuple[str, ...]:
    """Facts of an inferred charge that its record does not state, in words."""
    if charge.evidence is not Evidence.INFERRED:
        return ()
    searches = charge.tokens.web_search - record.tokens.web_search
    timed = record.tokens.cache_write_unspecified - charge.tokens.cache_write_unspecified
    facts = {
        f"served {charge.account.speed}": charge.account.speed is not record.speed,
        "inference kept in the US": any(text.startswith(Modifier.US_RESIDENCY) for text in charge.price.modifiers),
        f"web searches: {searches}": searches > 0,
        f"cache writes for an hour: {charge.tokens.cache_write_1h - record.tokens.cache_write_1h:,} of {timed:,}": timed
        > 0,
    }
    return tuple(text for text, is_given in facts.items() if is_given)


def _citation(prices: Prices, charge: Charge, record: UsageRecord, sightings: Sequence[Sighting]) -> str:
    """The source of the client's known error that a verdict stands on, if it stands on one."""
    if record.client_cost_picousd is None:
        return ""
    stated = RatingInput(record.source.provider, record.model, charge.occurred_unix_nano, record.tokens, record.speed)
    call = prices.defaults.of(record.source, record.query_class).placed(stated)
    asked = next((s.record.model for s in sightings if s.record.evidence is Evidence.SPAN), "")
    version, figure = record.source.client_version, record.client_cost_picousd
    judgement = prices.judge(version, call, figure, Hints(asked))
    return judgement.citation if judgement.verdict is charge.verdict else ""


def _usd(picousd: int | None) -> str | None:
    return None if picousd is None else format_usd(picousd)


def _signal(sighting: Sighting, zone: tzinfo) -> Json:
    record = sighting.record
    return {
        "signal": record.evidence.value,
        "time": shown_time(record.time_unix_nano, zone),
        "received": shown_time(sighting.received_unix_nano, zone),
        "sender": {
            "service": record.source.service,
            "version": record.source.client_version,
            "session_id": record.source.session_id,
            "user": record.source.user,
            "tenant": record.source.tenant or None,
        },
        "model": record.model,
        "query_source": record.query_source,
        "speed": record.speed.value,
        "agent": record.agent_name,
        "skill": record.skill_name,
        "mcp_server": record.mcp_server_name,
        "tokens": {name.value: count for name, count in zip(TOKEN_CLASSES, record.tokens, strict=True) if count},
        "client_cost_usd": _usd(record.client_cost_picousd),
    }


def _charge(charge: Charge, zone: tzinfo) -> Json:
    account, price = charge.account, charge.price
    return {
        "cost_usd": _usd(charge.cost_picousd),
        "list_cost_usd": _usd(charge.list_cost_picousd),
        "status": charge.status.value,
        "evidence": charge.evidence.value,
        "basis": account.basis.value,
        "user": account.user,
        "labels": dict(account.labels),
        "session_id": charge.source.session_id,
        "client_version": account.client_version,
        "provider": account.provider.value,
        "model": account.model,
        "query_class": account.query_class.value,
        "occurred": shown_time(charge.occurred_unix_nano, zone),
        "price_book": price.price_book,
        "price_row": price.price_row or None,
        "modifiers": list(price.modifiers),
        "bounds": list(price.bounds),
        "assumed": list(price.assumed),
        "sum": _sum(charge),
        "unpriced": f"{price.unpriced_reason}: {price.unpriced_detail}" if price.rates is None else None,
    }


def _sum(charge: Charge) -> list[Json]:
    """Lines of the sum: count x rate = cost. The rates are those of the row with its modifiers in them."""
    rates = charge.price.rates
    if rates is None:
        return []
    return [
        {
            "token_class": name.value,
            "count": count,
            "usd_per_million": rate_usd_per_mtok(rate),
            "cost_usd": format_usd(count * rate),
        }
        for name, count, rate in zip(TOKEN_CLASSES, charge.tokens, rates, strict=True)
        if count
    ]


def _posting(posting: Posting, zone: tzinfo) -> Json:
    cost = posting.charge.cost_picousd
    return {
        "revision": posting.revision,
        "posted": shown_time(posting.posted_unix_nano, zone),
        "cost_usd": None if cost is None else format_usd(posting.sign * cost),
        "status": posting.charge.status.value,
        "evidence": posting.charge.evidence.value,
        "corrects": posting.corrects,
        "reason": None if posting.reason is None else posting.reason.value,
    }
