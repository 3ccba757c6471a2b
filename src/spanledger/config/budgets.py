"""Budgets in the settings: limits by name, for the organisation, a user, or the value of a label."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Self

from pydantic import AfterValidator, BeforeValidator, Field, model_validator

from spanledger.config.fields import Section
from spanledger.config.names import Names
from spanledger.core.budget import Budget, Scope
from spanledger.core.money import parse_usd
from spanledger.core.periods import Cycle
from spanledger.core.usage import Basis


def _money(value: object) -> str:
    """A limit: whole dollars as a number, anything finer as text, for a float would not be what was written."""
    if isinstance(value, bool) or not isinstance(value, int | str):
        raise ValueError(f'{value!r} is no amount of USD; give 5000, or in quotes "5000.50"')  # noqa: TRY004
    if parse_usd(str(value)) == 0:
        raise ValueError("a limit is above 0")
    return str(value)


def _levels(value: list[int]) -> list[int]:
    if any(level <= 0 for level in value):
        raise ValueError("a level is above 0 percent")
    return sorted(set(value))


def _bases(value: list[Basis]) -> list[Basis]:
    return [basis for basis in Basis if basis in value]


Levels = Annotated[list[int], AfterValidator(_levels)]


class Limit(Section):
    """One budget."""

    scope: str = Field(default=Scope.ORGANIZATION, description="`organization`, `user`, or a label.")
    owner: str = Field(
        default="", description="The user or the label's value, as senders send it; `*`: each of them by itself."
    )
    period: Cycle = Field(description="`day`, `week` or `month`.")
    limit_usd: Annotated[str, BeforeValidator(_money)] = Field(description="The limit in USD.")
    basis: Annotated[list[Basis], AfterValidator(_bases)] = Field(
        default=[Basis.BILLED], min_length=1, description="What counts: `billed`, `notional`, `unknown`."
    )
    warn_at_percent: Levels | None = Field(default=None, description="Levels of its own.")

    @model_validator(mode="after")
    def _whose(self) -> Self:
        if (self.scope == Scope.ORGANIZATION) == bool(self.owner):
            raise ValueError("a scope other than organization goes with an owner, and only such a scope")
        return self


class Budgets(Section):
    """Budgets: they warn and block nothing."""

    warn_at_percent: Levels = Field(default=[80, 90, 100], description="Levels of use at which to warn.")
    limits: dict[str, Limit] = Field(
        default={}, description="Budgets by name: `scope`, `owner`, `period`, `limit_usd`, `basis` (docs/budgets.md)."
    )


def budgets_of(section: Budgets, names: Names | None = None) -> tuple[Budget, ...]:
    """The budgets of the settings, in their order; with `names` of owners as usage is booked under them.

    Raises:
        ConfigError: nothing is booked under an owner, or the salt cannot be read.
    """
    return tuple(
        Budget(
            name=name,
            scope=limit.scope,
            owner=limit.owner
            if names is None
            else names.booked(limit.scope, limit.owner, f"budgets.limits.{name}.owner"),
            cycle=limit.period,
            limit_picousd=parse_usd(limit.limit_usd),
            bases=tuple(limit.basis),
            warn_percents=tuple(section.warn_at_percent if limit.warn_at_percent is None else limit.warn_at_percent),
        )
        for name, limit in section.limits.items()
    )


def unknown_scopes(section: Budgets, resource_labels: Mapping[str, str]) -> dict[str, str]:
    """Budgets whose scope is nothing that cost is known by: the key, and what is wrong with it."""
    known = [*Scope, *dict.fromkeys(resource_labels.values())]
    return {
        f"budgets.limits.{name}.scope": f"{limit.scope!r} is no label; there are {', '.join(known)}"
        for name, limit in section.limits.items()
        if limit.scope not in known
    }
