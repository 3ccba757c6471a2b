"""Explanation of one call: every signal that spoke of it, the sum worked out, the client's figure and the verdict."""

from __future__ import annotations

from dataclasses import dataclass

from spanledger.core.money import format_usd, rate_usd_per_mtok
from spanledger.core.posting import Charge, Posting
from spanledger.core.rating import RatingInput
from spanledger.core.settling import Policy, Prices, Sighting, standing_by_identity
from spanledger.core.times import shown_time
from spanledger.core.usage import TOKEN_CLASSES, Evidence
from spanledger.core.verdict import Verdict, judge
from spanledger.ledger.ledger import Ledger

Json = dict[str, object]


@dataclass(frozen=True, slots=True)
class Explanation:
    """A call as the ledger knows it. `charge` is what stands, None while a span still waits for its log."""

    name: str
    sightings: tuple[Sighting, ...]
    postings: tuple[Posting, ...]
    charge: Charge | None
    verdict: Verdict | None
    citation: str

    def as_json(self) -> Json:
        """One object: money and rates as exact decimal strings, counts as integers, times in RFC 3339."""
        charge = self.charge
        return {
            "request_id": self.name,
            "signals": [_signal(sighting) for sighting in self.sightings],
            "charge": None if charge is None else _charge(charge),
            "client_cost_usd": None if charge is None else _usd(charge.client_cost_picousd),
            "difference_usd": None if charge is None else _usd(_difference_picousd(charge)),
            "verdict": None if self.verdict is None else self.verdict.value,
            "citation": self.citation or None,
            "postings": [_posting(posting) for posting in self.postings],
        }


def explain(ledger: Ledger, prices: Prices, policy: Policy, name: str) -> Explanation | None:
    """Explain the call with a request id, or the identity of one without; None when the ledger has no record of it."""
    sightings = sorted(ledger.evidence.named(name), key=lambda s: (s.record.evidence, s.received_unix_nano))
    identities = sorted({sighting.record.identity for sighting in sightings} | {name})
    postings = tuple(posting for identity in identities for posting in ledger.postings.of(identity))
    if not sightings and not postings:
        return None
    latest = ledger.postings.latest(identities)
    standing = [known.charge for known in latest.values() if known.live]
    charge = standing[0] if standing else None
    verdict, citation = (None, "") if charge is None else _judged(ledger, prices, policy, charge, sightings)
    return Explanation(name, tuple(sightings), postings, charge, verdict, citation)


def aborted_attempts(ledger: Ledger, charge: Charge) -> bool:
    """Whether what the client's figure exceeds ours by is just what a residual of its session and class holds."""
    over = _difference_picousd(charge)
    if over is None or over <= 0 or not charge.source.session_id:
        return False
    _, identities = ledger.residuals.of_session(charge.source.session_id)
    return any(
        known.live
        and known.charge.account.query_class is charge.account.query_class
        and known.charge.list_cost_picousd == over
        for known in ledger.postings.latest(identities).values()
    )


def _judged(
    ledger: Ledger, prices: Prices, policy: Policy, charge: Charge, sightings: list[Sighting]
) -> tuple[Verdict | None, str]:
    """The verdict as posted, unless a residual explains what it could not; and the source of a client's error."""
    if charge.verdict is Verdict.UNEXPLAINED and aborted_attempts(ledger, charge):
        return Verdict.ABORTED_ATTEMPTS, ""
    logs = standing_by_identity((s for s in sightings if s.record.evidence is Evidence.LOG), policy)
    if charge.identity not in logs:
        return charge.verdict, ""
    record = logs[charge.identity].record
    if record.client_cost_picousd is None:
        return charge.verdict, ""
    call = RatingInput(record.source.provider, record.model, charge.occurred_unix_nano, record.tokens, record.speed)
    judgement = judge(prices.book, prices.clients, record.source.client_version, call, record.client_cost_picousd)
    return charge.verdict, judgement.citation if judgement.verdict is charge.verdict else ""


def _difference_picousd(charge: Charge) -> int | None:
    """What the client's figure exceeds the list price by: it knows no contract of ours."""
    at_list, client = charge.list_cost_picousd, charge.client_cost_picousd
    return None if at_list is None or client is None else client - at_list


def _usd(picousd: int | None) -> str | None:
    return None if picousd is None else format_usd(picousd)


def _signal(sighting: Sighting) -> Json:
    record = sighting.record
    return {
        "signal": record.evidence.value,
        "time": shown_time(record.time_unix_nano),
        "received": shown_time(sighting.received_unix_nano),
        "sender": {
            "service": record.source.service,
            "version": record.source.client_version,
            "session_id": record.source.session_id,
            "user": record.source.user,
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


def _charge(charge: Charge) -> Json:
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
        "occurred": shown_time(charge.occurred_unix_nano),
        "price_book": price.price_book,
        "price_row": price.price_row or None,
        "modifiers": list(price.modifiers),
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


def _posting(posting: Posting) -> Json:
    cost = posting.charge.cost_picousd
    return {
        "revision": posting.revision,
        "posted": shown_time(posting.posted_unix_nano),
        "cost_usd": None if cost is None else format_usd(posting.sign * cost),
        "status": posting.charge.status.value,
        "evidence": posting.charge.evidence.value,
        "corrects": posting.corrects,
        "reason": None if posting.reason is None else posting.reason.value,
    }
