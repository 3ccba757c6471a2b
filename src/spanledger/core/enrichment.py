"""Enrichment: the attributes that a record carries when it leaves (design §7)."""

from __future__ import annotations

from spanledger.core.batch import Scalar
from spanledger.core.money import format_usd, usd_double
from spanledger.core.posting import Charge
from spanledger.core.semconv import COST_CENTER_LABEL, UNALLOCATED, Out
from spanledger.core.usage import Evidence, Tokens, UsageRecord

CURRENCY = "USD"
COST_SOURCE_LOCAL = "local"


def attributes_for(record: UsageRecord, charge: Charge | None, *, gen_ai_cost: bool) -> dict[str, Scalar]:
    """Attributes to write on a record whose call is charged as `charge`; without a charge only the standard usage.

    `gen_ai_cost` tells whether to write the proposed `gen_ai.usage.cost.*` names.
    """
    attributes: dict[str, Scalar] = {}
    if record.evidence is Evidence.SPAN:
        attributes.update(_usage(record.tokens))
    if charge is None:
        return attributes
    if record.evidence is Evidence.SPAN and charge.evidence is not Evidence.SPAN:
        attributes[Out.RESPONSE_MODEL] = charge.account.served_model
    attributes |= {
        Out.STATUS: charge.status.value,
        Out.EVIDENCE: charge.evidence.value,
        Out.BASIS: charge.account.basis.value,
        Out.PRICE_BOOK: charge.price.price_book,
    }
    if charge.verdict is not None:
        attributes[Out.VERDICT] = charge.verdict.value
    if charge.client_cost_picousd is not None:
        attributes[Out.CLIENT_USD] = format_usd(charge.client_cost_picousd)
    cost_center = dict(charge.account.labels).get(COST_CENTER_LABEL, UNALLOCATED)
    if cost_center != UNALLOCATED:
        attributes[Out.COST_CENTER] = cost_center
    return attributes | _cost(charge, gen_ai_cost=gen_ai_cost)


def _cost(charge: Charge, *, gen_ai_cost: bool) -> dict[str, Scalar]:
    cost_picousd = charge.cost_picousd
    if cost_picousd is None:
        return {Out.UNPRICED_REASON: f"{charge.price.unpriced_reason}: {charge.price.unpriced_detail}"}
    attributes: dict[str, Scalar] = {Out.PRICE_ROW: charge.price.price_row}
    if charge.price.assumed:
        attributes[Out.ASSUMED] = "; ".join(charge.price.assumed)
    if charge.list_cost_picousd is not None:
        attributes[Out.LIST_USD] = format_usd(charge.list_cost_picousd)
    if gen_ai_cost:
        attributes |= {
            Out.COST_AMOUNT: usd_double(cost_picousd),
            Out.COST_CURRENCY: CURRENCY,
            Out.COST_SOURCE: COST_SOURCE_LOCAL,
        }
    return attributes


def _usage(tokens: Tokens) -> dict[str, Scalar]:
    return {
        Out.INPUT_TOKENS: tokens.prompt,
        Out.OUTPUT_TOKENS: tokens.output,
        Out.CACHE_READ_INPUT_TOKENS: tokens.cache_read,
        Out.CACHE_CREATION_INPUT_TOKENS: tokens.cache_write,
    }
