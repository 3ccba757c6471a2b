"""Model ids: from the spelling of a provider or gateway to the name that a price book knows.

Only decoration is taken off. What remains must match a price row exactly: a near miss is unpriced, never guessed.
Forms: the providers' documentation of model ids, and gateways' own spellings seen in logs (docs/prices.md).
"""

from __future__ import annotations

import re
from collections.abc import Iterator
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

    `profile` is the Bedrock inference profile (`global`, `us`, ...), empty for a bare id; `region` the AWS region that
    an ARN names. `opaque` marks an application inference profile: its ARN does not tell the model.
    """

    name: str
    provider_form: ProviderForm = ProviderForm.FIRST_PARTY
    profile: str = ""
    region: str = ""
    opaque: bool = False


@dataclass(frozen=True, slots=True)
class Spelling:
    """Another way to write a name. A `dated` one had a date that is not in it: it must not name a dated snapshot."""

    name: str
    dated: bool = False


_CONTEXT_SUFFIX = re.compile(r"\[1m\]\Z")
_GATEWAY_PREFIX = re.compile(r"\A(?:anthropic|bedrock|vertex_ai|vertex)/(?:converse/|invoke/|anthropic/)?")
_ARN = re.compile(r"arn:aws[a-z-]*:bedrock:(?P<region>[^:]*):[^:]*:(?P<kind>[a-z-]+)/(?P<name>.+)")
_OPAQUE_KINDS = frozenset({"application-inference-profile", "provisioned-model", "custom-model", "imported-model"})
_BEDROCK = re.compile(r"(?:(?P<profile>global|us-gov|us|eu|jp|apac|au)\.)?anthropic\.(?P<name>.+)")
_BEDROCK_VERSION = re.compile(r"(?:-v1(?::0)?|:0)\Z")
_DATE = r"20[0-9]{2}(?:0[1-9]|1[0-2])(?:0[1-9]|[12][0-9]|3[01])"
_VERTEX = re.compile(rf"(?P<name>[a-z0-9.-]+)@(?P<version>default|latest|{_DATE})")
_DATE_SUFFIX = re.compile(rf"-{_DATE}\Z")
_LATEST_SUFFIX = "-latest"
_VERSION_FIRST = re.compile(r"claude-(?P<major>[0-9]+)(?:-(?P<minor>[0-9]))?-(?P<family>[a-z]+)(?P<rest>-.+)?")
_DOTTED_VERSION = re.compile(r"(?<=[0-9])\.(?=[0-9])")


def plain(raw: str) -> str:
    """A name as it was given, but for case, space and `[1m]`: what configured aliases are found by."""
    return _CONTEXT_SUFFIX.sub("", raw.strip().lower())


def normalise(raw: str) -> ModelName:
    """Take the decoration off an id: case, `[1m]`, gateway prefix, ARN, Bedrock profile and version, Vertex `@`."""
    if not raw.isascii():  # no model id has other letters, and lower case would turn some into ASCII
        return ModelName(raw)
    name = plain(raw)
    name = _GATEWAY_PREFIX.sub("", name)
    arn = _ARN.fullmatch(name)
    region = "" if arn is None else arn["region"]
    if arn is not None:
        if arn["kind"] in _OPAQUE_KINDS:
            return ModelName(name, ProviderForm.BEDROCK, region=region, opaque=True)
        name = arn["name"]
    bedrock = _BEDROCK.fullmatch(name)
    if bedrock is not None:
        bare = _BEDROCK_VERSION.sub("", bedrock["name"])
        return ModelName(bare, ProviderForm.BEDROCK, bedrock["profile"] or "", region)
    vertex = _VERTEX.fullmatch(name)
    if vertex is not None:
        version = vertex["version"]
        dated = f"{vertex['name']}-{version}" if version.isdigit() else vertex["name"]
        return ModelName(dated, ProviderForm.VERTEX)
    return ModelName(name)


def spellings(name: str) -> Iterator[Spelling]:
    """Other spellings of a name that is none itself: without `-latest`, without its date, with the version last.

    `claude-4.6-opus-20260205`, as some gateways write, is `claude-opus-4-6-20260205` and so `claude-opus-4-6`.
    """
    hyphened = _DOTTED_VERSION.sub("-", name)
    for form in dict.fromkeys((name, hyphened, _version_last(hyphened))):
        if form != name:
            yield Spelling(form)
        if form.endswith(_LATEST_SUFFIX):
            yield Spelling(form.removesuffix(_LATEST_SUFFIX))
        elif is_dated(form):
            yield Spelling(_DATE_SUFFIX.sub("", form), dated=True)


def is_dated(name: str) -> bool:
    """Whether a name ends with the date of a snapshot."""
    return _DATE_SUFFIX.search(name) is not None


def _version_last(name: str) -> str:
    """Write a version behind the family: `claude-4-6-opus` as `claude-opus-4-6`."""
    parts = _VERSION_FIRST.fullmatch(name)
    if parts is None:
        return name
    version = "-".join(filter(None, (parts["major"], parts["minor"])))
    return f"claude-{parts['family']}-{version}{parts['rest'] or ''}"
