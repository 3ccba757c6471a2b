"""Redaction: what becomes of attributes that tell more of people and their work than cost needs.

Applied before anything is kept: what a rule drops is never on disk, and a hashed identity is the same in the ledger,
in metrics, in reports and in what is forwarded, so that cost still adds up by person.
"""

from __future__ import annotations

import hashlib
import hmac
import re
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from fnmatch import translate
from functools import cache, partial

from spanledger.core.semconv import In

IDENTITY_KEYS = ("user.email", "user.id", "user.account_uuid", "user.account_id")
"""Attributes that name a person."""

SENDER_KEYS = frozenset(IDENTITY_KEYS) - {"user.email"}
"""Identities that tell senders apart: they are hashed, never dropped."""

PROTECTED_KEYS = frozenset(key.value for key in In) - frozenset(IDENTITY_KEYS)
"""Attributes that cost is made of: no rule touches them, so totals never change."""

DROPPED = "[dropped]"
_HASH_DIGITS = 32
HASH = re.compile(rf"[0-9a-f]{{{_HASH_DIGITS}}}")
"""What the hash of a text looks like."""

_DECISIONS_MAX = 4_096


class Action(StrEnum):
    """What becomes of an attribute."""

    KEEP = "keep"
    HASH = "hash"
    DROP = "drop"


@dataclass(frozen=True, slots=True)
class RedactionRule:
    """What becomes of attributes whose key matches one of some patterns (`*` and `?` as in file names).

    With `matching` only the parts of a text value that match it are hashed or dropped; such a rule never keeps.
    """

    keys: tuple[str, ...]
    action: Action
    matching: re.Pattern[str] | None = None

    def concerns(self, key: str) -> bool:
        """Whether the rule is about an attribute."""
        if key in SENDER_KEYS and self.action is Action.DROP and self.matching is None:
            return False
        return _matcher(self.keys).match(key) is not None


@cache
def _matcher(patterns: tuple[str, ...]) -> re.Pattern[str]:
    """All patterns as one: a sender makes up as many keys as it likes, and each is looked at by every rule."""
    return re.compile("|".join(map(translate, patterns)))


Rules = tuple[RedactionRule, ...]
"""What becomes of one attribute: nothing, or one rule for the whole value, or rules for parts of it, in order."""


class Redaction:
    """Rules in order. What is for the whole value decides; until then each that is for parts of texts does its part."""

    def __init__(self, rules: Sequence[RedactionRule], salt: bytes) -> None:
        self._rules = tuple(rules)
        self._salt = salt
        self._decisions: dict[str, Rules] = {}

    @property
    def is_idle(self) -> bool:
        """Whether nothing is ever changed."""
        return all(rule.action is Action.KEEP for rule in self._rules)

    def rules_for(self, key: str) -> Rules:
        """The rules that change an attribute. Decisions are remembered, a bounded number."""
        if key in self._decisions:
            return self._decisions[key]
        if len(self._decisions) >= _DECISIONS_MAX:
            self._decisions.clear()
        self._decisions[key] = rules = () if key in PROTECTED_KEYS else self._decided(key)
        return rules

    def _decided(self, key: str) -> Rules:
        """Ask the rules in order. A hash of the whole is one of what came, whatever would have become of its parts."""
        parts: list[RedactionRule] = []
        for rule in self._rules:
            if not rule.concerns(key):
                continue
            if rule.matching is not None:
                parts.append(rule)
                continue
            return tuple(parts) if rule.action is Action.KEEP else (rule,)
        return tuple(parts)

    def hashed(self, text: str) -> str:
        """Name a text in 32 hexadecimal digits: equal texts have equal names, which only the salt can lead back."""
        return hmac.new(self._salt, text.encode(), hashlib.sha256).hexdigest()[:_HASH_DIGITS]

    def redacted(self, rules: Rules, text: str) -> str | None:
        """A text as rules leave it; None when the attribute is dropped."""
        for rule in rules:
            if rule.matching is None:
                return None if rule.action is Action.DROP else self.hashed(text)
            text = rule.matching.sub(partial(self._part, rule.action), text)
        return text

    def _part(self, action: Action, part: re.Match[str]) -> str:
        return DROPPED if action is Action.DROP else self.hashed(part[0])
