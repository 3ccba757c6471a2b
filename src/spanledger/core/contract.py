"""Contracts: an organisation's own prices and discounts, over the list. Source of the rules: docs/prices.md.

An override takes the place of the list's rates, a discount multiplies them. The most specific one that holds counts;
they do not stack, and a discount never comes on top of an override.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from fractions import Fraction
from typing import TypeVar

from spanledger.core.modelid import plain
from spanledger.core.pricing import Span
from spanledger.core.usage import Provider, Tokens


@dataclass(frozen=True, slots=True)
class Traits:
    """What a contract can tell calls apart by. `model` is the canonical id, `profile` the Bedrock inference profile."""

    provider: Provider
    model: str
    profile: str = ""
    cost_center: str = ""


@dataclass(frozen=True, slots=True)
class Scope:
    """Which calls a rule is for; None is any."""

    provider: Provider | None = None
    model: str | None = None
    profile: str | None = None
    cost_center: str | None = None

    def holds(self, traits: Traits) -> bool:
        """Whether a call is one of these."""
        return (
            self.model in (None, traits.model)
            and self.provider in (None, traits.provider)
            and self.profile in (None, traits.profile)
            and self.cost_center in (None, traits.cost_center)
        )

    @property
    def rank(self) -> tuple[int, tuple[bool, ...]]:
        """How specific: by how many facts, among equals cost center before profile before model before provider."""
        given = tuple(fact is not None for fact in (self.cost_center, self.profile, self.model, self.provider))
        return sum(given), given


@dataclass(frozen=True, slots=True)
class Rule:
    """What a contract says of some calls for some time."""

    scope: Scope
    span: Span


@dataclass(frozen=True, slots=True)
class Override(Rule):
    """Rates in the place of the list's. Unless it keeps modifiers they are final: no fast, region or batch on top."""

    rates: Tokens
    keeps_modifiers: bool = False

    @property
    def name(self) -> str:
        """Where the row stands: `contract`, and for whom in it."""
        provider = "" if self.scope.provider is None else self.scope.provider.value
        return "/".join(filter(None, ("contract", provider, self.scope.profile)))


@dataclass(frozen=True, slots=True)
class Discount(Rule):
    """A factor on the list's rates, beside its modifiers. Flat fees such as web searches are not in it."""

    multiplier: Fraction


R = TypeVar("R", bound=Rule)


class Contract:
    """A contract. `aliases` maps names, in the form of `modelid.plain`, to ids of models.

    `changes_prices` tells whether any price may differ from the list's.
    """

    def __init__(
        self, aliases: Mapping[str, str], overrides: Iterable[Override], discounts: Iterable[Discount]
    ) -> None:
        self.aliases = dict(aliases)
        self.overrides = _most_specific_first(overrides)
        self.discounts = _most_specific_first(discounts)
        self.changes_prices = bool(self.overrides or self.discounts)
        self._cost_centers = frozenset(rule.scope.cost_center for rule in self.discounts)

    def alias_of(self, raw_model: str) -> str | None:
        """What a name stands for; None when it is no alias."""
        return self.aliases.get(plain(raw_model))

    def cost_center(self, name: str) -> str:
        """The cost center, as far as the contract tells it from others."""
        return name if name in self._cost_centers else ""

    def override_at(self, traits: Traits, at_unix_nano: int) -> Override | None:
        """The override of a call; None when it has none."""
        return _first(self.overrides, traits, at_unix_nano)

    def discount_at(self, traits: Traits, at_unix_nano: int) -> Discount | None:
        """The discount of a call; None when it has none."""
        return _first(self.discounts, traits, at_unix_nano)

    def instants(self) -> Iterator[int]:
        """Every instant at which a price may change."""
        for rule in (*self.overrides, *self.discounts):
            yield from rule.span.ends()


def _most_specific_first(rules: Iterable[R]) -> tuple[R, ...]:
    """Of rules for the same calls the one that begins later is the newer agreement, then the one that ends sooner."""
    return tuple(sorted(rules, key=lambda rule: (rule.scope.rank, _lateness(rule.span)), reverse=True))


def _lateness(span: Span) -> tuple[int, bool, int]:
    return (span.from_unix_nano, span.until_unix_nano is not None, -(span.until_unix_nano or 0))


def _first(rules: tuple[R, ...], traits: Traits, at_unix_nano: int) -> R | None:
    return next((rule for rule in rules if rule.span.holds(at_unix_nano) and rule.scope.holds(traits)), None)
