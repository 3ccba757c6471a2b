"""Settings of what telemetry does not say of a call (`prices.defaults`)."""

from __future__ import annotations

from enum import StrEnum
from typing import Literal, Self

from pydantic import Field, model_validator

from spanledger.config.fields import Section
from spanledger.core.defaults import Assumption, Default, Defaults, Fact
from spanledger.core.usage import Provider, QueryClass


class DefaultStatus(StrEnum):
    """How sure a figure is that a default bears on."""

    EXACT = "exact"
    PROVISIONAL = "provisional"


class PriceDefault(Section):
    """Facts of the calls of some senders."""

    match: dict[str, str] = Field(
        default={},
        description="Which calls: `provider`, `query_class`, or attributes by name, and their values; all must hold.",
    )
    provider: Literal["anthropic", "bedrock", "vertex", "foundry", "anthropic_aws"] | None = Field(
        default=None, description="Who serves them, whatever the client says, as behind a gateway."
    )
    region: str | None = Field(default=None, description="Vertex or Bedrock region, or `global`.")
    inference_geo: Literal["us", "global"] | None = Field(default=None, description="Where inference is kept.")
    cache_write_ttl: Literal["5m", "1h"] | None = Field(
        default=None, description="Time to live of cache writes where neither record nor client's figure tells it."
    )
    evidence: str = Field(min_length=1, description="How it is known; stands beside every price that it bears on.")
    status: DefaultStatus = Field(
        default=DefaultStatus.EXACT, description="`exact`, or `provisional` where it is likely and not certain."
    )

    @model_validator(mode="after")
    def _says_something(self) -> Self:
        if not any(self._facts()):
            raise ValueError(f"says nothing; expected one of {', '.join(Fact)}")
        for key, words in (("provider", list(Provider)), ("query_class", list(QueryClass))):
            value = self.match.get(key)
            if value is not None and value not in words:
                raise ValueError(f"match.{key}: {value!r}: expected one of {', '.join(words)}")
        return self

    def default(self) -> Default:
        """The default in the form that calls are priced by."""
        certain = self.status is DefaultStatus.EXACT
        assumptions = tuple(
            Assumption(fact, value, self.evidence, certain)
            for fact, value in zip(Fact, self._facts(), strict=True)
            if value
        )
        return Default(tuple(sorted(self.match.items())), assumptions)

    def _facts(self) -> tuple[str | None, ...]:
        """Values in the order of `Fact`."""
        return (self.provider, self.region, self.inference_geo, self.cache_write_ttl)


def defaults_of(rules: list[PriceDefault]) -> Defaults:
    """Every default, in the order of the setting."""
    return Defaults(rule.default() for rule in rules)
