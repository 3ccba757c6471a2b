"""Attribution: whose cost a call is.

Only facts that the sender stated are used. What is missing is named (`unallocated`, `unknown`), never guessed.
"""

from __future__ import annotations

from dataclasses import dataclass

from spanledger.core.semconv import COST_CENTER_LABEL, UNALLOCATED, UNKNOWN
from spanledger.core.usage import Basis, Evidence, Provider, QueryClass, Source, Speed, UsageRecord

RESIDUAL_PURPOSE = "residual"


@dataclass(frozen=True, slots=True)
class Purpose:
    """What a call was made for, as its record says; '' where it does not."""

    query_source: str = ""
    effort: str = ""
    agent_name: str = ""
    skill_name: str = ""
    mcp_server_name: str = ""

    @classmethod
    def of(cls, record: UsageRecord) -> Purpose:
        """Purpose of a recorded call."""
        return cls(
            query_source=record.query_source,
            effort=record.effort,
            agent_name=record.agent_name,
            skill_name=record.skill_name,
            mcp_server_name=record.mcp_server_name,
        )


@dataclass(frozen=True, slots=True)
class Account:
    """What a posting is booked under. `model` is the canonical id, or the served id when the price book lacks it.

    `served_model` is the id on the record that was priced. `labels` are the allow-listed resource attributes as
    (label, value) pairs.
    """

    basis: Basis
    user: str
    provider: Provider
    model: str
    served_model: str
    query_class: QueryClass
    speed: Speed
    client_version: str
    labels: tuple[tuple[str, str], ...]
    purpose: Purpose = Purpose()

    def label(self, name: str) -> str:
        """Value of an allow-listed label; `unallocated` when the sender did not say."""
        return dict(self.labels).get(name, UNALLOCATED)

    @property
    def missing(self) -> tuple[str, ...]:
        """Allow-listed labels that the sender did not say."""
        return tuple(label for label, value in self.labels if value == UNALLOCATED)


def account_of(
    source: Source,
    *,
    basis: Basis,
    model: str,
    served_model: str,
    query_class: QueryClass,
    speed: Speed,
    purpose: Purpose = Purpose(),
) -> Account:
    """Say who and what usage is booked under."""
    return Account(
        basis=basis,
        user=source.user or UNKNOWN,
        provider=source.provider,
        model=model or UNKNOWN,
        served_model=served_model or UNKNOWN,
        query_class=query_class,
        speed=speed,
        client_version=source.client_version or UNKNOWN,
        labels=labels_of(source),
        purpose=purpose,
    )


def purpose_name(account: Account, evidence: Evidence) -> str:
    """Name what usage was for: compaction and each other kind of background work under its own name.

    `residual` is usage that only the client's sums know of: no record says what it was for.
    """
    if evidence is Evidence.METRIC:
        return RESIDUAL_PURPOSE
    if account.query_class is QueryClass.AUXILIARY:
        return account.purpose.query_source or account.query_class
    return account.query_class


def labels_of(source: Source) -> tuple[tuple[str, str], ...]:
    """Say which labels the figures of a sender are shown under; what it does not state is `unallocated`."""
    return tuple((label, value or UNALLOCATED) for label, value in source.labels)


def cost_center_of(source: Source) -> str:
    """The cost center that usage is booked under; empty when the sender names none."""
    return source.label(COST_CENTER_LABEL)
