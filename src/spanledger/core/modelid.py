"""Model ids: from the spelling of a provider or gateway to the name that a price book knows.

Only decoration is taken off. What remains must match a price row exactly: a near miss is unpriced, never guessed.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from enum import StrEnum


class ProviderForm(StrEnum):
    """Whose spelling an id has."""

    FIRST_PARTY = "first_party"
    BEDROCK = "bedrock"
    VERTEX = "vertex"


@dataclass(frozen=True, slots=True)
class ModelName:
    """An id without decoration.

    `profile` is the Bedrock inference profile (`global`, `us`, ...), empty for a bare id. `opaque` marks an application
    inference profile: its ARN does not tell the model.
    """

    name: str
    provider_form: ProviderForm = ProviderForm.FIRST_PARTY
    profile: str = ""
    opaque: bool = False


_CONTEXT_SUFFIX = re.compile(r"\[1m\]$")
_GATEWAY_PREFIX = re.compile(r"^(?:anthropic|bedrock|vertex_ai|vertex)/(?:converse/|invoke/|anthropic/)?")
_ARN = re.compile(r"^arn:aws[a-z-]*:bedrock:[^:]*:[^:]*:(?P<kind>[a-z-]+)/(?P<name>.+)$")
_OPAQUE_KINDS = frozenset({"application-inference-profile", "provisioned-model", "custom-model", "imported-model"})
_BEDROCK = re.compile(r"^(?:(?P<profile>global|us-gov|us|eu|jp|apac|au)\.)?anthropic\.(?P<name>.+)$")
_BEDROCK_VERSION = re.compile(r"-v1(?::0)?$|:0$")
_VERTEX = re.compile(r"^(?P<name>[a-z0-9.-]+)@(?P<version>default|latest|\d{8})$")
_DATE_SUFFIX = re.compile(r"-\d{8}$")


def normalise(raw: str) -> ModelName:
    """Take the decoration off an id: case, `[1m]`, gateway prefix, ARN, Bedrock profile and version, Vertex `@`."""
    name = _CONTEXT_SUFFIX.sub("", raw.strip().lower())
    name = _GATEWAY_PREFIX.sub("", name)
    arn = _ARN.match(name)
    if arn is not None:
        if arn["kind"] in _OPAQUE_KINDS:
            return ModelName(name, ProviderForm.BEDROCK, opaque=True)
        name = arn["name"]
    bedrock = _BEDROCK.match(name)
    if bedrock is not None:
        bare = _BEDROCK_VERSION.sub("", bedrock["name"])
        return ModelName(bare, ProviderForm.BEDROCK, bedrock["profile"] or "")
    vertex = _VERTEX.match(name)
    if vertex is not None:
        version = vertex["version"]
        dated = f"{vertex['name']}-{version}" if version.isdigit() else vertex["name"]
        return ModelName(dated, ProviderForm.VERTEX)
    return ModelName(name)


def without_date(name: str) -> str | None:
    """The name without a date suffix; None when it has none."""
    bare = _DATE_SUFFIX.sub("", name)
    return None if bare == name else bare
