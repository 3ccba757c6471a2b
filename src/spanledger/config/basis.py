"""The section of the settings that says which usage costs money."""

from __future__ import annotations

from typing import Annotated, Self

from pydantic import BeforeValidator, Field, model_validator

from spanledger.config.fields import Section
from spanledger.core.basis import DEFAULT_BASIS_RULES, BasisRule
from spanledger.core.usage import Basis, Provider


def _several(value: object) -> object:
    return [value] if isinstance(value, str) else value


Texts = Annotated[frozenset[str], BeforeValidator(_several)]
Providers = Annotated[frozenset[Provider], BeforeValidator(_several)]


class Rule(Section):
    """A basis and whose calls have it; each key takes a value or a list of them, and one that is left out is any."""

    basis: Basis
    plan: Texts = frozenset()
    seat_type: Texts = frozenset()
    provider: Providers = frozenset()
    organization_id: Texts = frozenset()
    account: bool | None = None

    def compiled(self) -> BasisRule:
        """The rule as it is applied."""
        return BasisRule(
            self.basis,
            plans=self.plan,
            seat_types=self.seat_type,
            providers=self.provider,
            organizations=self.organization_id,
            account=self.account,
        )


class BasisSection(Section):
    """Which usage costs money."""

    rules: list[Rule] = Field(
        default=[],
        description="Rules before the built-in ones, the first that holds decides: `basis`, and what of `plan`, "
        "`seat_type`, `provider`, `organization_id` and `account` must be so (docs/basis.md).",
    )

    @model_validator(mode="after")
    def _reaches_every_rule(self) -> Self:
        for number, rule in enumerate(self.rules[:-1], start=1):
            if rule.compiled() == BasisRule(rule.basis):
                raise ValueError(f"rule {number} holds for every sender: the rules after it are never reached")
        return self

    @property
    def compiled(self) -> tuple[BasisRule, ...]:
        """All rules in order, the built-in ones last."""
        return (*(rule.compiled() for rule in self.rules), *DEFAULT_BASIS_RULES)
