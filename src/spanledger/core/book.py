"""The price book: models found by exact name, and what was worked out from them."""

from __future__ import annotations

from collections.abc import Hashable, Iterable, Mapping
from dataclasses import dataclass, replace

from spanledger.core.contract import Contract
from spanledger.core.modelid import ModelName, normalise, spellings
from spanledger.core.pricing import ModelPrices
from spanledger.core.tariff import Timeline

_MEMORY_MAX = 4_096
"""Names, and kinds of calls, that a book remembers; beyond that it starts afresh."""


@dataclass(frozen=True, slots=True)
class Resolved:
    """A model id as the price book sees it; `prices` is None when it knows no such model."""

    name: ModelName
    prices: ModelPrices | None


class PriceBook:
    """An immutable set of prices. `id` names its exact content, whatever layers it was made of.

    `models` are the list's, and those that only the `contract` has rates for, without rows. `checked_unix_nano` is when
    a person last compared the list with its source; None when it does not say.
    """

    def __init__(
        self,
        book_id: str,
        models: Iterable[ModelPrices],
        contract: Contract | None = None,
        checked_unix_nano: int | None = None,
    ) -> None:
        self.id = book_id
        self.models: tuple[ModelPrices, ...] = tuple(models)
        self.contract = contract or Contract({}, (), ())
        self.checked_unix_nano = checked_unix_nano
        self._by_name = _names(self.models)
        self._resolved: dict[str, Resolved] = {}
        self._timelines: dict[Hashable, Timeline] = {}

    def resolve(self, raw_model: str) -> Resolved:
        """Find a model by exact match: a configured alias, else its name after normalisation.

        Answers are remembered, a bounded number of them.
        """
        known = self._resolved.get(raw_model)
        if known is not None:
            return known
        name = self._name(raw_model)
        prices = None if name.opaque else self._find(name.name)
        if len(self._resolved) >= _MEMORY_MAX:
            self._resolved.clear()
        self._resolved[raw_model] = resolved = Resolved(name, prices)
        return resolved

    def same_model(self, one: str, other: str) -> bool:
        """Whether two spellings name one model."""
        if one == other:
            return True
        left, right = self.resolve(one), self.resolve(other)
        if left.prices is not None and right.prices is not None:
            return left.prices is right.prices
        return left.name.name == right.name.name

    def changes(self, raw_model: str) -> tuple[int, ...]:
        """Instants at which a price of a model may change, ascending."""
        prices = self.resolve(raw_model).prices
        return () if prices is None else tuple(sorted({*prices.instants(), *self.contract.instants()}))

    def timeline(self, kind: Hashable) -> Timeline | None:
        """What was worked out for a kind of calls; None when nothing is yet."""
        return self._timelines.get(kind)

    def remember(self, kind: Hashable, timeline: Timeline) -> None:
        """Keep what was worked out for a kind of calls, a bounded number of them."""
        if len(self._timelines) >= _MEMORY_MAX:
            self._timelines.clear()
        self._timelines[kind] = timeline

    def _name(self, raw_model: str) -> ModelName:
        target = self.contract.alias_of(raw_model)
        if target is None:
            return normalise(raw_model)
        name = normalise(target)
        return name if name.region else replace(name, region=normalise(raw_model).region)

    def _find(self, name: str) -> ModelPrices | None:
        exact = self._by_name.get(name)
        if exact is not None:
            return exact
        for spelling in spellings(name):
            prices = self._by_name.get(spelling.name)
            if prices is not None and (not spelling.dated or not prices.dated):
                return prices
        return None


def _names(models: Iterable[ModelPrices]) -> Mapping[str, ModelPrices]:
    return {name: model for model in models for name in (model.id, *model.aliases)}
