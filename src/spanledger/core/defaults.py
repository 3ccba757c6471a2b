"""Defaults: facts of a call that its telemetry does not say and that somebody configured, each with its evidence.

They fill in before the list is asked, and never take the place of what a record says of itself: the time to live of
cache writes is filled in only where neither the record nor the client's own figure tells it.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from enum import StrEnum

from spanledger.core.hypotheses import with_long_writes
from spanledger.core.rating_input import RatingInput
from spanledger.core.usage import Provider, QueryClass, Source, Tokens

_MEMORY_MAX = 4_096


class Fact(StrEnum):
    """What can be configured."""

    PROVIDER = "provider"
    """Who serves the calls, as behind a gateway that calls itself Anthropic's."""
    REGION = "region"
    """A Vertex or Bedrock region, or `global`."""
    INFERENCE_GEO = "inference_geo"
    """`us` where inference is kept in the United States."""
    CACHE_WRITE_TTL = "cache_write_ttl"
    """`5m` or `1h`, of cache writes whose time to live is not said."""


LONG_TTL = "1h"

PROVIDER_KEY = "provider"
QUERY_CLASS_KEY = "query_class"


@dataclass(frozen=True, slots=True)
class Assumption:
    """A configured fact: how it is known, and whether the figure that it makes is as good as a stated one."""

    fact: Fact
    value: str
    evidence: str
    is_certain: bool = True

    @property
    def text(self) -> str:
        """The assumption in words, as it stands beside a price."""
        return f"{self.fact} {self.value}: {self.evidence}"


@dataclass(frozen=True, slots=True)
class Default:
    """Facts of the calls that have all of some values: of `provider`, `query_class` or a kept attribute, by name."""

    match: tuple[tuple[str, str], ...]
    assumptions: tuple[Assumption, ...]

    def concerns(self, values: Mapping[str, str]) -> bool:
        """Whether a call is one of these."""
        return all(values.get(name, "") == value for name, value in self.match)


@dataclass(frozen=True, slots=True)
class Known:
    """What is configured of a call."""

    assumptions: Mapping[Fact, Assumption]

    def placed(self, call: RatingInput) -> RatingInput:
        """The call with its provider, region and residency."""
        if not self.assumptions:
            return call
        provider = self.assumptions.get(Fact.PROVIDER)
        return replace(
            call,
            provider=call.provider if provider is None else Provider(provider.value),
            region=self._value(Fact.REGION, call.region),
            inference_geo=self._value(Fact.INFERENCE_GEO, call.inference_geo),
        )

    def timed(self, tokens: Tokens) -> Tokens:
        """Tokens with the time to live of their cache writes, where only the configuration tells it."""
        ttl = self.assumptions.get(Fact.CACHE_WRITE_TTL)
        if ttl is None or not tokens.cache_write_unspecified:
            return tokens
        return with_long_writes(tokens, tokens.cache_write_unspecified if ttl.value == LONG_TTL else 0)

    def filled_in(self, call: RatingInput) -> tuple[RatingInput, tuple[Assumption, ...]]:
        """A placed call with its cache writes timed, and what of the configuration bears on its price."""
        tokens = self.timed(call.tokens)
        if tokens is not call.tokens:
            return replace(call, tokens=tokens), self._used(call, is_timed=True)
        return call, self._used(call, is_timed=False)

    def _used(self, call: RatingInput, *, is_timed: bool) -> tuple[Assumption, ...]:
        matters = {
            Fact.PROVIDER: True,
            Fact.REGION: call.provider in (Provider.VERTEX, Provider.BEDROCK),
            Fact.INFERENCE_GEO: call.provider in (Provider.ANTHROPIC, Provider.ANTHROPIC_AWS, Provider.FOUNDRY),
            Fact.CACHE_WRITE_TTL: is_timed,
        }
        return tuple(one for fact, one in self.assumptions.items() if matters[fact])

    def _value(self, fact: Fact, stated: str) -> str:
        known = self.assumptions.get(fact)
        return known.value if known is not None and not stated else stated


_NOTHING = Known({})


def tells_writes(assumptions: Iterable[Assumption]) -> bool:
    """Whether one of some assumptions is of the time to live of cache writes."""
    return any(one.fact is Fact.CACHE_WRITE_TTL for one in assumptions)


class Defaults:
    """Every default, in order: of each fact the first that concerns a call counts."""

    def __init__(self, rules: Iterable[Default] = ()) -> None:
        self._rules = tuple(rules)
        self._known: dict[tuple[Source, QueryClass], Known] = {}

    @property
    def text(self) -> str:
        """What they say; equal for equal defaults."""
        return repr(self._rules)

    @property
    def attributes(self) -> tuple[str, ...]:
        """Attributes of senders that the defaults go by."""
        names = {name for rule in self._rules for name, _ in rule.match}
        return tuple(sorted(names - {PROVIDER_KEY, QUERY_CLASS_KEY}))

    def of(self, source: Source, query_class: QueryClass) -> Known:
        """What is configured of a sender's calls of a class. Answers are remembered, a bounded number of them."""
        if not self._rules:
            return _NOTHING
        known = self._known.get((source, query_class))
        if known is None:
            if len(self._known) >= _MEMORY_MAX:
                self._known.clear()
            known = self._known[source, query_class] = self._work_out(source, query_class)
        return known

    def _work_out(self, source: Source, query_class: QueryClass) -> Known:
        values = dict(source.facts) | {PROVIDER_KEY: source.provider.value, QUERY_CLASS_KEY: query_class.value}
        found: dict[Fact, Assumption] = {}
        for rule in self._rules:
            if rule.concerns(values):
                for assumption in rule.assumptions:
                    found.setdefault(assumption.fact, assumption)
        return Known(found)
