"""Privacy: the section of the settings, and the redaction that it asks for."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Annotated, Self

from pydantic import AfterValidator, Field, model_validator

from spanledger.config.fields import Section
from spanledger.core.content_keys import CONTENT_KEYS
from spanledger.core.errors import ConfigError
from spanledger.core.redaction import IDENTITY_KEYS, PROTECTED_KEYS, SENDER_KEYS, Action, Redaction, RedactionRule

SALT_BYTES_MIN = 16


def _pattern(value: str) -> str:
    try:
        re.compile(value)
    except re.error as error:
        raise ValueError(f"{value!r} is not a regular expression: {error}") from None
    return value


class Rule(Section):
    """One rule; the first that concerns an attribute and has no `matching` decides."""

    keys: list[str] = Field(min_length=1)
    action: Action
    matching: Annotated[str, AfterValidator(_pattern)] | None = None

    @model_validator(mode="after")
    def _leaves_cost_alone(self) -> Self:
        protected = sorted(PROTECTED_KEYS & set(self.keys))
        if protected and self.action is not Action.KEEP:
            raise ValueError(f"{', '.join(protected)}: cost is made of it, and it is never redacted")
        if self.action is Action.DROP and self.matching is None and SENDER_KEYS & set(self.keys):
            raise ValueError("user.id, user.account_uuid and user.account_id tell senders apart: use `action: hash`")
        if self.matching is not None and self.action is Action.KEEP:
            raise ValueError("matching goes with `hash` or `drop`: what matches no rule is kept anyway")
        return self


class Privacy(Section):
    """What is hashed or dropped before anything is kept or sent on."""

    identities: Action = Field(
        default=Action.KEEP, description=f"`keep` or `hash` what names a person: {', '.join(IDENTITY_KEYS)}."
    )
    content: Action = Field(
        default=Action.KEEP,
        description="`keep`, `hash` or `drop` text of prompts, replies, tools, errors and raw bodies: every attribute "
        "that [attributes](attributes.md#text-of-prompts-replies-and-tools) lists.",
    )
    rules: list[Rule] = Field(
        default=[],
        description="Rules before these: `keys` (`*` and `?` as in file names), `action`, and `matching`, a regular "
        "expression: then only the matching parts of texts are changed, and the next rules are asked too.",
    )
    salt_file: Path | None = Field(
        default=None, description=f"File whose content salts hashes, {SALT_BYTES_MIN} bytes or more; keep it secret."
    )

    @model_validator(mode="after")
    def _hashes_with_salt(self) -> Self:
        if self.identities is Action.DROP:
            raise ValueError("identities: cost needs to tell senders apart: use `hash`")
        hashes = Action.HASH in (self.identities, self.content, *(rule.action for rule in self.rules))
        if hashes and self.salt_file is None:
            raise ValueError("salt_file: `hash` needs one, or anybody could find out who is meant by trying names")
        return self


def load_redaction(privacy: Privacy) -> Redaction | None:
    """Make the redaction that settings ask for; None when everything is kept.

    Raises:
        ConfigError: the salt file cannot be read or is too short.
    """
    rules = [
        RedactionRule(tuple(rule.keys), rule.action, None if rule.matching is None else re.compile(rule.matching))
        for rule in privacy.rules
    ]
    rules += [RedactionRule(IDENTITY_KEYS, privacy.identities), RedactionRule(CONTENT_KEYS, privacy.content)]
    redaction = Redaction(rules, _salt(privacy.salt_file))
    return None if redaction.is_idle else redaction


def _salt(file: Path | None) -> bytes:
    if file is None:
        return b""
    try:
        salt = file.read_bytes().strip()
    except OSError as error:
        raise ConfigError([f"privacy.salt_file: {file} cannot be read: {error}"]) from None
    if len(salt) < SALT_BYTES_MIN:
        raise ConfigError([f"privacy.salt_file: {file} has {len(salt)} bytes, at least {SALT_BYTES_MIN} are needed"])
    return salt
