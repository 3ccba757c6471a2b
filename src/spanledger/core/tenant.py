"""Tenants: who a bearer token stands for, and what is known of them whatever they claim."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Tenant:
    """A sender that was authenticated. `attributes` are (key, value) pairs that win over what the sender claims."""

    name: str
    attributes: tuple[tuple[str, str], ...] = ()
