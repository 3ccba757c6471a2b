"""Basis: whether a call costs money, or a plan covers it, by rules on what its sender says of its account."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from spanledger.core.usage import Basis, Provider, Source


@dataclass(frozen=True, slots=True)
class BasisRule:
    """The basis of the calls of some senders.

    Of each kind of fact a sender must have one of the values; none given is any, '' is a fact that is not stated.
    `account`: whether the sender says anything of a Claude account (plan, seat, e-mail, account or organization).
    """

    basis: Basis
    plans: frozenset[str] = frozenset()
    seat_types: frozenset[str] = frozenset()
    providers: frozenset[Provider] = frozenset()
    organizations: frozenset[str] = frozenset()
    account: bool | None = None

    @property
    def text(self) -> str:
        """What the rule says; equal for equal rules."""
        values = (self.plans, self.seat_types, self.providers, self.organizations)
        return f"{self.basis} {self.account} {[sorted(map(str, several)) for several in values]}"

    def holds(self, source: Source) -> bool:
        """Whether a sender is one of these."""
        return (
            (not self.plans or source.plan in self.plans)
            and (not self.seat_types or source.seat_type in self.seat_types)
            and (not self.providers or source.provider in self.providers)
            and (not self.organizations or source.organization_id in self.organizations)
            and (self.account is None or self.account is _has_account(source))
        )


DEFAULT_BASIS_RULES = (
    BasisRule(Basis.BILLED, seat_types=frozenset({"usage_based"})),
    BasisRule(Basis.NOTIONAL, plans=frozenset({"pro", "max"})),
    BasisRule(Basis.NOTIONAL, plans=frozenset({"team", "enterprise"}), seat_types=frozenset({"premium", "standard"})),
    BasisRule(Basis.UNKNOWN, account=True),
    BasisRule(Basis.BILLED),
)
"""What holds after the rules of the settings (design §4): usage-based seats are billed, personal plans and the other
seats of an organization cover their use, an account that tells neither is unknown, and who has none pays by use (API
key, Bedrock, Vertex)."""


def basis_of(source: Source, rules: Iterable[BasisRule]) -> Basis:
    """Give the basis of the first rule that holds for a sender; `unknown` when none does."""
    return next((rule.basis for rule in rules if rule.holds(source)), Basis.UNKNOWN)


def _has_account(source: Source) -> bool:
    facts = (source.plan, source.seat_type, source.user_email, source.user_account_uuid, source.organization_id)
    return any(facts)
