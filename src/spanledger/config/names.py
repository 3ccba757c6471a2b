"""Names that people write, in the settings or in a question, as the ledger has them where `privacy` changes names."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cached_property

from spanledger.config.privacy import Privacy, load_redaction
from spanledger.core.budget import EACH, Scope
from spanledger.core.errors import ConfigError
from spanledger.core.redaction import HASH, Redaction
from spanledger.core.semconv import UNALLOCATED, UNKNOWN, In

_NOBODY = frozenset({"", EACH, UNKNOWN, UNALLOCATED})
"""Names that no sender gave."""


class Names:
    """Knows how users and values of labels are booked. `resource_labels` is `metrics.resource_labels`."""

    def __init__(self, privacy: Privacy, resource_labels: Mapping[str, str]) -> None:
        self._privacy = privacy
        self._labels = resource_labels

    def booked(self, fact: str, name: str, place: str) -> str:
        """The name that usage is booked under, given the one that its sender goes by; `place` says where that stands.

        One that is a hash already, as reports and metrics show it, and names of other facts are taken as they are.

        Raises:
            ConfigError: usage is booked under no such name, for its attribute is dropped; or the salt cannot be read.
        """
        keys = self._keys(fact, name)
        if not keys or name in _NOBODY or HASH.fullmatch(name) or self._redaction is None:
            return name
        for key in keys:
            booked = self._redaction.redacted(self._redaction.rules_for(key), name)
            if booked is None:
                raise ConfigError([f"{place}: privacy drops {key}, so that nothing is known by {fact} {name}"])
            if booked != name:
                return booked
        return name

    @cached_property
    def _redaction(self) -> Redaction | None:
        return load_redaction(self._privacy)

    def _keys(self, fact: str, name: str) -> tuple[str, ...]:
        """The attributes that a name may be from."""
        if fact != Scope.USER:
            return tuple(attribute for attribute, label in self._labels.items() if label == fact)
        return (In.USER_EMAIL,) if "@" in name else (In.USER_ACCOUNT_UUID, In.USER_ID)
